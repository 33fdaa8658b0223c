/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * @file log.h
 * One event, one line, on standard error: time, level, area, message, fields.
 *
 *     fl_log(FL_LOG_INFO, "kernel", "attached", FL_STR("interface", name),
 *         FL_STR("mode", "native"));
 *     2026-01-02T03:04:05.678Z info kernel: attached interface=eth0 mode=native
 *
 * Modules return errors; edges (main, loop callbacks, supervisors) log them.
 * The message is a constant, so that people can grep it; what varies is a field.
 */

enum fl_log_level { FL_LOG_ERROR, FL_LOG_WARNING, FL_LOG_INFO, FL_LOG_DEBUG };
enum fl_log_format { FL_LOG_TEXT, FL_LOG_JSON };

/** One key and its value. Made by the macros below. */
struct fl_log_field {
	const char *key;
	enum { FL_FIELD_STRING, FL_FIELD_INT, FL_FIELD_UINT, FL_FIELD_DOUBLE } kind;
	union {
		const char *string;
		int64_t i;
		uint64_t u;
		double d;
	};
};

#define FL_STR(k, v)  ((struct fl_log_field){ .key = (k), .kind = FL_FIELD_STRING, .string = (v) })
#define FL_INT(k, v)  ((struct fl_log_field){ .key = (k), .kind = FL_FIELD_INT, .i = (v) })
#define FL_UINT(k, v) ((struct fl_log_field){ .key = (k), .kind = FL_FIELD_UINT, .u = (v) })
#define FL_DBL(k, v)  ((struct fl_log_field){ .key = (k), .kind = FL_FIELD_DOUBLE, .d = (v) })
/** The text of an errno, given positive or negative. */
#define FL_ERR(code) FL_STR("err", fl_log_errno(code))

/** Write one line if `level` is to be shown. */
#define fl_log(level, area, message, ...)                                                          \
	fl_log_write(                                                                              \
		level, area, message, (struct fl_log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } })

/** As fl_log, with the fields as an array that ends with a NULL key. */
void fl_log_write(enum fl_log_level level, const char *area, const char *message,
	const struct fl_log_field *fields);

/** Choose what is shown and how. Before the first call: info, text. */
void fl_log_setup(enum fl_log_level level, enum fl_log_format format);
bool fl_log_is_on(enum fl_log_level level);
const char *fl_log_errno(int code);
