/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/**
 * @file failure.h
 * Why something could not be done, in words for the operator: what failed and
 * why (message), and what to do about it (hint; may be empty).
 *
 * Functions that can fail for reasons worth explaining take a
 * `struct fl_failure *` last and fill it when they return a negative errno.
 */
struct fl_failure {
	char message[480];
	char hint[480];
};

/** Set the message, and clear the hint. @return `code`, so that `return fl_fail(…)` reads well */
int fl_fail(struct fl_failure *failure, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/** Set the hint. */
void fl_fail_hint(struct fl_failure *failure, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
