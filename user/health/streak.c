/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/streak.h"

/* Of an interval, at most one part in so many is taken away. */
#define JITTER_PARTS 10

bool fl_streak_feed(struct fl_streak *streak, const struct fl_check *check, bool ok)
{
	if (!streak->decided) {
		*streak = (struct fl_streak){ .decided = true, .up = ok };
		return true;
	}
	if (ok == streak->up) {
		streak->length = 0;
		return false;
	}
	streak->length++;
	if (streak->length < (streak->up ? check->fall : check->rise))
		return false;
	streak->up = ok;
	streak->length = 0;
	return true;
}

/* A number below `limit` of random bits. */
static uint32_t below(uint32_t limit, uint32_t random)
{
	return (uint32_t)((uint64_t)random * limit >> 32);
}

uint32_t fl_streak_next_ms(
	const struct fl_streak *streak, const struct fl_check *check, uint32_t random)
{
	uint32_t ms = check->interval_ms;

	if (streak->decided && streak->length && check->fast_interval_ms)
		ms = check->fast_interval_ms;
	else if (streak->decided && !streak->up && check->down_interval_ms)
		ms = check->down_interval_ms;
	return ms - below(ms / JITTER_PARTS + 1, random);
}

uint32_t fl_streak_first_ms(const struct fl_check *check, uint32_t random)
{
	return below(check->interval_ms + 1, random);
}
