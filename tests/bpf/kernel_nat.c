/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "kernel/nat.h"
#include "kernel/reader.h"
#include "lib/netns.h"
#include "lib/opened.h"

/* How the tables of nat flows grow, move and go. Flows are put in by hand. */

static struct fl_config config;
static struct fl_kernel *kernel;
static struct fl_maps *maps;

static void reopen(void)
{
	fl_kernel_close(kernel);
	kernel = test_kernel_open_maps(&config);
	maps = &kernel->maps;
}

static void setup(void)
{
	test_enter_private();
	config = test_config();
	config.limits.flows = 1 << 19; /* 2^20 entries at the most: 2^15, 2^17, 2^19, 2^20 */
	reopen();
}

static void teardown(void)
{
	fl_kernel_close(kernel);
}

TestSuite(kernel_nat, .init = setup, .fini = teardown, .timeout = 300);

static uint32_t id_of(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info);

	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &info, &length), 0);
	return info.id;
}

/* Whether the programs find, in this order, just the tables that we have open. */
static void expect_in_force(unsigned count)
{
	uint32_t id;

	for (uint32_t i = 0; i < FL_NAT_GENERATIONS; i++) {
		int r = bpf_map_lookup_elem(maps->fd[FL_MAP_nat], &i, &id);

		cr_expect_eq(maps->nat_fd[i] >= 0, i < count, "descriptor at %u of %u", i, count);
		cr_expect_eq(r == 0, i < count, "table at %u of %u", i, count);
		if (r == 0 && maps->nat_fd[i] >= 0)
			cr_expect_eq(id, id_of(maps->nat_fd[i]), "the same one at %u", i);
	}
}

static bool is_pinned(unsigned number)
{
	char path[128];

	snprintf(path, sizeof(path), TEST_BPFFS "/maps/nat_%u", number);
	return access(path, F_OK) == 0;
}

static int tick(uint32_t now_s)
{
	struct fl_failure failure = { 0 };
	int r = fl_nat_tick(maps, now_s, &failure);

	cr_assert_geq(r, 0, "%s", failure.message);
	return r;
}

/* As many flows as the counters tell of; each has two entries. */
static void use(uint32_t flows)
{
	cr_assert_eq(fl_maps_reach(maps, FL_MAP_nat_used, config.limits.endpoints + 1), 0);
	maps->nat_used[1].tcp = flows / 2;
	maps->nat_used[config.limits.endpoints].udp = flows - flows / 2;
}

static struct fl_flow flow(uint32_t n)
{
	return (struct fl_flow){ .saddr.word[3] = n, .proto = 6 };
}

static void put(unsigned generation, uint32_t n)
{
	struct fl_flow key = flow(n);
	/* Seen tomorrow: the kernel's own sweep has no reason to touch it. */
	struct fl_nat_entry entry = { .endpoint = n, .seen = fl_clock_boot_s() + 86400 };

	cr_assert_eq(bpf_map_update_elem(maps->nat_fd[generation], &key, &entry, BPF_NOEXIST), 0);
}

static bool holds(unsigned generation, uint32_t n)
{
	struct fl_flow key = flow(n);
	struct fl_nat_entry entry;

	return bpf_map_lookup_elem(maps->nat_fd[generation], &key, &entry) == 0 &&
	       entry.endpoint == n;
}

Test(kernel_nat, begins_with_one_small_table)
{
	expect_in_force(1);
	cr_expect_eq(maps->nat_size[0], 2 * FL_NAT_FIRST_SIZE);
	cr_expect_eq(tick(100), 1000, "idle: nothing to hurry for");
	expect_in_force(1);
}

struct fill {
	char name[40];
	uint32_t flows;
	unsigned tables;
	int next_ms;
};

Test(kernel_nat, grows_at_three_quarters_up_to_the_limit)
{
	static const struct fill rows[] = {
		{ "below an eighth", 2047, 1, 1000 },
		{ "filling", 2048, 1, 100 },
		{ "just below three quarters", 12287, 1, 100 },
		{ "three quarters", 12288, 2, 100 },
		{ "again, of four times the size", 49152, 3, 100 },
		{ "the last has what the limit asks for", 196608, 4, 1000 },
		{ "there is no more", 524288, 4, 1000 },
	};
	uint64_t entries = 0;

	put(0, 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		use(rows[i].flows);
		maps->nat_look_s = 1000; /* none is empty by accident of the test */
		cr_expect_eq(tick(100), rows[i].next_ms, "%s", rows[i].name);
		expect_in_force(rows[i].tables);
		if (!holds(0, 100 + i))
			put(0, 100 + (uint32_t)i);
	}
	cr_expect_eq(maps->nat_size[0], 1 << 20);
	cr_expect_eq(maps->nat_size[3], 1 << 15);
	cr_expect(holds(3, 1), "the first flow stayed where it was");
	cr_assert_eq(fl_read_entries(maps, FL_MAP_nat, &entries), 0);
	cr_expect_eq(entries, 1 + sizeof(rows) / sizeof(rows[0]));
}

