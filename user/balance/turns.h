/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

/**
 * @file turns.h
 * Schedules for round robin: who is next, by weight and well mixed.
 *
 * nginx's smooth weighted round robin (Igor Sysoev's change "upstream: smooth weighted
 * round-robin balancing" of 2012): in every turn each member earns its weight, the
 * richest is served and pays what all earned. Weights 5, 1, 1 give a a b a c a a, not
 * five in a row. A whole schedule holds each member as often as its weight says, and
 * any beginning of it does so within one turn.
 *
 * Weights are reduced by their greatest common divisor first; a schedule that would
 * still be longer than `max` turns is one of `max` turns or a little fewer, in which
 * each has its share, rounded down, but one turn at least. Pure.
 */

/**
 * Make a schedule. Costs turns × different weights: a millisecond at most for 4096.
 * @param weights  `count` of them, none 0
 * @param max      room in `turns`, not less than `count`; at most 65536
 * @param turns    set: members' numbers, from 0
 * @return how many turns it has; 0 = no members; -ENOMEM
 */
int fl_turns_make(const uint16_t *weights, size_t count, size_t max, uint16_t *turns);
