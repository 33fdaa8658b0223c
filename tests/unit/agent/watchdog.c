/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/watchdog.h"

#include <criterion/criterion.h>

TestSuite(watchdog);

Test(watchdog, half_of_the_time_that_is_allowed)
{
	static const struct {
		const char *usec, *pid;
		uint64_t ms;
	} rows[] = {
		{ "30000000", NULL, 15000 },
		{ "30000000", "7", 15000 },
		{ "30000000", "", 15000 },
		{ "30000000", "8", 0 },
		{ "30000000", "7x", 0 },
		{ "1000", NULL, 1 },
		{ "0", NULL, 0 },
		{ "", NULL, 0 },
		{ "soon", NULL, 0 },
		{ "-5", NULL, 0 },
		{ "99999999999999999999999", NULL, 0 },
		{ NULL, "7", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(fl_watchdog_interval_ms(rows[i].usec, rows[i].pid, 7), rows[i].ms,
			"row %zu", i);
}

static uint64_t at(void *context)
{
	return *(uint64_t *)context;
}

Test(watchdog, work_that_stands_still_is_noticed)
{
	/* Below each look at the work: '.' all is well, '!' it is not. */
	static const struct {
		const char *name;
		uint64_t work[8];
		const char *well;
	} rows[] = {
		{ "nothing to do", { 0, 0, 0, 0, 0, 0, 0, 0 }, "........" },
		{ "it goes on", { 1, 2, 3, 4, 5, 6, 7, 8 }, "........" },
		{ "it is stuck", { 3, 3, 3, 3, 3, 3, 3, 3 }, "....!!!!" },
		{ "it was slow", { 3, 3, 3, 3, 4, 4, 0, 0 }, "........" },
		{ "it goes on in the end", { 3, 3, 3, 3, 3, 4, 5, 0 }, "....!..." },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t work;
		struct fl_watchdog watchdog = { .progress = at, .context = &work };

		for (size_t look = 0; look < 8; look++) {
			work = rows[i].work[look];
			cr_expect_eq(fl_watchdog_look(&watchdog), rows[i].well[look] == '.',
				"%s, look %zu", rows[i].name, look);
		}
	}
}
