/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdint.h>

#include "fairlead/eject.h"

static const struct duration {
	uint32_t base_s, ejections, expected_s;
} durations[] = {
	{ 10, 1, 10 },
	{ 10, 2, 20 },
	{ 10, 30, 300 },
	{ 10, 31, 300 },
	{ 10, 65535, 300 },
	{ 1, 299, 299 },
	{ 1, 65535, 300 },
	{ 3600, 1, 3600 }, /* fail_timeout itself is obeyed */
	{ 3600, 65535, 3600 },
};

Test(eject, each_is_longer_than_the_last)
{
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
		cr_expect_eq(fl_eject_s(durations[i].base_s, durations[i].ejections),
			durations[i].expected_s, "row %zu", i);
}

Test(eject, ejections_are_forgotten_one_by_one)
{
	cr_expect_eq(fl_eject_remembered(3, 10, 0), 3);
	cr_expect_eq(fl_eject_remembered(3, 10, 9), 3);
	cr_expect_eq(fl_eject_remembered(3, 10, 10), 2);
	cr_expect_eq(fl_eject_remembered(3, 10, 29), 1);
	cr_expect_eq(fl_eject_remembered(3, 10, 30), 0);
	cr_expect_eq(fl_eject_remembered(3, 10, UINT64_MAX), 0);
	cr_expect_eq(fl_eject_remembered(0, 10, 0), 0);
	cr_expect_eq(
		fl_eject_remembered(3, 0, 2), 1, "a pool of another shape is no division by 0");
}

static const struct share {
	const char *name;
	uint8_t max_ejected, panic;
	uint32_t members, others;
	bool allowed;
} shares[] = {
	{ "half of four: the second", 50, 0, 4, 1, true },
	{ "half of four: the third", 50, 0, 4, 2, false },
	{ "half of three: the first", 50, 0, 3, 0, true },
	{ "half of three: the second would be more", 50, 0, 3, 1, false },
	{ "one always", 0, 0, 4, 0, true },
	{ "but no second one", 0, 0, 4, 1, false },
	{ "also when there is no other", 50, 0, 1, 0, true },
	{ "all", 100, 0, 4, 3, true },
	{ "three of four must be left: the first", 100, 75, 4, 0, true },
	{ "three of four must be left: the second", 100, 75, 4, 1, false },
	{ "none may go, not even one", 100, 100, 4, 0, false },
	{ "panic counts for one alone, too", 50, 1, 1, 0, false },
	{ "none may go of none", 50, 1, 0, 0, false },
	{ "as many as a service may have", 50, 50, 4096, 2047, true },
	{ "and one more", 50, 50, 4096, 2048, false },
};

Test(eject, a_share_stays)
{
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		const struct share *s = &shares[i];
		const struct fl_pool_head head = { .max_ejected = s->max_ejected,
			.panic = s->panic };

		cr_expect_eq(fl_eject_is_allowed(&head, s->members, s->others), s->allowed, "%s",
			s->name);
	}
}
