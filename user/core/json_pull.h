/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * @file json_pull.h
 * Reads JSON (RFC 8259) piece by piece, in place, without a tree: an answer of
 * many megabytes costs no memory beside itself, whatever is in it.
 *
 *     fl_pull_open(&pull, body, length);
 *     if (fl_pull_enter(&pull, FL_PULL_LIST))
 *             while (fl_pull_item(&pull))
 *                     ... one value: fl_pull_text(), fl_pull_enter(), fl_pull_skip() ...
 *     if (!fl_pull_finish(&pull))
 *             ... pull.error says why, pull.where at which byte ...
 *
 * The first error ends it: from then on every function says "nothing more". Texts
 * are decoded where they stand: valid UTF-8 without U+0000, ended by a NUL, and
 * they live as long as the body. What is skipped is checked as well. A key that
 * stands twice is the caller's to notice, since it knows which ones matter.
 */
#define FL_PULL_DEPTH 63 /**< of lists and objects in each other */

enum fl_pull_kind {
	FL_PULL_BROKEN = 0, /**< or nothing more */
	FL_PULL_NULL,
	FL_PULL_BOOL,
	FL_PULL_NUMBER,
	FL_PULL_STRING,
	FL_PULL_LIST,
	FL_PULL_OBJECT,
};

struct fl_pull {
	char *at, *start, *end;
	unsigned depth;
	uint64_t objects;  /**< by depth: it is an object */
	uint64_t follows;  /**< by depth: something stood before */
	const char *error; /**< NULL = none so far */
	size_t where;      /**< byte of the error */
};

/** Begin. @param text  is changed while it is read */
void fl_pull_open(struct fl_pull *pull, char *text, size_t length);
/** Whether that was all, and all of it was right. */
bool fl_pull_finish(struct fl_pull *pull);

/** What the next value is; it stays where it is. */
enum fl_pull_kind fl_pull_peek(struct fl_pull *pull);
/** Go into the next value. @return false when it is not of that kind: then it was skipped */
bool fl_pull_enter(struct fl_pull *pull, enum fl_pull_kind kind);
/** Go to the next item of the list one is in. @return false at its end, which is left */
bool fl_pull_item(struct fl_pull *pull);
/** Go to the next key of the object one is in. @return NULL at its end, which is left */
const char *fl_pull_key(struct fl_pull *pull);

/** A text. @return NULL when it is something else, which was skipped */
const char *fl_pull_text(struct fl_pull *pull);
/** A whole number that fits. @return false when it is something else, which was skipped */
bool fl_pull_integer(struct fl_pull *pull, int64_t *ret);
/** Pass over a value. */
void fl_pull_skip(struct fl_pull *pull);
/** Say that what was read cannot be used: reading ends. @param why  constant */
void fl_pull_fail(struct fl_pull *pull, const char *why);
