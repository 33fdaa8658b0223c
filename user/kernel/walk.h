/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "kernel/maps.h"

/**
 * @file walk.h
 * Every row of a map that is in use, one after the other.
 *
 * In an array that is a row with anything in it, or its only row; of `slots`, those
 * that lie in a table. What is added or removed meanwhile may be met or not.
 */

/** Key of a row of `slots`. */
struct fl_walk_slot {
	uint32_t index; /**< in the map */
	uint32_t service;
	uint32_t family;
	uint32_t slot; /**< in the table */
};

/**
 * Called with each row.
 * @param key    as in the map; of an array, its u32 index; of `slots`, struct fl_walk_slot
 * @param value  as in the map; per-CPU, maps->cpus of them, each padded to 8 bytes
 * @return 0 to go on; anything else ends the walk
 */
typedef int fl_walk_fn(void *context, const void *key, const void *value);

/** Walk; of `nat`, through the flows of all its tables. @return 0, what `each` returned,
 * or -errno */
int fl_walk(const struct fl_maps *maps, enum fl_map map, fl_walk_fn *each, void *context);
