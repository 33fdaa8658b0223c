/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/text.h"

/**
 * @file json_text.h
 * Writes JSON straight into a text, without a tree in memory: a list of 60 000
 * endpoints would cost a hundred megabytes as one.
 *
 * Every function takes the key first; NULL inside a list. Commas are put where
 * they belong. Bytes that are no UTF-8 become U+FFFD, so the result is always
 * valid JSON.
 */
#define FL_JSON_DEPTH 16

struct fl_json_text {
	struct fl_text *text;
	char closers[FL_JSON_DEPTH];
	unsigned depth;
	bool follows; /**< the next value has one before it */
};

void fl_json_object(struct fl_json_text *json, const char *key);
void fl_json_list(struct fl_json_text *json, const char *key);
void fl_json_end(struct fl_json_text *json); /**< closes the innermost object or list */

/** @param value  NULL becomes null */
void fl_json_string(struct fl_json_text *json, const char *key, const char *value);
void fl_json_uint(struct fl_json_text *json, const char *key, uint64_t value);
void fl_json_bool(struct fl_json_text *json, const char *key, bool value);
void fl_json_null(struct fl_json_text *json, const char *key);
/** An RFC 3339 time in UTC. @param real_s  CLOCK_REALTIME seconds; 0 becomes null */
void fl_json_time(struct fl_json_text *json, const char *key, uint64_t real_s);
