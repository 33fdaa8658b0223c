/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"
#include "kernel/maps.h"
#include "model/ids.h"
#include "model/snapshot.h"

/**
 * @file numbering.h
 * Gives numbers to the services of a snapshot, some at a time, and has the rows of
 * these numbers at hand. Part of the writer.
 *
 * Services that are the same objects as in the snapshot in force have theirs already.
 */
struct fl_numbering {
	struct fl_maps *maps;
	struct fl_ids *ids;
	uint32_t *room; /**< for every endpoint's number; used within calls and until the last */
	/** The services of the snapshot in force have their numbers for sure. Its follower
	 * sets this; a snapshot that did not fit clears it. */
	bool in_force_is_known;
	/* Private. */
	const struct fl_snapshot *snapshot; /**< NULL = none is under way */
	struct fl_snapshot_change at;
	uint32_t services, endpoints; /**< the highest numbers given */
	size_t rested;                /**< how many rested before it, in `room` */
};

/**
 * Number so many more services of a snapshot; begins when it is another one than in
 * the last call.
 * @param in_force  may be NULL
 * @return 1 = call it again, 0 = all have theirs; -ENOSPC with words, -ENOMEM: all
 *         that were given for it are taken back
 */
int fl_numbering_go_on(struct fl_numbering *numbering, const struct fl_snapshot *in_force,
	const struct fl_snapshot *snapshot, size_t services, uint32_t now_s,
	struct fl_failure *failure);
