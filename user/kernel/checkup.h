/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "config/config.h"

/**
 * @file checkup.h
 * The rows that doctor.c and its checks fill; doctor.h says what they hold.
 */
enum fl_check_result { FL_CHECK_OK, FL_CHECK_WARN, FL_CHECK_FAIL };

struct fl_checkup {
	const struct fl_config *config; /**< NULL = none, or one with errors */
	json_t *rows;
	bool failed; /**< out of memory */
};

/** Add a row. @param subject, hint  NULL = none */
void fl_checkup_add(struct fl_checkup *checkup, const char *check, const char *subject,
	enum fl_check_result result, const char *hint, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/** Read a number from a file such as a sysctl. @return false when there is none */
bool fl_checkup_number(const char *path, long *ret);

/** Devices: what each configured interface (or each that is up) allows. */
void fl_checkup_interfaces(struct fl_checkup *checkup);
/** The machine as a whole: ports, memory, sysctls. */
void fl_checkup_machine(struct fl_checkup *checkup);
/** What the node path meets: cgroups, hooks, programs of others, listeners at frontends. */
void fl_checkup_node(struct fl_checkup *checkup);
