/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/types.h>

#include "fairlead/abi.h"

/**
 * @file slot.h
 * The rules of one slot: pure, and the same in the programs, the agent and the
 * model test.
 *
 * A slot says where the flows that hash to it go. Layout of the 64 bits:
 *
 *     0-19 now | 20-31 since, low 12 bits | 32-51 before | 52-62 since, high 11 | 63 MOVING
 *
 * A settled slot has MOVING and `since` clear and before == now: it reads as two
 * equal u32. So one test of the sign tells settled from moving, and the time of
 * a change is written by the same store as the change. `since` is a boot second
 * modulo 2^23 (97 days); a slot that moves longer than that without an agent
 * looks younger than it is, which only makes it settle later.
 */

#define FL_SLOT_INDEX_MASK 0xfffffu
#define FL_SLOT_MOVING     (1ull << 63)
#define FL_SLOT_SINCE_MASK 0x7fffffu

static inline __attribute__((always_inline)) fl_slot fl_slot_settled(__u32 endpoint)
{
	return (__u64)endpoint << 32 | endpoint;
}

static inline __attribute__((always_inline)) fl_slot fl_slot_moving(
	__u32 now, __u32 before, __u32 since_s)
{
	since_s &= FL_SLOT_SINCE_MASK;
	return FL_SLOT_MOVING | (__u64)(since_s >> 12) << 52 | (__u64)before << 32 |
	       (since_s & 0xfff) << 20 | now;
}

static inline __attribute__((always_inline)) int fl_slot_is_moving(fl_slot s)
{
	return (__s64)s < 0;
}

/** Where new flows go. 0 = nowhere. */
static inline __attribute__((always_inline)) __u32 fl_slot_now(fl_slot s)
{
	return (__u32)s & FL_SLOT_INDEX_MASK;
}

/** Where flows without a pin are. 0 = nowhere. */
static inline __attribute__((always_inline)) __u32 fl_slot_before(fl_slot s)
{
	return (__u32)(s >> 32) & FL_SLOT_INDEX_MASK;
}

static inline __attribute__((always_inline)) __u32 fl_slot_since(fl_slot s)
{
	return (__u32)(s >> 52 & 0x7ff) << 12 | ((__u32)s >> 20);
}
