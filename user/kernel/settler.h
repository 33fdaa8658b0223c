/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "kernel/maps.h"
#include "kernel/tables.h"
#include "model/ids.h"
#include "model/snapshot.h"

/**
 * @file settler.h
 * Brings slots that move to rest: balance/settle.h, which has the rules, over all
 * tables and pins there are. Part of the writer.
 *
 * Slots whose old flows have been silent for long enough are held; the old table
 * of a changed size goes when none of the new one's slots needs it. A sweep walks
 * all pins, deletes those that nobody needs, and settles held slots that had none.
 * It also finds out which endpoints are held by anything, so that the numbers of
 * those that left can be given out again.
 */
struct fl_settler;

/** What was done since the start. */
struct fl_settle_counts {
	uint64_t held;       /**< slots */
	uint64_t settled;    /**< slots */
	uint64_t resized;    /**< changes of size that came to an end */
	uint64_t sweeps;     /**< walks over all pins */
	uint64_t pins_freed; /**< by them */
};

/** Borrows all three. @return NULL when out of memory */
struct fl_settler *fl_settler_new(
	struct fl_maps *maps, const struct fl_ids *ids, struct fl_tables *tables);
/** NULL is welcome. */
void fl_settler_free(struct fl_settler *settler);

/** The snapshot in force: how long flows of a service may be silent. Until the
 * first, and for services that are not in it, slots stay as they are. */
void fl_settler_follow(struct fl_settler *settler, struct fl_snapshot *snapshot);

/** Every second: hold what is due, and end changes of size. Walks the tables that move. */
void fl_settler_tick(struct fl_settler *settler, uint32_t now_s, struct fl_writes *writes);
/**
 * Whether to sweep now: every ten seconds, more often for short silences, while slots
 * move or pins are left of that. At least FL_GRACE_S after the end of the sweep
 * before, by whichever agent.
 * @param any_resting  numbers of endpoints rest, which a sweep may free
 */
bool fl_settler_sweep_is_due(const struct fl_settler *settler, bool any_resting, uint32_t now_s);
/**
 * Walk all pins, and the tables whose endpoints left, when it is due.
 * @param writes  counts are added
 * @return 0, -ENOMEM, -errno; on failure nothing was settled
 */
int fl_settler_sweep(struct fl_settler *settler, uint32_t now_s, struct fl_writes *writes);
/** Whether the last sweep found the endpoint's number in no slot and no pin. It
 * must have been resting for FL_GRACE_S seconds when that began. */
bool fl_settler_found_unused(const struct fl_settler *settler, uint32_t endpoint);

const struct fl_settle_counts *fl_settler_counts(const struct fl_settler *settler);
