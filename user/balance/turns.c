/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "balance/turns.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/cleanup.h"

struct member {
	int64_t share; /**< turns it has in the schedule */
	uint16_t number;
};

/* Members with the same share earn alike, so among them the richest is always the one
 * that was served longest ago: a queue. There are few: no more than 90 different
 * shares are 4096 turns in sum. */
struct queue {
	int64_t share;
	const struct member *members; /* by number */
	int64_t count;
	int64_t served; /* of them all, so far */
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

static int by_share(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->share != y->share)
		return x->share < y->share ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* @return how many queues */
static size_t make_queues(const struct member *members, size_t count, struct queue *queues)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (n == 0 || queues[n - 1].share != members[i].share)
			queues[n++] = (struct queue){ members[i].share, &members[i], 0, 0 };
		queues[n - 1].count++;
	}
	return n;
}

static uint16_t head_of(const struct queue *queue)
{
	return queue->members[queue->served % queue->count].number;
}

/* What the head of a queue has earned in so many turns, and not paid. */
static int64_t purse_of(const struct queue *queue, int64_t turns, int64_t sum)
{
	return turns * queue->share - queue->served / queue->count * sum;
}

static struct queue *richest(struct queue *queues, size_t count, int64_t turns, int64_t sum)
{
	struct queue *best = &queues[0];

	for (size_t i = 1; i < count; i++) {
		int64_t purse = purse_of(&queues[i], turns, sum), most = purse_of(best, turns, sum);

		if (purse > most || (purse == most && head_of(&queues[i]) < head_of(best)))
			best = &queues[i];
	}
	return best;
}

static int take_turns(struct member *members, size_t count, int64_t sum, uint16_t *turns)
{
	_cleanup_free_ struct queue *queues = calloc(count, sizeof(*queues));
	size_t n;

	if (!queues)
		return -ENOMEM;
	qsort(members, count, sizeof(*members), by_share);
	n = make_queues(members, count, queues);
	for (int64_t turn = 0; turn < sum; turn++) {
		struct queue *next = richest(queues, n, turn + 1, sum);

		turns[turn] = head_of(next);
		next->served++;
	}
	return (int)sum;
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
		members[i] = (struct member){ weights[i], (uint16_t)i };
	reduce(members, count);
	sum = sum_of(members, count);
	if (sum > (int64_t)max) {
		round_to(members, count, (int64_t)max);
		reduce(members, count);
		sum = sum_of(members, count);
	}
	return take_turns(members, count, sum, turns);
}
