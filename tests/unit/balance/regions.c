/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ranges in the array of slots, beside an array in which every slot says who has it.
 */
#include "balance/regions.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#define SLOTS  4000
#define RANGES 200

struct range {
	uint32_t base, size;
};

struct world {
	struct fl_regions *regions;
	uint8_t taken[SLOTS];
	struct range ranges[RANGES], resting[RANGES];
	size_t count, rest_count;
	unsigned random;
};

static unsigned draw(struct world *w, unsigned below)
{
	w->random = w->random * 1103515245 + 12345;
	return (w->random >> 8) % below;
}

/* The lowest place with room, or SLOTS. */
static uint32_t first_fit(const struct world *w, uint32_t size)
{
	uint32_t length = 0;

	for (uint32_t i = 0; i < SLOTS; i++) {
		length = w->taken[i] ? 0 : length + 1;
		if (length == size)
			return i + 1 - size;
	}
	return SLOTS;
}

static void mark(struct world *w, struct range range, uint8_t taken)
{
	for (uint32_t i = 0; i < range.size; i++) {
		cr_assert_neq(w->taken[range.base + i], taken);
		w->taken[range.base + i] = taken;
	}
}

static void take(struct world *w)
{
	struct range range = { .size = 1 + draw(w, 60) };
	uint32_t expected = first_fit(w, range.size);
	int r = fl_regions_take(w->regions, range.size, &range.base);

	if (expected == SLOTS) {
		cr_assert_eq(r, -ENOSPC);
		return;
	}
	cr_assert_eq(r, 0);
	cr_assert_eq(range.base, expected);
	mark(w, range, 1);
	w->ranges[w->count++] = range;
}

static void give(struct world *w, uint32_t now_s)
{
	size_t at = draw(w, w->count);

	fl_regions_give(w->regions, w->ranges[at].base, now_s);
	w->resting[w->rest_count++] = w->ranges[at];
	w->ranges[at] = w->ranges[--w->count];
}

static void rest(struct world *w, uint32_t now_s)
{
	fl_regions_rest(w->regions, now_s);
	while (w->rest_count)
		mark(w, w->resting[--w->rest_count], 0);
}

Test(regions, the_first_place_with_room)
{
	struct world w = { .regions = fl_regions_new(SLOTS) };
	uint32_t in_use = 0, now_s = 1000;

	for (int i = 0; i < 20000; i++) {
		unsigned what = draw(&w, 20);

		if (what == 0)
			rest(&w, now_s += 2);
		else if ((what < 10 || w.count == 0) && w.count < RANGES)
			take(&w);
		else if (w.count && w.rest_count < RANGES)
			give(&w, now_s);
	}
	for (uint32_t i = 0; i < SLOTS; i++)
		in_use += w.taken[i];
	cr_expect_eq(fl_regions_in_use(w.regions), in_use);
	fl_regions_free(w.regions);
}

Test(regions, what_was_adopted_is_not_given_out)
{
	struct fl_regions *regions = fl_regions_new(100);
	uint32_t base = 0;

	cr_expect_eq(fl_regions_adopt(regions, 10, 20), 0);
	cr_expect_eq(fl_regions_adopt(regions, 29, 5), -EEXIST);
	cr_expect_eq(fl_regions_adopt(regions, 95, 6), -ERANGE);
	cr_expect_eq(fl_regions_take(regions, 10, &base), 0);
	cr_expect_eq(base, 0);
	cr_expect_eq(fl_regions_take(regions, 70, &base), 0);
	cr_expect_eq(base, 30);
	cr_expect_eq(fl_regions_take(regions, 1, &base), -ENOSPC);
	fl_regions_give(regions, 10, 50);
	fl_regions_rest(regions, 51);
	cr_expect_eq(fl_regions_take(regions, 1, &base), -ENOSPC, "it rests");
	fl_regions_rest(regions, 52);
	cr_expect_eq(fl_regions_take(regions, 20, &base), 0);
	cr_expect_eq(base, 10);
	fl_regions_free(regions);
}
