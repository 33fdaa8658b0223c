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
/** Live nat flows of an endpoint. */
int fl_read_connections(const struct fl_maps *maps, uint32_t endpoint, uint64_t *ret);
/** Entries of a map that counts them by walking: `frontends`, `nat` (all
 * generations), `pins`, `opening`. Costs a walk. */
int fl_read_entries(const struct fl_maps *maps, enum fl_map map, uint64_t *ret);
/** Slots of one table by state. */
struct fl_slot_counts {
	uint64_t settled, held, moving;
};
void fl_read_slots(
	const struct fl_maps *maps, fl_region region, struct fl_slot_counts *ret_add);

/** `map list` → [{name, type, max_entries, entries}]. New reference, NULL when out of memory */
json_t *fl_read_map_list(const struct fl_maps *maps);
/** `map dump NAME` → decoded [{key, value}]; rows that are not in use are left
 * out. @return 0, -ENOENT (no such map), -ENOMEM, -errno */
int fl_read_map_dump(const struct fl_maps *maps, const char *name, json_t **ret);
