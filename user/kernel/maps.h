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
 * Layout below the bpffs directory: `maps/NAME`, `maps/nat_N` (the tables of nat
 * flows that the map `nat` leads to; N grows, the highest takes new flows),
 * programs `edge`, `explain`, `sweep`, `target`, links `links/edge-INTERFACE`,
 * `links/target-INTERFACE`. A bpffs allows no dot in a name.
 */
#define FL_MAP_ENUM(name) FL_MAP_##name,
enum fl_map { FL_MAPS(FL_MAP_ENUM) FL_MAP_COUNT };
#undef FL_MAP_ENUM

/** What a map looks like from outside. */
struct fl_map_shape {
	uint32_t type; /**< enum bpf_map_type */
	uint32_t key_size;
	uint32_t value_size;
	uint32_t max_entries;
	uint32_t flags;
};

struct fl_maps {
	int fd[FL_MAP_COUNT]; /**< -1 = not open */
	struct fl_map_shape shape[FL_MAP_COUNT];
	struct fl_limits limits; /**< what the maps were made for */
	unsigned cpus;           /**< possible CPUs: rows of a per-CPU value */
	char *dir;               /**< where they are pinned: "BPFFS/maps" */

	/* Tables of nat flows, newest first; see nat.h. */
	int nat_fd[FL_NAT_GENERATIONS];          /**< -1 = none */
	unsigned nat_number[FL_NAT_GENERATIONS]; /**< N of the pin `nat_N` */
	uint32_t nat_size[FL_NAT_GENERATIONS];   /**< entries it has room for */
	uint32_t nat_retry_s; /**< nat.c: growing is not tried again before this second, */
	uint32_t nat_look_s;  /**< nor is an empty table looked for before this one */

	/* Mapped, for plain loads and stores; read-only when opened for reading. Rows
	 * that were never in use read as zeroes without costing memory; they are
	 * written only after fl_maps_reach. */
	struct fl_service_row *services;
	struct fl_name_row *names;
	fl_slot *slots;
	struct fl_endpoint_row *endpoints;
	struct fl_nexthop_row *nexthops;
	struct fl_nat_used_row *nat_used;
	struct fl_pressure_row *pressure;
	struct fl_meta_row *meta;
	size_t reached[FL_MAP_COUNT]; /**< bytes of the map that are really mapped */
};

const char *fl_map_name(enum fl_map map); /**< "frontends" */

/** Rows of a map whose size follows from the limits (ids count from 1, so one more
 * than there may be), or from this version; 0 = as the object declares. */
uint32_t fl_map_rows(enum fl_map map, const struct fl_limits *limits);

/** Inserts into `opening` within FL_PRESSURE_WINDOW_S that are too many: half of the
 * cells that the map really has. */
uint32_t fl_maps_opening_limit(const struct fl_maps *maps);

/** Ask the kernel. @return 0, -errno */
int fl_map_shape(int fd, struct fl_map_shape *ret);
/** Bytes of memory that an array takes when it is mapped: whole pages. */
size_t fl_map_mapped_size(const struct fl_map_shape *shape);

/**
 * Open what is pinned below `bpffs`, for reading or for both. Of an older ABI
 * (meta->abi), maps that came later are not open.
 * @return 0; -ENOENT (nothing pinned there); -EPROTO (a newer ABI, or not all of
 *         our maps: says which); -errno. Nothing is left open on failure.
 */
int fl_maps_open(struct fl_maps *maps, const char *bpffs, bool write, struct fl_failure *failure);
/** The same for a directory of another name than BPFFS/maps. */
int fl_maps_open_at(struct fl_maps *maps, const char *dir, bool write, struct fl_failure *failure);

/**
 * Have at least the first `rows` rows of a mapped map at hand for writing. What
 * is mapped counts as this process's memory, although it is the map's; so only as
 * much is mapped as is used. Cheap when they are.
 * @return 0, -ENOMEM, -ERANGE (the map has fewer)
 */
int fl_maps_reach(struct fl_maps *maps, enum fl_map map, uint64_t rows);

/** Close descriptors and unmap; pins stay. Welcome after fl_maps_open failed, and twice. */
void fl_maps_close(struct fl_maps *maps);
