/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/failure.h"
#include "fairlead/abi.h"
#include "model/snapshot.h"

/**
 * @file maps.h
 * The pinned maps: descriptors for all, memory for those that are mapped.
 *
 * Layout below the bpffs directory: `maps/NAME`, programs `edge`, `explain`,
 * `sweep`, `target`, links `links/edge-INTERFACE`, `links/target-INTERFACE`.
 */
#define FL_MAP_ENUM(name) FL_MAP_##name,
enum fl_map { FL_MAPS(FL_MAP_ENUM) FL_MAP_COUNT };
#undef FL_MAP_ENUM

struct fl_maps {
	int fd[FL_MAP_COUNT]; /**< -1 = not open */
	struct fl_limits limits; /**< what the maps were made for */
	unsigned cpus;           /**< possible CPUs: rows of a per-CPU value */

	/* Mapped, for plain loads and stores; read-only when opened for reading. */
	struct fl_service_row *services;
	struct fl_name_row *names;
	fl_slot *slots;
	struct fl_endpoint_row *endpoints;
	struct fl_nexthop_row *nexthops;
	struct fl_meta_row *meta;
};

const char *fl_map_name(enum fl_map map); /**< "frontends" */

/** Open what is pinned below `bpffs`, for reading or for both.
 * @return 0; -ENOENT (nothing pinned there), -EPROTO (another ABI: says which), -errno */
int fl_maps_open(struct fl_maps *maps, const char *bpffs, bool write, struct fl_failure *failure);
/** Close descriptors and unmap; pins stay. */
void fl_maps_close(struct fl_maps *maps);
