/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/shown.h"

/**
 * @file table.h
 * Prints a list of JSON objects as columns that line up, whatever script their
 * text is in.
 */
enum fl_column_kind {
	FL_COLUMN_TEXT,     /**< left; null is "-" */
	FL_COLUMN_NUMBER,   /**< right */
	FL_COLUMN_LIST,     /**< a list of strings, one below the other */
	FL_COLUMN_SINCE,    /**< an RFC 3339 time, as the time that went by: "2h05m" */
	FL_COLUMN_DURATION, /**< seconds, in the same words */
};

struct fl_column {
	const char *title;
	const char *path; /**< "slots.moving" */
	enum fl_column_kind kind;
};

/**
 * @param rows     a list of objects
 * @param columns  ends with a NULL title
 * @param now_s    CLOCK_REALTIME seconds, for FL_COLUMN_SINCE
 * @param indent   spaces before each line
 */
void fl_table_print(
	json_t *rows, const struct fl_column *columns, uint64_t now_s, int indent, FILE *out);

/** A list of strings below a title, after an empty line; nothing when it is empty. */
void fl_list_print(json_t *list, const char *title, FILE *out);

/** The value at "a.b". @return borrowed, or NULL */
json_t *fl_json_at(json_t *value, const char *path);
