/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "kernel/hops.h"

static struct fl_nexthop_row rows[8];
static struct fl_hops *hops;

static void setup(void)
{
	hops = fl_hops_new(rows, sizeof(rows) / sizeof(rows[0]));
	cr_assert_not_null(hops);
}

static void teardown(void)
{
	fl_hops_free(hops);
}

TestSuite(hops, .init = setup, .fini = teardown);

static uint32_t take(uint32_t ifindex, uint64_t now_ms)
{
	struct fl_nexthop_row row = { .ifindex = ifindex };
	uint32_t index = 0;
	int code = fl_hops_take(hops, &row, now_ms, &index);

	cr_assert(code == 0 || code == -ENOSPC);
	cr_assert_eq(code == 0, index != 0);
	if (index)
		cr_assert_eq(rows[index].ifindex, ifindex);
	return index;
}

Test(hops, equal_answers_share_a_row)
{
	uint32_t a = take(1, 0), b = take(2, 0);

	cr_expect_neq(a, b);
	cr_expect_eq(take(1, 0), a);
	cr_expect_eq(fl_hops_in_use(hops), 2);
	fl_hops_release(hops, a, 0);
	cr_expect_eq(fl_hops_in_use(hops), 2, "it has another reference");
	fl_hops_release(hops, a, 0);
	cr_expect_eq(fl_hops_in_use(hops), 1);
	cr_expect_eq(rows[a].ifindex, 1, "a freed row keeps its content while it rests");
}

Test(hops, a_freed_row_rests_a_second)
{
	uint32_t freed;

	for (uint32_t i = 1; i < 8; i++)
		cr_assert_neq(take(i, 5000), 0);
	cr_expect_eq(take(8, 5000), 0, "all seven are in use");
	freed = take(3, 5000);
	fl_hops_release(hops, freed, 6000);
	fl_hops_release(hops, freed, 6000);
	cr_expect_eq(take(8, 6999), 0);
	cr_expect_eq(take(8, 7000), freed);
	cr_expect_eq(fl_hops_in_use(hops), 7);
}

Test(hops, resting_rows_come_back_oldest_first)
{
	uint32_t index[8];

	for (uint32_t i = 1; i < 8; i++)
		index[i] = take(i, 0);
	fl_hops_release(hops, index[5], 100);
	fl_hops_release(hops, index[2], 200);
	cr_expect_eq(take(9, 1100), index[5]);
	cr_expect_eq(take(10, 1100), 0);
	cr_expect_eq(take(10, 1200), index[2]);
}

Test(hops, a_row_that_is_taken_again_while_it_rests_is_a_new_one)
{
	uint32_t first = take(1, 0), second;

	fl_hops_release(hops, first, 0);
	second = take(1, 10);
	cr_expect_neq(second, first, "the old one may still be given back to the queue only once");
	cr_expect_eq(take(2, 2000), first);
	cr_expect_eq(rows[second].ifindex, 1);
}

Test(hops, what_an_earlier_agent_wrote_is_kept)
{
	uint32_t fresh;

	rows[3].ifindex = 33;
	cr_assert_eq(fl_hops_adopt(hops, 3), 0);
	cr_assert_eq(fl_hops_adopt(hops, 3), 0);
	cr_expect_eq(fl_hops_adopt(hops, 0), -ERANGE);
	cr_expect_eq(fl_hops_adopt(hops, 8), -ERANGE);
	cr_expect_eq(take(33, 5000), 3, "the same answer finds the adopted row");
	for (uint32_t i = 1; i < 7; i++) {
		fresh = take(100 + i, 5000);
		cr_expect(fresh && fresh != 3);
	}
	cr_expect_eq(take(200, 5000), 0);
	for (int i = 0; i < 3; i++)
		fl_hops_release(hops, 3, 6000);
	cr_expect_eq(take(200, 6500), 0);
	cr_expect_eq(take(200, 7000), 3);
	cr_expect_eq(take(201, 9000), 0, "an adopted row is given out once");
}
