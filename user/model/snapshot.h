/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/problem.h"
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

/** What one registry declares: borrowed by fl_snapshot_merge. */
struct fl_declaration {
	const char *registry;
	struct fl_service *const *services;
	size_t count;
};

/** How much a snapshot may hold. */
struct fl_limits {
	uint32_t services;
	uint32_t endpoints;
	uint32_t slots;
	uint32_t flows;
};

/**
 * Merge declarations into a snapshot; earlier ones win, so hand in the inline
 * one first. A name or a frontend (address, port and protocol alike) that stands
 * twice is an error that names both places; the later service is left out and
 * the rest used. So is what is beyond the limits (services and endpoints). An
 * exact port and port 0 are no conflict: the exact one is more specific.
 * @return 0 with *ret set even when problems were added; -ENOMEM
 */
int fl_snapshot_merge(const struct fl_declaration *declarations, size_t count,
	const struct fl_limits *limits, uint64_t generation, struct fl_problems *problems,
	struct fl_snapshot **ret);
struct fl_snapshot *fl_snapshot_ref(struct fl_snapshot *snapshot);
/** NULL is welcome. */
void fl_snapshot_unref(struct fl_snapshot *snapshot);

/** By name. @return borrowed, or NULL */
struct fl_service *fl_snapshot_find(const struct fl_snapshot *snapshot, const char *name);
