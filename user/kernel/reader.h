/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>

#include "fairlead/reasons.h"
#include "kernel/maps.h"

/**
 * @file reader.h
 * Counters and contents of the pinned maps: the reading half of kernel/, which
 * the CLI uses too when there is no agent.
 */

/** Sum over CPUs. @param ret FL_REASON_COUNT counters. @return 0, -errno */
int fl_read_reasons(const struct fl_maps *maps, enum fl_path path, uint64_t *ret);
int fl_read_frontend(const struct fl_maps *maps, uint32_t frontend, struct fl_frontend_stats *ret);
int fl_read_endpoint(const struct fl_maps *maps, uint32_t endpoint, struct fl_endpoint_stats *ret);
/** What nat's openings met; zeroes when there were none. @return 0, -errno */
int fl_read_answers(const struct fl_maps *maps, uint32_t endpoint, struct fl_answers *ret);
/** Live nat flows of an endpoint. @return 0, -ERANGE */
int fl_read_connections(const struct fl_maps *maps, uint32_t endpoint, uint64_t *ret);
/** What keeps floods from breaking flows. */
struct fl_pressure {
	bool is_high;       /**< so many flows open in moving slots that none is pinned */
	uint64_t refused;   /**< pins not made, for lack of room or under pressure */
	uint64_t postponed; /**< slots that move for longer because of that */
};
/** @return whether it is known: the map is open */
bool fl_read_pressure(const struct fl_maps *maps, struct fl_pressure *ret);
/** Rows of a map that are in use (see walk.h), by walking: costs as much as the
 * map is large. Of `nat`: of all its tables. */
int fl_read_entries(const struct fl_maps *maps, enum fl_map map, uint64_t *ret);

/** Slots of one table by state. */
struct fl_slot_counts {
	uint64_t settled, held, moving;
};
/** Adds the slots of the table at `region`; none when that is 0. */
void fl_read_slots(const struct fl_maps *maps, fl_region region, struct fl_slot_counts *ret_add);

/** `map list` → [{name, type, max_entries, entries}]. New reference, NULL when out
 * of memory; what could not be counted is null */
json_t *fl_read_map_list(const struct fl_maps *maps);

/** Called with each row, {key, value}; takes the reference over.
 * @return 0 to go on, anything else to stop */
typedef int fl_read_row_fn(void *context, json_t *row);
/** `map dump NAME`, row by row, since a dump can be larger than memory; rows that
 * are not in use are left out. @return 0; what `each` returned; -ENOENT (no such
 * map), -ENOMEM, -errno */
int fl_read_map_rows(
	const struct fl_maps *maps, const char *name, fl_read_row_fn *each, void *context);
/** The same as one array. @return 0, -ENOENT, -ENOMEM, -errno */
int fl_read_map_dump(const struct fl_maps *maps, const char *name, json_t **ret);
