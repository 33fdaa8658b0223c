/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "kernel/bpffs.h"
#include "lib/netns.h"
#include "lib/opened.h"
#include "bpf/xdp_edge.skel.h"

/* The life of what is pinned: made, adopted, refused, removed. */

TestSuite(kernel_open, .init = test_enter_private, .timeout = 300);

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);

	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &info, &length), 0);
	return info.id;
}

static uint32_t pinned_program_id(const char *name)
{
	_cleanup_close_ int fd = -1;
	char path[128];

	snprintf(path, sizeof(path), TEST_BPFFS "/%s", name);
	fd = bpf_obj_get(path);
	cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
	return program_id(fd);
}

static bool is_among(uint32_t id, const uint32_t *ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static void map_ids(const struct fl_maps *maps, uint32_t ids[FL_MAP_COUNT])
{
	for (int i = 0; i < FL_MAP_COUNT; i++) {
		struct bpf_map_info info = { 0 };
		uint32_t length = sizeof(info);

		cr_assert_eq(bpf_obj_get_info_by_fd(maps->fd[i], &info, &length), 0);
		ids[i] = info.id;
	}
}

/* Programs in the kernel that use one of these maps. */
static unsigned count_programs(const uint32_t ids[FL_MAP_COUNT])
{
	unsigned count = 0;

	for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
		uint32_t used[64] = { 0 };
		struct bpf_prog_info info = { .nr_map_ids = 64, .map_ids = (uintptr_t)used };
		uint32_t length = sizeof(info);

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length) < 0)
			continue;
		for (uint32_t i = 0; i < info.nr_map_ids && i < 64; i++)
			if (is_among(used[i], ids, FL_MAP_COUNT)) {
				count++;
				break;
			}
	}
	return count;
}

/* The constants that a loaded program has. */
static struct fl_edge_conf loaded_conf(int fd)
{
	uint32_t ids[64] = { 0 }, length = sizeof(struct bpf_prog_info), zero = 0;
	struct bpf_prog_info program = { .nr_map_ids = 64, .map_ids = (uintptr_t)ids };
	struct fl_edge_conf conf = { 0 };

	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &program, &length), 0);
	for (uint32_t i = 0; i < program.nr_map_ids; i++) {
		_cleanup_close_ int map = bpf_map_get_fd_by_id(ids[i]);
		struct bpf_map_info info = { 0 };
		char value[4096];

		length = sizeof(info);
		cr_assert_eq(bpf_obj_get_info_by_fd(map, &info, &length), 0);
		if (!strstr(info.name, ".rodata") || info.value_size < sizeof(conf))
			continue;
		cr_assert_leq(info.value_size, sizeof(value));
		cr_assert_eq(bpf_map_lookup_elem(map, &zero, value), 0);
		memcpy(&conf, value + offsetof(struct xdp_edge__rodata, fl_conf), sizeof(conf));
	}
	return conf;
}

Test(kernel_open, pressure_begins_at_half_of_the_real_table)
{
	struct fl_config config = test_config();
	struct fl_kernel *kernel;
	struct fl_edge_conf conf;
	uint32_t cells;

	config.hash_seed = 4711;
	kernel = test_kernel_open(&config);
	conf = loaded_conf(kernel->edge_fd);
	cells = kernel->maps.shape[FL_MAP_opening].max_entries;
	cr_expect_geq(cells, FL_OPENING_MAX);
	cr_expect_geq(cells, 512 * kernel->maps.cpus);
	cr_assert_eq(conf.hash_seed, 4711, "these are not its constants");
	cr_expect_eq(conf.opening_limit, cells / 2);
	fl_kernel_close(kernel);
}

Test(kernel_open, only_rows_in_use_count_as_memory)
{
	struct fl_config config = test_config();
	struct fl_kernel *kernel = test_kernel_open_maps(&config);
	struct fl_maps *maps = &kernel->maps;

	cr_expect_eq(maps->reached[FL_MAP_slots], 0);
	cr_expect_eq(maps->slots[config.limits.slots - 1], 0, "rows that are not mapped read as 0");
	cr_assert_eq(fl_maps_reach(maps, FL_MAP_slots, 1000), 0);
	maps->slots[999] = 7;
	cr_assert_eq(fl_maps_reach(maps, FL_MAP_slots, 100000), 0);
	maps->slots[99999] = 8;
	cr_expect_eq(maps->slots[999], 7);
	cr_expect_lt(maps->reached[FL_MAP_slots], 1 << 20);
	cr_expect_eq(fl_maps_reach(maps, FL_MAP_slots, config.limits.slots + 1), -ERANGE);
	fl_kernel_close(kernel);

	kernel = test_kernel_open_maps(&config);
	maps = &kernel->maps;
	cr_expect_eq(maps->slots[999], 7);
	cr_expect_eq(maps->slots[99999], 8);
	cr_expect_geq(maps->reached[FL_MAP_slots], 100000 * sizeof(fl_slot));
	cr_expect_lt(maps->reached[FL_MAP_slots], 1 << 20);
	fl_kernel_close(kernel);
}

