/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/damping.h"

#include <math.h>

#define HOLD_ABOVE    2.5
#define RELEASE_BELOW 1.0
#define MOST          6.0

static void decay(struct fl_damping *d, uint32_t half_life_ms, uint64_t now_ms)
{
	if (now_ms > d->at_ms)
		d->points *= exp2(-(double)(now_ms - d->at_ms) / half_life_ms);
	d->at_ms = now_ms;
}

void fl_damping_add(struct fl_damping *d, uint32_t half_life_ms, uint64_t now_ms)
{
	decay(d, half_life_ms, now_ms);
	d->points = d->points + 1 > MOST ? MOST : d->points + 1;
}

bool fl_damping_look(struct fl_damping *d, uint32_t half_life_ms, uint64_t now_ms)
{
	decay(d, half_life_ms, now_ms);
	if (d->points > HOLD_ABOVE)
		d->held = true;
	else if (d->points < RELEASE_BELOW)
		d->held = false;
	return d->held;
}
