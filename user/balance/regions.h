/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

/**
 * @file regions.h
 * Where in the flat array of slots each table lies: an allocator of ranges.
 *
 * First fit. A packet that has read a service's region just before it changed
 * may still look into the old one, so a range that is given back rests for a
 * second before it is taken again. Pure: times are handed in.
 */
struct fl_regions;

/** @return NULL when out of memory */
struct fl_regions *fl_regions_new(uint32_t slots);
/** NULL is welcome. */
void fl_regions_free(struct fl_regions *regions);
/** @return 0, -ENOSPC, -ENOMEM */
int fl_regions_take(struct fl_regions *regions, uint32_t size, uint32_t *ret_base);
/** Mark a range found in pinned maps as taken. @return 0, -EEXIST (overlaps), -ERANGE, -ENOMEM */
int fl_regions_adopt(struct fl_regions *regions, uint32_t base, uint32_t size);
/** Give back the range that was taken or adopted at `base`. It rests until
 * fl_regions_rest is called more than a whole second later. */
void fl_regions_give(struct fl_regions *regions, uint32_t base, uint32_t now_s);
/** Make those free that rested long enough. Since seconds are cut, that is when
 * `now_s` has grown by two. */
void fl_regions_rest(struct fl_regions *regions, uint32_t now_s);
/** Slots taken; those that rest count too, since nobody can have them. */
uint32_t fl_regions_in_use(const struct fl_regions *regions);
