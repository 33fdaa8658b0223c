/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/problem.h"
#include "model/snapshot.h"

/**
 * @file merger.h
 * Makes one snapshot of what all registries declare.
 *
 * Earlier declarations win, so hand in the inline one first. A name or a frontend
 * (address, port and protocol alike) that stands twice is an error that names both
 * places; the later service is left out and the rest used. So is what is beyond
 * the limits (services and endpoints). An exact port and port 0 are no conflict:
 * the exact one is more specific. A service that is written into a registry and read
 * from there again, as another node with the same file has it, is left out silently. Pure.
 *
 * A merger remembers what it merged last. Services that are the same objects as then
 * are not looked into, so that one change among thousands costs a walk along
 * two lists of pointers. What it says is what it would say without its memory.
 */

/** What one registry declares: borrowed. */
struct fl_declaration {
	const char *registry;
	struct fl_service *const *services;
	size_t count;
};

struct fl_merger;

/** @return NULL when out of memory */
struct fl_merger *fl_merger_new(void);
/** NULL is welcome. */
void fl_merger_free(struct fl_merger *merger);

/**
 * Merge.
 * @param generation  of the snapshot, if it is another one than last time
 * @param ret  one reference; the last snapshot again when the declarations and limits
 *             are what they were
 * @return 0 with *ret set even when problems were added; -ENOMEM
 */
int fl_merger_merge(struct fl_merger *merger, const struct fl_declaration *declarations,
	size_t count, const struct fl_limits *limits, uint64_t generation,
	struct fl_problems *problems, struct fl_snapshot **ret);

/** The same without memory of what was before. */
int fl_snapshot_merge(const struct fl_declaration *declarations, size_t count,
	const struct fl_limits *limits, uint64_t generation, struct fl_problems *problems,
	struct fl_snapshot **ret);
