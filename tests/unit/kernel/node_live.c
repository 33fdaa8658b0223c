/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "kernel/node_live.h"

#define SECOND 1000000000ull
#define NOW    (1000 * SECOND)

static const struct row {
	const char *expected;
	struct fl_live_row live;
} rows[] = {
	{ "ejected on the node path for 8 s: 3 connects refused",
		{ .ejected = NOW + 8 * SECOND, .fails = 3, .fault = FL_FAULT_REFUSED } },
	{ "ejected on the node path for 8 s: 1 connect timed out",
		{ .ejected = NOW + 7 * SECOND + 1, .fails = 1, .fault = FL_FAULT_TIMED_OUT } },
	{ "ejected on the node path while one connection tries it: 4 connects could not reach it",
		{ .ejected = NOW + 20 * SECOND,
			.trial = 1,
			.fails = 4,
			.fault = FL_FAULT_UNREACHABLE } },
	{ "ejected on the node path until a connect succeeds: 3 connects refused",
		{ .ejected = NOW, .fails = 3, .fault = FL_FAULT_REFUSED } },
	{ "ejected on the node path until a connect succeeds: 3 connects failed",
		{ .ejected = 1, .trial = 1, .fails = 3, .fault = 200 } },
};

Test(node_live, reasons)
{
	char words[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect(fl_node_live_is_ejected(&rows[i].live));
		cr_expect_str_eq(fl_node_live_explain(&rows[i].live, NOW, words, sizeof(words)),
			rows[i].expected);
	}
	cr_expect_not(fl_node_live_is_ejected(&(struct fl_live_row){ .fails = 2 }));
}

Test(node_live, numbers_that_are_not_there)
{
	struct fl_node_maps maps = FL_NODE_MAPS_NONE;
	struct fl_live_row live[3] = { { 0 }, { .open = 7 }, { .open = UINT32_MAX } }, found;

	cr_expect_not(fl_node_live_read(NULL, 1, &found));
	cr_expect_not(fl_node_live_read(&maps, 1, &found), "no node path");
	maps.live = live;
	maps.shape[FL_NODE_MAP_live].max_entries = 3;
	cr_expect_not(fl_node_live_read(&maps, 0, &found));
	cr_expect_not(fl_node_live_read(&maps, 3, &found));
	cr_assert(fl_node_live_read(&maps, 1, &found));
	cr_expect_eq(found.open, 7);
	cr_assert(fl_node_live_read(&maps, 2, &found));
	cr_expect_eq(found.open, 0, "never less than none");
}
