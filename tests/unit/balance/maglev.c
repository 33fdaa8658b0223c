/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "balance/maglev.h"

#define MOST    1000
#define LARGEST 65537

static struct fl_maglev_entry entries[MOST];
static uint32_t table[LARGEST], other[LARGEST];
static uint32_t counts[MOST + 1];

/* Endpoints 10.0.x.y:80 of weight 1, with ids from 1 on. */
static void make(size_t count)
{
	for (size_t i = 0; i < count; i++)
		entries[i] = (struct fl_maglev_entry){
			.addr = fl_ip_from_ipv4((__be32)(0x0a | (i / 256) << 16 | (i % 256) << 24)),
			.port = 80,
			.weight = 1,
			.id = (uint32_t)i + 1,
		};
}

static void build(size_t count, uint32_t size, uint32_t *ret)
{
	cr_assert_eq(fl_maglev_build(entries, count, size, ret), 0);
}

static void count_slots(uint32_t size)
{
	memset(counts, 0, sizeof(counts));
	for (uint32_t i = 0; i < size; i++)
		counts[table[i]]++;
}

static uint32_t moved(uint32_t size)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < size; i++)
		n += table[i] != other[i];
	return n;
}

static const struct {
	uint32_t size;
	size_t count;
} sizes[] = { { 251, 2 }, { 1021, 10 }, { 4093, 40 }, { 16381, 163 }, { 65537, 655 } };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

Test(maglev, equal_weights_get_equal_shares)
{
	for (size_t i = 0; i < SIZES; i++) {
		double mean = (double)sizes[i].size / (double)sizes[i].count;

		make(sizes[i].count);
		build(sizes[i].count, sizes[i].size, table);
		count_slots(sizes[i].size);
		for (size_t id = 1; id <= sizes[i].count; id++)
			cr_expect_leq(counts[id] / mean, 1.02, "size %u, endpoint %zu: %u slots",
				sizes[i].size, id, counts[id]);
	}
}

Test(maglev, weights_are_shares_and_0_is_none)
{
	static const uint16_t weights[] = { 1, 2, 1, 0, 6 };

	make(5);
	for (size_t i = 0; i < 5; i++)
		entries[i].weight = weights[i];
	build(5, 1021, table);
	count_slots(1021);
	for (size_t i = 0; i < 5; i++)
		cr_expect_float_eq(
			counts[i + 1] / 1021.0, weights[i] / 10.0, 0.002, "%u", counts[i + 1]);
	cr_expect_eq(counts[0], 0, "every slot has an owner");
}

Test(maglev, the_least_weight_still_gets_a_slot)
{
	make(2);
	entries[0].weight = 65535;
	build(2, 251, table);
	count_slots(251);
	cr_expect_geq(counts[2], 1);
}

Test(maglev, without_endpoints_slots_are_nobodys)
{
	make(1);
	entries[0].weight = 0;
	build(1, 251, table);
	count_slots(251);
	cr_expect_eq(counts[0], 251);
	build(0, 251, table);
	count_slots(251);
	cr_expect_eq(counts[0], 251);
}

Test(maglev, the_order_of_the_input_does_not_matter)
{
	make(40);
	build(40, 4093, table);
	for (size_t i = 0; i < 20; i++) {
		struct fl_maglev_entry swap = entries[i];

		entries[i] = entries[39 - i];
		entries[39 - i] = swap;
	}
	build(40, 4093, other);
	cr_expect_eq(moved(4093), 0);
}

/* How many slots must move is known; Maglev moves some more (NSDI '16, 5.3). */
Test(maglev, changes_move_little_more_than_they_must)
{
	uint32_t size = 4093, added, removed, reweighted;

	make(41);
	build(40, size, table);
	build(41, size, other);
	added = moved(size);
	cr_expect_geq(added, size / 41);
	cr_expect_leq(added, 3 * size / 41, "add: %u of %u", added, size);

	memcpy(table, other, sizeof(table));
	entries[7] = entries[40];
	build(40, size, other);
	removed = moved(size);
	cr_expect_geq(removed, size / 41 - 1);
	cr_expect_leq(removed, 3 * size / 41, "remove: %u of %u", removed, size);

	memcpy(table, other, sizeof(table));
	entries[3].weight = 2;
	build(40, size, other);
	reweighted = moved(size);
	cr_expect_gt(reweighted, 0);
	cr_expect_leq(reweighted, 4 * size / 41, "reweight: %u of %u", reweighted, size);
	cr_log_info("of %u slots move: add %u, remove %u, reweight %u", size, added, removed,
		reweighted);
}

Test(maglev, sizes_must_be_prime)
{
	static const uint32_t wrong[] = { 0, 1, 4, 250, 65536 };

	make(1);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_expect_eq(fl_maglev_build(entries, 1, wrong[i], table), -EINVAL, "%u", wrong[i]);
}
