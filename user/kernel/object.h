/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"
#include "kernel/maps.h"

struct bpf_map;
struct bpf_object;

/**
 * @file object.h
 * The maps of a BPF object that libbpf has opened and not yet loaded: how they are
 * made and pinned, and how pinned ones take their place. Part of the loader.
 */

/** Give every map the size that the limits ask for. @return 0, -errno */
int fl_object_size_maps(
	struct bpf_object *object, const struct fl_limits *limits, struct fl_failure *failure);

/**
 * Load the object without any program, and pin its maps below `bpffs`: all of them
 * at once, so that a start that is killed leaves no half set behind.
 * @param meta  the row of the map `meta`
 * @return 0, -errno with words
 */
int fl_object_make_maps(struct bpf_object *object, const char *bpffs,
	const struct fl_meta_row *meta, struct fl_failure *failure);
/** The same, but they stay in BPFFS/maps_new. */
int fl_object_make_maps_aside(struct bpf_object *object, const char *bpffs,
	const struct fl_meta_row *meta, struct fl_failure *failure);

/** Whether a map that was found has the shape that the object gives it. */
bool fl_object_has_shape(const struct bpf_map *map, const struct fl_map_shape *found);

/** Let the object use `maps` instead of making its own.
 * @return 0, -EPROTO (one has another shape), -errno */
int fl_object_reuse_maps(
	struct bpf_object *object, const struct fl_maps *maps, struct fl_failure *failure);
