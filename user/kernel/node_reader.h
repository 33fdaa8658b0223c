/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "kernel/node_maps.h"
#include "kernel/reader.h"

/**
 * @file node_reader.h
 * Contents of the maps of the node path, as reader.h has those of the others. What sockets remember
 * (`sockets`, `datagrams`) can be read with a socket in hand only, and `events` are the agent's:
 * these have no rows here.
 */

/** Append the maps to a `map list`; entries that cannot be counted are null. @return 0, -ENOMEM */
int fl_node_read_map_list(
	const struct fl_maps *maps, const struct fl_node_maps *node, json_t *list);

/**
 * `map dump NAME`, row by row; rows that are not in use are left out. `pools` has a row
 * for each pool that a service names.
 * @return 0; what `each` returned; -ENOENT (no such map), -ENOMEM, -errno
 */
int fl_node_read_map_rows(const struct fl_maps *maps, const struct fl_node_maps *node,
	const char *name, fl_read_row_fn *each, void *context);