Test(kernel_nat, empty_old_tables_go_and_the_newest_stays)
{
	uint32_t oldest;
	struct fl_flow key = flow(1);

	oldest = id_of(maps->nat_fd[0]);
	put(0, 1);
	use(12288);
	tick(100);
	use(49152);
	tick(100);
	expect_in_force(3);
	use(1);
	tick(200);
	expect_in_force(2);
	cr_expect_eq(id_of(maps->nat_fd[1]), oldest, "the one in the middle was empty");
	cr_expect(holds(1, 1));
	cr_expect(is_pinned(1) && !is_pinned(2) && is_pinned(3));

	cr_assert_eq(bpf_map_delete_elem(maps->nat_fd[1], &key), 0);
	tick(210);
	expect_in_force(2); /* looked a moment ago */
	tick(300);
	expect_in_force(1);
	cr_expect(!is_pinned(1) && is_pinned(3));
	tick(400);
	expect_in_force(1); /* empty, but it takes new flows */
}

Test(kernel_nat, a_restart_adopts_all_tables)
{
	put(0, 1);
	use(12288);
	tick(100);
	put(0, 2);
	reopen();
	expect_in_force(2);
	cr_expect(holds(1, 1));
	cr_expect(holds(0, 2));
	cr_expect_eq(maps->nat_size[0], 4 * 2 * FL_NAT_FIRST_SIZE);
}

/* Killed between the pin and the first of the stores, or halfway through them. */
Test(kernel_nat, growth_broken_off_is_completed)
{
	uint32_t last = 1;

	put(0, 1);
	use(12288);
	tick(100);
	cr_assert_eq(bpf_map_update_elem(
			     maps->fd[FL_MAP_nat], &(uint32_t){ 0 }, &maps->nat_fd[1], BPF_ANY),
		0);
	reopen();
	expect_in_force(2);
	cr_expect(holds(1, 1));

	cr_assert_eq(bpf_map_update_elem(
			     maps->fd[FL_MAP_nat], &(uint32_t){ 0 }, &maps->nat_fd[1], BPF_ANY),
		0);
	cr_assert_eq(bpf_map_delete_elem(maps->fd[FL_MAP_nat], &last), 0);
	reopen();
	expect_in_force(2);
}

/* Killed between the stores and the removal of the pin. */
Test(kernel_nat, a_table_that_was_dropped_by_half_is_used_again)
{
	uint32_t last = 1;

	use(12288);
	tick(100);
	cr_assert_eq(bpf_map_delete_elem(maps->fd[FL_MAP_nat], &last), 0);
	reopen();
	expect_in_force(2);
	use(0);
	tick(1000);
	expect_in_force(1);
}

Test(kernel_nat, a_failure_to_grow_is_told_once_a_minute)
{
	struct fl_failure failure = { 0 };
	char *dir = maps->dir;

	maps->dir = (char *)"/sys/fs/bpf/nowhere";
	use(12288);
	cr_expect_eq(fl_nat_tick(maps, 100, &failure), -ENOENT);
	cr_expect(strstr(failure.message, "cannot make a table for 65536 nat flows"), "%s",
		failure.message);
	cr_expect_geq(fl_nat_tick(maps, 101, &failure), 0);
	expect_in_force(1);
	maps->dir = dir;
	cr_expect_geq(fl_nat_tick(maps, 160, &failure), 0);
	expect_in_force(2);
}

Test(kernel_nat, a_small_limit_is_kept)
{
	struct fl_failure failure = { 0 };

	cr_assert_eq(fl_kernel_detach(TEST_BPFFS, &failure), 0);
	config.limits.flows = 1000;
	reopen();
	cr_expect_eq(maps->nat_size[0], 2000);
	use(1000);
	tick(100);
	expect_in_force(1);
}
