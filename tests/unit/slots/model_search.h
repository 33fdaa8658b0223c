/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdio.h>

#include "core/vec.h"
#include "unit/slots/model.h"

/**
 * @file model_search.h
 * A walk under way: shared by the walk itself and by who tells how it ended.
 */
struct found {
	struct model_state state;
	uint32_t parent;
};

/** A state that was reached and not looked up yet. */
struct reached {
	struct model_state state;
	uint64_t hash;
};
#define REACHED_MAX 128

struct model_search {
	enum model_world world;
	FL_VEC(struct found) found;
	struct model_state *table; /**< by hash; one that does not `exist` is empty */
	size_t room;               /**< a power of 2 */
	uint32_t current;
	struct reached reached[REACHED_MAX]; /**< from the current state */
	size_t reached_count;
	const char *violation;
	/* While the story is told: */
	FILE *story;
	const struct model_state *wanted; /**< the state that follows; NULL = the violation */
	struct model_state here;          /**< where it is, in the names that it began with */
	bool is_told;
};

/** Tell what led to the violation, by walking from the first state to the current. */
void model_story(struct model_search *search, struct model_result *ret);
/** One event out of those that are possible; told if it is the one that happened. */
void model_story_tell(struct model_search *search, const struct model_state *next,
	struct model_event event, const char *violation);
