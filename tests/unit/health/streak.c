/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/streak.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(streak);

/* '+' a good probe, '-' a bad one; below each, 'U' up or 'd' down. */
static const struct {
	const char *name;
	uint8_t rise, fall;
	const char *probes, *states;
} rows[] = {
	{ "the first probe decides: up", 2, 3, "+", "U" },
	{ "the first probe decides: down", 2, 3, "-", "d" },
	{ "one bad probe is forgiven", 2, 3, "+-+-+--+", "UUUUUUUU" },
	{ "three in a row go down", 2, 3, "+---", "UUUd" },
	{ "two in a row come back", 2, 1, "-+-++", "ddddU" },
	{ "rise 1 and fall 1 follow each probe", 1, 1, "+-+-", "UdUd" },
	{ "what came back falls like any other", 1, 2, "-+--", "dUUd" },
};

Test(streak, stories)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_check check = { .rise = rows[i].rise, .fall = rows[i].fall };
		struct fl_streak streak = { 0 };

		for (size_t at = 0; at < strlen(rows[i].probes); at++) {
			bool was = streak.up, decided = streak.decided;
			bool turned = fl_streak_feed(&streak, &check, rows[i].probes[at] == '+');

			cr_expect(streak.up == (rows[i].states[at] == 'U'), "%s: probe %zu",
				rows[i].name, at);
			cr_expect(turned == (!decided || was != streak.up), "%s: probe %zu turns",
				rows[i].name, at);
		}
	}
}

static const struct fl_check paces = { .interval_ms = 1000,
	.fast_interval_ms = 100,
	.down_interval_ms = 10000,
	.rise = 2,
	.fall = 3 };

Test(streak, the_pace_follows_the_state)
{
	struct fl_streak streak = { 0 };

	cr_assert_eq(fl_streak_next_ms(&streak, &paces, 0), 1000, "before the first");
	fl_streak_feed(&streak, &paces, true);
	cr_assert_eq(fl_streak_next_ms(&streak, &paces, 0), 1000, "up");
	fl_streak_feed(&streak, &paces, false);
	cr_assert_eq(fl_streak_next_ms(&streak, &paces, 0), 100, "changing");
	fl_streak_feed(&streak, &paces, false);
	fl_streak_feed(&streak, &paces, false);
	cr_assert_eq(fl_streak_next_ms(&streak, &paces, 0), 10000, "down");
	fl_streak_feed(&streak, &paces, true);
	cr_assert_eq(fl_streak_next_ms(&streak, &paces, 0), 100, "changing again");
}

Test(streak, without_other_paces_there_is_one)
{
	struct fl_check check = { .interval_ms = 700, .rise = 2, .fall = 2 };
	struct fl_streak streak = { .decided = true };

	cr_assert_eq(fl_streak_next_ms(&streak, &check, 0), 700);
	streak.length = 1;
	cr_assert_eq(fl_streak_next_ms(&streak, &check, 0), 700);
}

Test(streak, jitter_only_shortens_and_not_by_much)
{
	struct fl_streak streak = { .decided = true, .up = true };
	uint32_t least = UINT32_MAX, most = 0;

	for (uint64_t random = 0; random <= UINT32_MAX; random += 4099 * 977) {
		uint32_t ms = fl_streak_next_ms(&streak, &paces, (uint32_t)random);

		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
		cr_assert_leq(fl_streak_first_ms(&paces, (uint32_t)random), 1000);
	}
	cr_assert_eq(most, 1000);
	cr_assert_geq(least, 900);
	cr_assert_leq(least, 901);
	cr_assert_eq(fl_streak_first_ms(&paces, 0), 0);
	cr_assert_eq(fl_streak_first_ms(&paces, UINT32_MAX), 1000);
}
