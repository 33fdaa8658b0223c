/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * @file text.h
 * A growing piece of text, for answers of many megabytes: appending a number or
 * a word costs little more than copying it.
 *
 * Running out of memory is remembered, so that a writer checks `failed` once,
 * at its end. What was written before stays; the rest is dropped.
 */
struct fl_text {
	char *data; /**< not NUL-terminated */
	size_t length;
	size_t room;
	bool failed; /**< out of memory: the text is incomplete */
};

void fl_text_put(struct fl_text *text, const char *bytes, size_t count);
void fl_text_puts(struct fl_text *text, const char *string);
void fl_text_putc(struct fl_text *text, char c);
/** What ends a line of text: blanks in place of control characters, then a newline. NULL = none. */
void fl_text_put_last(struct fl_text *text, const char *words);
void fl_text_uint(struct fl_text *text, uint64_t number);
void fl_text_printf(struct fl_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void fl_text_done(struct fl_text *text);

/** Whether two strings are the same; NULL is only like NULL. */
bool fl_text_is_same(const char *a, const char *b);

/**
 * How many bytes the UTF-8 character at `bytes` takes; shortest form, no
 * surrogates (RFC 3629).
 * @param count  bytes there are, >= 1
 * @return 1-4, 0 when these bytes are no character
 */
size_t fl_text_utf8(const char *bytes, size_t count);
