/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/services.h"

/**
 * @file guard.h
 * Whether an answer of a registry takes away so much at once that somebody
 * should look first: an emptied server, a lost token, a filter with a typing error.
 *
 * Only what vanishes counts, not what turns down: that is what `panic` is for. A
 * list may also be emptied in many small steps, so the sum of a minute counts, too,
 * and what the first steps took away comes back when a later one is held back.
 * Pure.
 */
#define FL_GUARD_ENDPOINTS_MIN 10    /**< fewer are not guarded */
#define FL_GUARD_WINDOW_MS     60000 /**< within which small steps add up */
/** A registry that was emptied fills again bit by bit, and what it lacks on the way shall not go.
 * So once an answer was held back, one that removes less waits until nothing changes for this long. */
#define FL_GUARD_CALM_MS 10000

/** What lies between two lists of one registry. */
struct fl_removal {
	size_t services;  /**< that vanish */
	size_t endpoints; /**< that vanish, those of such services included */
	size_t before;    /**< endpoints, in all */
	size_t after;     /**< endpoints, in all */
};

/** What a registry declared lately. Begins as zeroes: nothing is in force. */
struct fl_guard {
	size_t in_force;  /**< endpoints */
	size_t most;      /**< of them within the window */
	uint64_t most_ms; /**< when that was */
};

/** This is in force from the start, or again. */
void fl_guard_begin(struct fl_guard *guard, const fl_service_vec *services);

/**
 * Count what vanishes. An endpoint is the same when its service's name, its
 * address and its port are. Where the lists share their services in the same
 * order, only those in between are looked at; O(n log n) otherwise.
 * @param guard   knows how many endpoints are in force
 * @param before  in force
 * @return 0, -ENOMEM
 */
int fl_removal_count(const struct fl_guard *guard, const fl_service_vec *before,
	const fl_service_vec *after, struct fl_removal *ret);

/**
 * Whether to hold the answer back.
 * @param max_percent  of the endpoints may vanish; 100 = all
 * @param now_ms       of a clock that does not jump
 * @param ret_gone     how many endpoints are gone, and
 * @param ret_of       of how many; set when the answer is to be held back
 */
bool fl_guard_refuses(const struct fl_guard *guard, const struct fl_removal *removal,
	unsigned max_percent, uint64_t now_ms, size_t *ret_gone, size_t *ret_of);

/**
 * Undo removals: `now`, but services of which endpoints vanished are as they were `then`.
 * What is new stays.
 * @param ret  references of its own
 * @return 0, -ENOMEM
 */
int fl_guard_restore(const fl_service_vec *then, const fl_service_vec *now, fl_service_vec *ret);

/** It is in force now. */
void fl_guard_passed(struct fl_guard *guard, const struct fl_removal *removal, uint64_t now_ms);
/** Somebody accepted it: what was before does not count any more. */
void fl_guard_accepted(struct fl_guard *guard, const struct fl_removal *removal, uint64_t now_ms);
