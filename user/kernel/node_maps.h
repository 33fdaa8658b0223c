/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"
#include "fairlead/node.h"
#include "kernel/maps.h"

struct bpf_object;

/**
 * @file node_maps.h
 * The maps of the node path, pinned at BPFFS/node/NAME. They are there only where the
 * node path is enabled, and unlike those of maps.h they may be made anew at any
 * start: what they hold follows from the snapshot, or are counts.
 */
#define FL_NODE_MAP_ENUM(name) FL_NODE_MAP_##name,
enum fl_node_map { FL_NODE_MAPS(FL_NODE_MAP_ENUM) FL_NODE_MAP_COUNT };
#undef FL_NODE_MAP_ENUM

struct fl_node_maps {
	int fd[FL_NODE_MAP_COUNT]; /**< -1 = not open */
	struct fl_map_shape shape[FL_NODE_MAP_COUNT];
	bool adopted; /**< an earlier agent's were found and are in use */

	/* Mapped; NULL when not open, read-only when opened for reading. */
	struct fl_node_row *node;
	struct fl_node_service_row *services; /**< by service */
	union fl_pool_row *pools;
	struct fl_live_row *live; /**< by endpoint */
};

#define FL_NODE_MAPS_NONE                                                                          \
	(struct fl_node_maps)                                                                      \
	{                                                                                          \
		.fd = { [0 ... FL_NODE_MAP_COUNT - 1] = -1 }                                       \
	}

const char *fl_node_map_name(enum fl_node_map map); /**< "pools" */

/** Give the maps of an object of the node path the size that the limits ask for. @return 0, -errno */
int fl_node_maps_size(
	struct bpf_object *object, const struct fl_limits *limits, struct fl_failure *failure);

/**
 * Adopt what is pinned below `bpffs` if it has the shape that `object` gives it; else
 * remove it and make all of them anew. Then all are mapped.
 * @param object  of the node path: opened and sized, its other maps reused, not loaded. It is
 *                good for nothing else afterwards.
 * @return 0, -errno with words; nothing is left open on failure
 */
int fl_node_maps_prepare(struct fl_node_maps *maps, struct bpf_object *object, const char *bpffs,
	struct fl_failure *failure);

/** Let an object of the node path use `maps` instead of making its own. @return 0, -errno */
int fl_node_maps_reuse(
	struct bpf_object *object, const struct fl_node_maps *maps, struct fl_failure *failure);

/** Open what is pinned, for reading. @return 0; -ENOENT (there is no node path); -EPROTO; -errno */
int fl_node_maps_open(struct fl_node_maps *maps, const char *bpffs, struct fl_failure *failure);

/** Close and unmap; pins stay. Welcome when nothing is open. */
void fl_node_maps_close(struct fl_node_maps *maps);

/** Remove the pins. @return 0 (also when there are none), -errno */
int fl_node_maps_remove(const char *bpffs);
