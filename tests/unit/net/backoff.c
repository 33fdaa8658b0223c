/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

#include "net/backoff.h"

/* ------------------------------------------------------------------ backoff */

struct wait_row {
	char name[48];
	uint32_t base_ms, cap_ms, failures, random, expect_ms;
};

ParameterizedTestParameters(backoff, wait)
{
	static struct wait_row rows[] = {
		{ "the least of the first wait", 1000, 30000, 0, 0, 1 },
		{ "the most of the first wait", 1000, 30000, 0, UINT32_MAX, 1000 },
		{ "the middle of the first wait", 1000, 30000, 0, 1u << 31, 501 },
		{ "the third is up to four times as long", 1000, 30000, 2, UINT32_MAX, 4000 },
		{ "the cap", 1000, 30000, 5, UINT32_MAX, 30000 },
		{ "far beyond what 32 bits hold", 1000, 30000, 4000000000u, UINT32_MAX, 30000 },
		{ "no time at all is a millisecond", 0, 0, 7, UINT32_MAX, 1 },
		{ "a base above the cap", 5000, 100, 0, UINT32_MAX, 100 },
		{ "a cap of all 32 bits", UINT32_MAX, UINT32_MAX, 9, UINT32_MAX, UINT32_MAX },
	};

	return cr_make_param_array(struct wait_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct wait_row *row, backoff, wait)
{
	struct fl_backoff backoff = { row->base_ms, row->cap_ms, row->failures };

	cr_expect_eq(fl_backoff_next(&backoff, row->random), row->expect_ms, "%s", row->name);
}

Test(backoff, grows_with_failures_until_it_worked)
{
	static const uint32_t expected[] = { 100, 200, 400, 800, 1000, 1000 };
	struct fl_backoff backoff = { 100, 1000, 0 };

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++)
			cr_expect_eq(fl_backoff_next(&backoff, UINT32_MAX), expected[i], "%zu", i);
		fl_backoff_reset(&backoff);
	}
}

/* -------------------------------------------------------------- Retry-After */

#define NOW_S 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110's own example */

struct retry_row {
	char name[40];
	char value[48];
	uint32_t expect_ms;
};

ParameterizedTestParameters(backoff, retry_after)
{
	static struct retry_row rows[] = {
		{ "seconds", "120", 120000 },
		{ "none", "0", 0 },
		{ "an hour at most", "86400", 3600000 },
		{ "more than 64 bits", "99999999999999999999999", 3600000 },
		{ "not negative", "-5", 0 },
		{ "a unit", "5s", 0 },
		{ "a date", "Sun, 06 Nov 1994 08:49:47 GMT", 10000 },
		{ "RFC 850's date", "Sunday, 06-Nov-94 08:49:47 GMT", 10000 },
		{ "asctime's date", "Sun Nov  6 08:49:47 1994", 10000 },
		{ "a date long gone", "Sun, 06 Nov 1984 08:49:37 GMT", 0 },
		{ "a date far away", "Sun, 06 Nov 2094 08:49:37 GMT", 3600000 },
		{ "words", "later", 0 },
		{ "nothing", "", 0 },
	};

	return cr_make_param_array(struct retry_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct retry_row *row, backoff, retry_after)
{
	cr_expect_eq(fl_retry_after_ms(row->value, NOW_S), row->expect_ms, "%s: %u", row->name,
		fl_retry_after_ms(row->value, NOW_S));
}
