/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

/**
 * @file regions.h
 * Where in the flat array of slots each table lies: an allocator of ranges.
 * Pure. First fit; a freed range rests until the caller says that no packet can
 * still read it.
 */
struct fl_regions;

struct fl_regions *fl_regions_new(uint32_t slots);
void fl_regions_free(struct fl_regions *regions);
/** @return 0, -ENOSPC, -ENOMEM */
int fl_regions_take(struct fl_regions *regions, uint32_t size, uint32_t *ret_base);
/** Mark a range found in pinned maps as taken. @return 0, -EEXIST (overlaps), -ERANGE, -ENOMEM */
int fl_regions_adopt(struct fl_regions *regions, uint32_t base, uint32_t size);
/** Give back; it can be taken again from `now_s` + 1 s on. */
void fl_regions_give(struct fl_regions *regions, uint32_t base, uint32_t now_s);
/** Make those free that rested long enough. */
void fl_regions_rest(struct fl_regions *regions, uint32_t now_s);
uint32_t fl_regions_in_use(const struct fl_regions *regions); /**< slots taken */