/* Freed programs disappear a little later, by RCU and a work queue. */
static bool programs_become(const uint32_t ids[FL_MAP_COUNT], unsigned count)
{
	for (int i = 0; i < TEST_DEADLINE_MS / 20; i++) {
		if (count_programs(ids) == count)
			return true;
		usleep(20000);
	}
	return false;
}

Test(kernel_open, makes_everything_and_says_what_it_made)
{
	struct fl_config config = test_config();
	struct fl_kernel *kernel = test_kernel_open(&config);

	cr_expect_not(kernel->adopted);
	cr_expect_eq(kernel->maps.meta->abi, FL_ABI_VERSION);
	cr_expect_eq(kernel->maps.meta->services, config.limits.services);
	cr_expect_eq(kernel->maps.meta->flows, config.limits.flows);
	cr_expect_eq(pinned_program_id("edge"), program_id(kernel->edge_fd));
	cr_expect_eq(pinned_program_id("explain"), program_id(kernel->explain_fd));
	cr_expect_eq(pinned_program_id("target"), program_id(kernel->target_fd));
	cr_expect_geq(kernel->maps.nat_fd[0], 0);
	cr_expect_lt(kernel->maps.nat_fd[1], 0);
	cr_expect_eq(kernel->maps.nat_size[0], 2 * FL_NAT_FIRST_SIZE);
	fl_kernel_close(kernel);
}

Test(kernel_open, adopts_maps_and_replaces_programs)
{
	struct fl_config config = test_config();
	struct fl_kernel *kernel = test_kernel_open(&config);
	uint32_t first = program_id(kernel->edge_fd), second;

	cr_assert_eq(fl_maps_reach(&kernel->maps, FL_MAP_endpoints, 8), 0);
	cr_assert_eq(fl_maps_reach(&kernel->maps, FL_MAP_slots, config.limits.slots), 0);
	kernel->maps.endpoints[7].service = 3;
	kernel->maps.slots[config.limits.slots - 1] = 42;
	fl_kernel_close(kernel);
	cr_assert_eq(pinned_program_id("edge"), first, "the pin outlives the agent");

	kernel = test_kernel_open(&config);
	second = program_id(kernel->edge_fd);
	cr_expect(kernel->adopted);
	cr_expect_eq(kernel->maps.endpoints[7].service, 3);
	cr_expect_eq(kernel->maps.slots[config.limits.slots - 1], 42);
	cr_expect_neq(second, first);
	cr_expect_eq(pinned_program_id("edge"), second);
	cr_expect_lt(kernel->maps.nat_fd[1], 0, "still one table of flows");
	fl_kernel_close(kernel);
}

Test(kernel_open, a_restart_leaves_no_program_behind)
{
	struct fl_config config = test_config();
	struct fl_kernel *kernel = test_kernel_open(&config);
	uint32_t ids[FL_MAP_COUNT];
	unsigned running, resting;

	map_ids(&kernel->maps, ids);
	running = count_programs(ids);
	fl_kernel_close(kernel);
	resting = count_programs(ids);
	cr_expect_geq(resting, 3, "edge, explain and what the timer calls");
	for (int i = 0; i < 2; i++) {
		kernel = test_kernel_open(&config);
		cr_expect(programs_become(ids, running), "start %d: %u programs, not %u", i,
			count_programs(ids), running);
		fl_kernel_close(kernel);
		cr_expect(programs_become(ids, resting), "end %d: %u programs, not %u", i,
			count_programs(ids), resting);
	}
}

static void damage_abi(struct fl_maps *maps)
{
	maps->meta->abi = FL_ABI_VERSION + 1;
}

static void damage_limits(struct fl_maps *maps)
{
	maps->meta->endpoints = 1 << 20;
}

static void damage_set(struct fl_maps *maps)
{
	(void)maps;
	unlink(TEST_BPFFS "/maps/slots");
}

struct damage {
	char name[32];
	void (*damage)(struct fl_maps *maps);
	char words[64];
};

