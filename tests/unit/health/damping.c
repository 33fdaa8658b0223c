/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/damping.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(damping);

#define HALF_LIFE_MS 8000u

/* One character a second: '-' it goes down, ' ' nothing; below, 'H' held or '.' not. */
static const struct {
	const char *name, *events, *states;
} rows[] = {
	{ "once is nothing", "-     ", "......" },
	{ "twice is nothing", "--    ", "......" },
	{ "three times in a row", "---   ", "..HHHH" },
	{ "slowly is nothing", "-       -       -       -", "........................." },
	{ "it ends after a while", "---                          ",
		"..HHHHHHHHHHHH..............." },
	{ "what goes on goes on", "---      -     -            ", "..HHHHHHHHHHHHHHHHHHHHHHHH.." },
};

Test(damping, stories)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_damping damping = { 0 };
		char states[64] = "";

		for (size_t at = 0; rows[i].events[at]; at++) {
			uint64_t now_ms = 1000000 + at * 1000;

			if (rows[i].events[at] == '-')
				fl_damping_add(&damping, HALF_LIFE_MS, now_ms);
			states[at] = fl_damping_look(&damping, HALF_LIFE_MS, now_ms) ? 'H' : '.';
		}
		cr_expect_str_eq(states, rows[i].states, "%s: %s", rows[i].name, states);
	}
}

Test(damping, however_long_it_was_it_is_over_after_a_while)
{
	struct fl_damping damping = { 0 };

	for (uint64_t now_ms = 0; now_ms < 1000; now_ms++)
		fl_damping_add(&damping, HALF_LIFE_MS, now_ms);
	cr_assert(fl_damping_look(&damping, HALF_LIFE_MS, 1000));
	cr_assert(fl_damping_look(&damping, HALF_LIFE_MS, 1000 + HALF_LIFE_MS * 25 / 10));
	cr_assert(!fl_damping_look(&damping, HALF_LIFE_MS, 1000 + HALF_LIFE_MS * 27 / 10));
}
