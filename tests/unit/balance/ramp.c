/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "balance/ramp.h"

#include <criterion/criterion.h>

TestSuite(ramp);

/* Envoy's documentation of slow start: with aggression 1 the weight grows linearly, 2 makes
 * it the square root of the time that has passed, and min_weight_percent (10) is the least. */
Test(ramp, grows_as_envoy_has_it)
{
	static const struct {
		const char *name;
		struct fl_slow_start slow_start;
		uint64_t elapsed_ms;
		uint16_t permille;
	} rows[] = {
		{ "at once", { 60, 100, 10 }, 0, 100 },
		{ "the least stands", { 60, 100, 10 }, 5000, 100 },
		{ "a sixth", { 60, 100, 10 }, 10000, 167 },
		{ "half", { 60, 100, 10 }, 30000, 500 },
		{ "steps of 5 s", { 60, 100, 10 }, 34999, 500 },
		{ "the next step", { 60, 100, 10 }, 35000, 583 },
		{ "the end", { 60, 100, 10 }, 60000, 1000 },
		{ "long after", { 60, 100, 10 }, UINT64_MAX, 1000 },
		{ "aggression 2: the root", { 100, 200, 10 }, 25000, 500 },
		{ "aggression 2: at once", { 100, 200, 1 }, 0, 100 },
		{ "aggression 1/2: the square", { 100, 50, 1 }, 50000, 250 },
		{ "aggression 1/2: the least", { 100, 50, 30 }, 50000, 300 },
		{ "a second, at the least", { 20, 100, 1 }, 0, 50 },
		{ "a long one in twenty steps", { 2000, 100, 1 }, 299999, 100 },
		{ "never nothing", { 86400, 10, 1 }, 0, 10 },
		{ "all at once", { 60, 100, 100 }, 0, 1000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(fl_ramp_permille(&rows[i].slow_start, rows[i].elapsed_ms),
			rows[i].permille, "%s: %u", rows[i].name,
			fl_ramp_permille(&rows[i].slow_start, rows[i].elapsed_ms));
}
