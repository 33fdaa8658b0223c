/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"
#include "kernel/maps.h"
#include "kernel/pools.h"
#include "kernel/stale.h"
#include "model/plan.h"

/**
 * @file writer.h
 * Carries plans out in the maps: each step compares first and writes only what
 * differs, so that it can be repeated, and counts its writes.
 */
struct fl_writes {
	uint64_t slots; /**< 8-byte stores into `slots` */
	uint64_t services;
	uint64_t names;
	uint64_t endpoints;
	uint64_t frontends;
	uint64_t slots_moved; /**< slots whose `now` changed in tables that stayed in place */
};

struct fl_writer;
struct fl_settle_counts; /* settler.h */

/**
 * Adopts ids, tables and frontends from the maps. Keep `maps` while it lives.
 * @return 0, -EPROTO (what the maps hold contradicts itself), -ENOMEM, -errno
 */
int fl_writer_new(struct fl_maps *maps, struct fl_failure *failure, struct fl_writer **ret);
/** NULL is welcome. */
void fl_writer_free(struct fl_writer *writer);

/** From now on there is a node path: write its pools, too. Borrowed; it must outlive
 * the writer. A plan from nothing writes those that lack. */
void fl_writer_use_pools(struct fl_writer *writer, struct fl_pools *pools);

/** Tell about endpoints that go and return; NULL = nobody. It must outlive the writer. */
void fl_writer_use_stale(struct fl_writer *writer, struct fl_stale *stale);

/**
 * Give ids to every service of a snapshot. Those that are the same objects as in the
 * snapshot in force (fl_writer_follow) have theirs, and are not looked into.
 * @return 0, -ENOSPC with words, -ENOMEM; on failure the numbers given for it are
 *         taken back, and the ids in `snapshot` mean nothing
 */
int fl_writer_assign(
	struct fl_writer *writer, struct fl_snapshot *snapshot, struct fl_failure *failure);
/**
 * The same in parts: give ids to so many more services. Nothing else may be asked of
 * the writer, and `snapshot` must live, until it has answered otherwise than with 1.
 * @return 1 = call it again, 0 = all have theirs, and errors as above
 */
int fl_writer_assign_some(struct fl_writer *writer, struct fl_snapshot *snapshot, size_t services,
	struct fl_failure *failure);

/**
 * Carry one step out.
 * @param now_s  CLOCK_BOOTTIME seconds
 * @return 0, -ENOSPC (no room for a table: says so), -errno
 */
int fl_writer_step(struct fl_writer *writer, const struct fl_step *step, uint32_t now_s,
	struct fl_failure *failure);

/** After a restart or a plan that failed: remove whatever the maps hold that
 * `snapshot` (with ids) does not. Walks all maps of the writer. @return 0, -ENOMEM, -errno */
int fl_writer_prune(struct fl_writer *writer, const struct fl_snapshot *snapshot, uint32_t now_s,
	struct fl_failure *failure);

/** This snapshot is in force. Keeps a reference: it says how long flows may be
 * silent, and which tables wait for another size. */
void fl_writer_follow(struct fl_writer *writer, struct fl_snapshot *snapshot);

/**
 * Look once, about every second: bring slots that moved to rest, lower states that
 * had to wait for them, and free the ids and slots that nothing holds any more.
 * @return 0; -errno when pins could not be walked (tried again later)
 */
int fl_writer_tick(struct fl_writer *writer, uint32_t now_s);

/** Totals since fl_writer_new. */
const struct fl_writes *fl_writer_writes(const struct fl_writer *writer);
/** What became of slots that moved. */
const struct fl_settle_counts *fl_writer_settle_counts(const struct fl_writer *writer);
/** Slots in use over all tables. */
uint32_t fl_writer_slots_in_use(const struct fl_writer *writer);
