/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "model/service.h"

/**
 * @file snapshot.h
 * The desired state at one moment: every service of every registry, merged.
 *
 * Immutable once made, counted by reference. Pure.
 */
struct fl_snapshot {
	unsigned references;
	uint64_t generation;          /**< set by the maker; grows */
	struct fl_service **services; /**< sorted by name; one reference each */
	size_t service_count;
	size_t endpoint_count; /**< over all services */
};

/** How much a snapshot may hold. */
struct fl_limits {
	uint32_t services;
	uint32_t endpoints;
	uint32_t slots;
	uint32_t flows;
};

/** An empty one with one reference and room for so many services: for who makes it.
 * @return NULL when out of memory */
struct fl_snapshot *fl_snapshot_new(size_t room, uint64_t generation);
struct fl_snapshot *fl_snapshot_ref(struct fl_snapshot *snapshot);
/** NULL is welcome. */
void fl_snapshot_unref(struct fl_snapshot *snapshot);

/** By name. NULL, as long as there is no snapshot, has no service. @return borrowed, or NULL */
struct fl_service *fl_snapshot_find(const struct fl_snapshot *snapshot, const char *name);
/** Where a name stands, or would stand: the first service that does not come before it. */
size_t fl_snapshot_position(const struct fl_snapshot *snapshot, const char *name);

/** A service that differs between two snapshots; begins zeroed. */
struct fl_snapshot_change {
	struct fl_service *old, *new; /**< NULL where there is none of that name */
	size_t olds, news;            /**< how far the walk is */
};
/** Go on to the next service that is another object in `new` than in `old`, in order
 * of names. Costs a look at the pointers between; `old` may be NULL. @return false at the end */
bool fl_snapshot_next_change(const struct fl_snapshot *old, const struct fl_snapshot *new,
	struct fl_snapshot_change *at);
