/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "balance/maglev.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/cleanup.h"

/* xxHash64 is specified to the bit, so nodes of different builds agree. The
 * seeds are the tables' own: another value is another table on every node. */
#define SEED_OFFSET 0x6f666673ull
#define SEED_SKIP   0x736b6970ull

/** One endpoint that takes turns. */
struct turn {
	uint32_t id;
	uint32_t weight;
	uint32_t rank; /**< place in the order by address and port; breaks ties */
	uint32_t next; /**< slot of its permutation that is tried next */
	uint32_t skip; /**< step of its permutation, 1 to size - 1 */
	uint64_t due;  /**< its turn k is due at (2k + 1) / weight, the first at 0 */
};

static bool is_prime(uint32_t n)
{
	if (n < 2)
		return false;
	for (uint32_t d = 2; (uint64_t)d * d <= n; d++) {
		if (n % d == 0)
			return false;
	}
	return true;
}

static int compare_entries(const void *a, const void *b)
{
	const struct fl_maglev_entry *x = *(const struct fl_maglev_entry *const *)a;
	const struct fl_maglev_entry *y = *(const struct fl_maglev_entry *const *)b;
	int order = fl_ip_compare(&x->addr, &y->addr);

	if (order == 0)
		order = (x->port > y->port) - (x->port < y->port);
	if (order == 0) /* no service has these; still one answer for each input */
		order = (x->weight < y->weight) - (x->weight > y->weight);
	return order;
}

static void turn_init(
	struct turn *turn, const struct fl_maglev_entry *entry, uint32_t rank, uint32_t size)
{
	uint8_t key[18];

	memcpy(key, &entry->addr, 16);
	key[16] = entry->port >> 8;
	key[17] = entry->port & 0xff;
	turn->id = entry->id;
	turn->weight = entry->weight;
	turn->rank = rank;
	turn->next = XXH64(key, sizeof(key), SEED_OFFSET) % size;
	turn->skip = size > 2 ? XXH64(key, sizeof(key), SEED_SKIP) % (size - 1) + 1 : 1;
	turn->due = 0;
}

/** Whether `a` comes before `b`: compares due / weight, without division. */
static bool is_sooner(const struct turn *a, const struct turn *b)
{
	uint64_t left = a->due * b->weight, right = b->due * a->weight;

	return left != right ? left < right : a->rank < b->rank;
}

/** Put the first of a heap, whose turn has moved back, where it belongs now. */
static void sink_first(struct turn *heap, size_t count)
{
	struct turn moved = heap[0];
	size_t i = 0, child;

	for (; (child = 2 * i + 1) < count; i = child) {
		if (child + 1 < count && is_sooner(&heap[child + 1], &heap[child]))
			child++;
		if (is_sooner(&moved, &heap[child]))
			break;
		heap[i] = heap[child];
	}
	heap[i] = moved;
}

static uint32_t step(uint32_t slot, uint32_t skip, uint32_t size)
{
	uint64_t next = (uint64_t)slot + skip;

	return (uint32_t)(next >= size ? next - size : next);
}

/** Give `turn` the next free slot of its permutation; there must be one. */
static void take_turn(struct turn *turn, uint32_t size, uint32_t *table, bool *taken)
{
	uint32_t slot = turn->next;

	while (taken[slot])
		slot = step(slot, turn->skip, size);
	table[slot] = turn->id;
	taken[slot] = true;
	turn->next = step(slot, turn->skip, size);
	turn->due = turn->due ? turn->due + 2 : 3;
}

/** Fill `turns` in the one order that every node agrees on. @return how many, -ENOMEM */
static ssize_t collect_turns(
	const struct fl_maglev_entry *entries, size_t count, uint32_t size, struct turn *turns)
{
	_cleanup_free_ const struct fl_maglev_entry **order = calloc(count + 1, sizeof(*order));
	size_t used = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (entries[i].weight > 0)
			order[used++] = &entries[i];
	}
	qsort(order, used, sizeof(*order), compare_entries);
	for (size_t i = 0; i < used; i++)
		turn_init(&turns[i], order[i], (uint32_t)i, size);
	return (ssize_t)used;
}

int fl_maglev_build(
	const struct fl_maglev_entry *entries, size_t count, uint32_t size, uint32_t *table)
{
	_cleanup_free_ struct turn *turns = NULL;
	_cleanup_free_ bool *taken = NULL;
	ssize_t used;

	assert(entries || count == 0);
	assert(table);

	if (!is_prime(size))
		return -EINVAL;
	turns = calloc(count + 1, sizeof(*turns));
	taken = calloc(size, sizeof(*taken));
	if (!turns || !taken)
		return -ENOMEM;
	used = collect_turns(entries, count, size, turns);
	if (used < 0)
		return (int)used;
	if (used == 0) {
		memset(table, 0, size * sizeof(*table));
		return 0;
	}

	/* `turns` is a heap by due time: all are due at 0, in order of rank. */
	for (uint32_t filled = 0; filled < size; filled++) {
		take_turn(&turns[0], size, table, taken);
		sink_first(turns, (size_t)used);
	}
	return 0;
}
