/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "balance/turns.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/cleanup.h"

struct member {
	int64_t share; /**< turns it has in the schedule */
	int64_t purse; /**< what it has earned and not paid */
};

static int64_t common_divisor(int64_t a, int64_t b)
{
	while (b) {
		int64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static int64_t sum_of(const struct member *members, size_t count)
{
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += members[i].share;
	return sum;
}

static void reduce(struct member *members, size_t count)
{
	int64_t divisor = 0;

	for (size_t i = 0; i < count; i++)
		divisor = common_divisor(members[i].share, divisor);
	for (size_t i = 0; i < count; i++)
		members[i].share /= divisor;
}

/* Members whose share is less than one turn get one; the others share the rest. */
static void round_to(struct member *members, size_t count, int64_t max)
{
	int64_t sum = sum_of(members, count), small = 0, large = 0;

	for (size_t i = 0; i < count; i++) {
		if (members[i].share * max < sum)
			small++;
		else
			large += members[i].share;
	}
	for (size_t i = 0; i < count; i++) {
		int64_t share =
			members[i].share * max < sum ? 0 : members[i].share * (max - small) / large;

		members[i].share = share ? share : 1;
	}
}

static uint16_t richest(const struct member *members, size_t count)
{
	size_t best = 0;

	for (size_t i = 1; i < count; i++)
		if (members[i].purse > members[best].purse)
			best = i;
	return (uint16_t)best;
}

static void take_turns(struct member *members, size_t count, int64_t sum, uint16_t *turns)
{
	for (int64_t turn = 0; turn < sum; turn++) {
		for (size_t i = 0; i < count; i++)
			members[i].purse += members[i].share;
		turns[turn] = richest(members, count);
		members[turns[turn]].purse -= sum;
	}
}

int fl_turns_make(const uint16_t *weights, size_t count, size_t max, uint16_t *turns)
{
	_cleanup_free_ struct member *members = calloc(count + 1, sizeof(*members));
	int64_t sum;

	assert(count <= max);
	assert(max <= UINT16_MAX + 1);

	if (!members)
		return -ENOMEM;
	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		members[i].share = weights[i];
	reduce(members, count);
	if (sum_of(members, count) > (int64_t)max) {
		round_to(members, count, (int64_t)max);
		reduce(members, count);
	}
	sum = sum_of(members, count);
	if (sum == (int64_t)count) /* all of them 1: they take turns in their order */
		for (size_t i = 0; i < count; i++)
			turns[i] = (uint16_t)i;
	else
		take_turns(members, count, sum, turns);
	return (int)sum;
}
