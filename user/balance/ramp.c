/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "balance/ramp.h"

#include <math.h>

#define STEP_MIN_MS 5000
#define STEPS_MAX   20

uint64_t fl_ramp_step_ms(const struct fl_slow_start *slow_start)
{
	uint64_t part = (uint64_t)slow_start->window_s * 1000 / STEPS_MAX;

	return part > STEP_MIN_MS ? part : STEP_MIN_MS;
}

uint16_t fl_ramp_permille(const struct fl_slow_start *slow_start, uint64_t elapsed_ms)
{
	uint64_t window_ms = (uint64_t)slow_start->window_s * 1000;
	double least = slow_start->min_percent / 100.0, part;

	if (elapsed_ms >= window_ms)
		return FL_RAMP_WHOLE;
	elapsed_ms -= elapsed_ms % fl_ramp_step_ms(slow_start);
	if (elapsed_ms < 1000)
		elapsed_ms = 1000;
	part = pow(
		(double)elapsed_ms / (double)window_ms, 100.0 / slow_start->aggression_hundredths);
	part = round(1000 * fmin(1, fmax(least, part)));
	return part < 1 ? 1 : (uint16_t)part;
}