Test(kernel_open, maps_that_do_not_fit_are_refused)
{
	static const struct damage rows[] = {
		{ "another ABI", damage_abi, "another layout (ABI 3; this one has 2)" },
		{ "limits that are not true", damage_limits,
			"the pinned map endpoints has 4097 rows" },
		{ "a map is missing", damage_set, "incomplete: the map slots is not pinned" },
	};
	struct fl_config config = test_config();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_kernel *kernel = test_kernel_open_maps(&config);
		struct fl_failure failure = { 0 };

		rows[i].damage(&kernel->maps);
		fl_kernel_close(kernel);
		kernel = NULL;
		cr_expect_eq(fl_kernel_open_maps(&config, &failure, &kernel), -EPROTO, "%s",
			rows[i].name);
		cr_expect(strstr(failure.message, rows[i].words), "%s: %s", rows[i].name,
			failure.message);
		cr_expect(strstr(failure.hint, "--detach"), "%s: %s", rows[i].name, failure.hint);
		cr_expect_eq(fl_kernel_detach(TEST_BPFFS, &failure), 0, "%s", failure.message);
	}
}

Test(kernel_open, another_seed_is_not_taken)
{
	struct fl_config config = test_config();
	struct fl_kernel *kernel;

	config.hash_seed = 5;
	fl_kernel_close(test_kernel_open_maps(&config));
	config.hash_seed = 6;
	kernel = test_kernel_open(&config);
	cr_expect_eq(kernel->maps.meta->hash_seed, 5);
	fl_kernel_close(kernel);
}

Test(kernel_open, what_a_killed_start_left_is_cleared)
{
	struct fl_config config = test_config();

	test_run("mkdir -p " TEST_BPFFS "/maps_new");
	fl_kernel_close(test_kernel_open_maps(&config));
	cr_expect_not(fl_bpffs_is_there(TEST_BPFFS "/maps_new"));
}

Test(kernel_open, detach_leaves_nothing)
{
	struct fl_config config = test_config();
	struct fl_kernel *kernel = test_kernel_open(&config);
	struct fl_failure failure = { 0 };
	uint32_t ids[FL_MAP_COUNT];

	map_ids(&kernel->maps, ids);
	fl_kernel_close(kernel);
	cr_expect_eq(fl_kernel_detach(TEST_BPFFS, &failure), 0, "%s", failure.message);
	cr_expect_not(fl_bpffs_is_there(TEST_BPFFS));
	cr_expect(programs_become(ids, 0), "the timer goes with its map, and its program too");
	cr_expect_eq(fl_kernel_detach(TEST_BPFFS, &failure), 0, "twice does no harm");
}

Test(kernel_open, detach_keeps_what_is_not_ours)
{
	struct fl_config config = test_config();
	struct fl_failure failure = { 0 };

	fl_kernel_close(test_kernel_open_maps(&config));
	test_run("mkdir " TEST_BPFFS "/theirs");
	cr_expect_eq(fl_kernel_detach(TEST_BPFFS, &failure), -ENOTEMPTY);
	cr_expect(fl_bpffs_is_there(TEST_BPFFS "/theirs"));
	cr_expect_not(fl_bpffs_is_there(TEST_BPFFS "/maps"));
	test_run("mkdir -p /run/plain");
	cr_expect_eq(fl_kernel_detach("/run/plain", &failure), -EINVAL, "not in a bpffs");
	cr_expect_eq(access("/run/plain", F_OK), 0);
}

struct place {
	char path[64];
	int code;
	char words[48];
};

Test(kernel_open, a_directory_in_a_bpffs_is_asked_for)
{
	static const struct place rows[] = {
		{ "/sys/fs/bpf/a/b/c", 0, "" },
		{ "/sys/fs/bpf/", 0, "" },
		{ "/run/fairlead", -EINVAL, "does not lie inside a bpffs" },
		{ "sys/fs/bpf/x", -EINVAL, "is not an absolute path" },
		{ "/sys/fs/bpf/my.pins", -EINVAL, "cannot create the directory" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_failure failure = { 0 };

		cr_expect_eq(fl_bpffs_prepare(rows[i].path, &failure), rows[i].code, "%s: %s",
			rows[i].path, failure.message);
		cr_expect(strstr(failure.message, rows[i].words), "%s: %s", rows[i].path,
			failure.message);
	}
}

Test(kernel_open, a_bpffs_is_mounted_where_there_is_none)
{
	struct fl_config config = test_config();

	test_run("umount /sys/fs/bpf");
	cr_assert_not(fl_bpffs_holds("/sys/fs/bpf"));
	fl_kernel_close(test_kernel_open_maps(&config));
	cr_expect(fl_bpffs_holds("/sys/fs/bpf"));
}
