/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balance/turns.h"

#define MOST 4096

static uint16_t weights[MOST], turns[MOST];
static unsigned counts[MOST];

static const struct story {
	const char *name;
	uint16_t weights[4]; /* until the first 0 */
	const char *turns;   /* 'a' = the first member */
} stories[] = {
	{ "nobody", { 0 }, "" },
	{ "one alone", { 7 }, "a" },
	{ "equal ones in their order", { 3, 3, 3 }, "abc" },
	{ "nginx's own example", { 5, 1, 1 }, "aabacaa" },
	{ "what they have in common is taken out", { 10, 2, 2 }, "aabacaa" },
	{ "one third and two thirds", { 2, 1 }, "aba" },
};

Test(turns, stories)
{
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		const struct story *s = &stories[i];
		size_t count = 0;
		char said[MOST + 1];
		int n;

		while (count < 4 && s->weights[count])
			count++;
		n = fl_turns_make(s->weights, count, MOST, turns);
		cr_assert_geq(n, 0);
		for (int t = 0; t < n; t++)
			said[t] = (char)('a' + turns[t]);
		said[n] = '\0';
		cr_expect_str_eq(said, s->turns, "%s: %s", s->name, said);
	}
}

static void count_turns(size_t count, int n)
{
	memset(counts, 0, sizeof(counts));
	for (int t = 0; t < n; t++) {
		cr_assert_lt(turns[t], count);
		counts[turns[t]]++;
	}
}

/* How far any member's count is from its exact part, over all windows from a to b. Those
 * that begin a schedule stand for all: it repeats. */
static void expect_smooth(size_t count, int n, uint64_t sum, const char *name)
{
	memset(counts, 0, sizeof(counts));
	for (int t = 0; t < n; t++) {
		counts[turns[t]]++;
		for (size_t i = 0; i < count; i++) {
			double exact = (double)(t + 1) * weights[i] / (double)sum;

			cr_assert_leq(fabs(counts[i] - exact), 1.0 + 1e-9,
				"%s: member %zu of weight %u had %u of %d turns", name, i,
				weights[i], counts[i], t + 1);
		}
	}
}

Test(turns, every_beginning_is_within_one_turn_of_the_weights)
{
	srandom(7);
	for (int round = 0; round < 200; round++) {
		size_t count = 1 + (size_t)random() % 40;
		uint64_t sum = 0;
		char name[32];
		int n;

		for (size_t i = 0; i < count; i++)
			sum += weights[i] = (uint16_t)(1 + random() % (round % 2 ? 100 : 5));
		n = fl_turns_make(weights, count, MOST, turns);
		cr_assert_gt(n, 0);
		cr_assert_eq(sum % (unsigned)n, 0, "a whole schedule has every weight in it");
		snprintf(name, sizeof(name), "round %d", round);
		expect_smooth(count, n, sum, name);
		for (size_t i = 0; i < count; i++)
			cr_assert_eq(counts[i] * (sum / (unsigned)n), weights[i], "%s", name);
	}
}

/* As nginx has it, word by word. */
static void take_plainly(size_t count, int64_t sum, uint16_t *ret)
{
	static int64_t purse[MOST];

	memset(purse, 0, sizeof(purse));
	for (int64_t turn = 0; turn < sum; turn++) {
		size_t best = 0;

		for (size_t i = 0; i < count; i++)
			purse[i] += weights[i];
		for (size_t i = 1; i < count; i++)
			if (purse[i] > purse[best])
				best = i;
		purse[best] -= sum;
		ret[turn] = (uint16_t)best;
	}
}

Test(turns, the_same_as_done_plainly)
{
	static uint16_t plain[MOST];

	srandom(5);
	for (int round = 0; round < 300; round++) {
		size_t count = 2 + (size_t)random() % 60;
		int64_t sum = 1;
		int n;

		weights[0] = 1; /* nothing in common */
		for (size_t i = 1; i < count; i++)
			sum += weights[i] = (uint16_t)(1 + random() % (round % 3 ? 4 : 50));
		n = fl_turns_make(weights, count, MOST, turns);
		cr_assert_eq(n, sum);
		take_plainly(count, sum, plain);
		cr_assert_arr_eq(turns, plain, (size_t)n * sizeof(turns[0]), "round %d", round);
	}
}

/* A window of any place and length: two of its beginnings apart, so within two turns. */
Test(turns, every_window_is_smooth)
{
	static const uint16_t given[] = { 13, 1, 5, 2, 2, 7, 1, 31 };
	const unsigned sum = 62;
	int n = fl_turns_make(given, 8, MOST, turns);

	cr_assert_eq(n, (int)sum);
	for (int from = 0; from < n; from++) {
		memset(counts, 0, sizeof(counts));
		for (int length = 1; length <= n; length++) {
			counts[turns[(from + length - 1) % n]]++;
			for (int i = 0; i < 8; i++)
				cr_assert_lt(
					fabs(counts[i] - (double)length * given[i] / sum), 2.0);
		}
	}
}

Test(turns, too_long_a_schedule_is_rounded_to_shares)
{
	uint64_t sum = 0;
	int n;

	srandom(11);
	for (size_t i = 0; i < 100; i++)
		sum += weights[i] = (uint16_t)(1 + random() % 65535);
	weights[0] = 1;
	n = fl_turns_make(weights, 100, MOST, turns);
	cr_assert_leq(n, MOST);
	cr_assert_geq(n, MOST - 100);
	count_turns(100, n);
	cr_expect_eq(counts[0], 1, "the smallest is not left out");
	for (size_t i = 0; i < 100; i++)
		cr_expect_leq(fabs(counts[i] - (double)weights[i] * MOST / (double)sum), 2.0,
			"member %zu of weight %u has %u turns", i, weights[i], counts[i]);
}

Test(turns, as_many_members_as_there_is_room)
{
	int n;

	for (size_t i = 0; i < MOST; i++)
		weights[i] = i % 2 ? 65535 : 1;
	n = fl_turns_make(weights, MOST, MOST, turns);
	cr_assert_eq(n, MOST);
	count_turns(MOST, n);
	for (size_t i = 0; i < MOST; i++)
		cr_assert_eq(counts[i], 1);
}
