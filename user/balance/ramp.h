/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

/**
 * @file ramp.h
 * Slow start: an endpoint that came up gets a growing part of its weight, so that caches
 * warm and pools fill. The formula is Envoy's (documentation, "Slow start mode"):
 *
 *     weight × max(min_weight, time_factor ^ (1 / aggression))
 *     time_factor = max(time since it came up, 1 s) / window
 *
 * The time moves in steps, since on the edge path each step moves slots, and these need rest
 * between changes. Pure: times are handed in.
 */
struct fl_slow_start {
	uint32_t window_s;              /**< 0 = off */
	uint16_t aggression_hundredths; /**< 100 = linear; more is faster in the beginning */
	uint8_t min_percent;            /**< that it gets at once */
};
#define FL_AGGRESSION_DEFAULT  100
#define FL_MIN_PERCENT_DEFAULT 10

/** The whole weight. */
#define FL_RAMP_WHOLE 1000

/** How long a step takes: 5 s, or a twentieth of the window if that is longer. */
uint64_t fl_ramp_step_ms(const struct fl_slow_start *slow_start);

/** @param elapsed_ms  since it came up @return thousandths of its weight, 1 - FL_RAMP_WHOLE */
uint16_t fl_ramp_permille(const struct fl_slow_start *slow_start, uint64_t elapsed_ms);
