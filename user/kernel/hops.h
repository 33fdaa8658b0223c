/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

#include "fairlead/abi.h"

/**
 * @file hops.h
 * The rows of the map `nexthops`: equal answers share a row, counted by
 * reference.
 *
 * A row is immutable while anybody names it, and rests for FL_HOPS_REST_MS after
 * that, so that a program which has just read its index still finds what it
 * means. Pure but for the rows themselves, which are the map's memory.
 */
struct fl_hops;

#define FL_HOPS_REST_MS 1000

/** @param rows   `count` rows, of which row 0 is never used; borrowed
 * @return NULL when out of memory */
struct fl_hops *fl_hops_new(struct fl_nexthop_row *rows, uint32_t count);
/** Rows stay as they are. NULL is welcome. */
void fl_hops_free(struct fl_hops *hops);

/** Count a reference to a row that an earlier agent wrote. Only before the first
 * fl_hops_take(). @return 0, -ERANGE (there is no such row) */
int fl_hops_adopt(struct fl_hops *hops, uint32_t index);

/** A row with this content, and one reference to it.
 * @param now_ms  any clock that does not go back
 * @return 0, -ENOSPC (none is free and rested) */
int fl_hops_take(struct fl_hops *hops, const struct fl_nexthop_row *row, uint64_t now_ms,
	uint32_t *ret_index);

/** Give a reference back. Index 0 is welcome. */
void fl_hops_release(struct fl_hops *hops, uint32_t index, uint64_t now_ms);

/** All rows below this index, and no others, may be written by the next take. */
uint32_t fl_hops_bound(const struct fl_hops *hops);
/** Rows that somebody names. */
uint32_t fl_hops_in_use(const struct fl_hops *hops);
