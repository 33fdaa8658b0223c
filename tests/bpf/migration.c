/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Other limits than those of the pinned maps: everything moves into new ones, and what the
 * old programs did meanwhile follows.
 */
#include "kernel/migration.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/opened.h"

static struct fl_config config;
static struct fl_kernel *kernel;
static uint32_t endpoint; /* of web, 192.0.2.2 */

static struct fl_flow flow(uint16_t sport)
{
	struct fl_flow ret = { .proto = IPPROTO_TCP, .sport = htons(sport), .dport = htons(80) };

	ret.saddr.word[2] = ret.daddr.word[2] = htonl(0xffff);
	return ret;
}

static void put_pin(int fd, uint16_t sport)
{
	struct fl_flow key = flow(sport);
	struct fl_pin pin = { .endpoint = endpoint, .seen = 5 };

	cr_assert_eq(bpf_map_update_elem(fd, &key, &pin, BPF_NOEXIST), 0);
}

static bool has_pin(uint16_t sport)
{
	struct fl_flow key = flow(sport);
	struct fl_pin pin;

	return bpf_map_lookup_elem(kernel->maps.fd[FL_MAP_pins], &key, &pin) == 0 &&
	       pin.endpoint == endpoint && pin.seen == 5;
}

/* A connection of nat: the entry that owns its port. */
static void put_nat(uint16_t sport)
{
	struct fl_nat_entry entry = { .endpoint = endpoint, .dir = FL_NAT_REPLY };
	struct fl_flow key = flow(sport);

	cr_assert_eq(bpf_map_update_elem(kernel->maps.nat_fd[0], &key, &entry, BPF_NOEXIST), 0);
}

static bool has_nat(uint16_t sport)
{
	struct fl_flow key = flow(sport);
	struct fl_nat_entry entry;

	return bpf_map_lookup_elem(kernel->maps.nat_fd[0], &key, &entry) == 0;
}

static void setup(void)
{
	struct fl_snapshot *snapshot =
		test_snapshot_parse("web+ipip 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2");
	struct fl_writer *writer;

	test_enter_private();
	config = test_config();
	kernel = test_kernel_open_maps(&config);
	writer = test_writer_new(kernel);
	test_apply(writer, NULL, snapshot, 1000);
	endpoint = fl_snapshot_find(snapshot, "web")->endpoints[1].id;
	fl_writer_free(writer);
	fl_snapshot_unref(snapshot);
	put_pin(kernel->maps.fd[FL_MAP_pins], 1);
	put_nat(2);
	kernel->maps.nat_used[endpoint].tcp = 1;
	kernel->maps.meta->generation = 77;
}

static void teardown(void)
{
	fl_kernel_close(kernel);
}

TestSuite(migration, .init = setup, .fini = teardown, .timeout = 300);

static void reopen(void)
{
	fl_kernel_close(kernel);
	kernel = test_kernel_open_maps(&config);
}

static void grow(void)
{
	config.limits = (struct fl_limits){ 1300, 5000, 1 << 20, 1 << 17 };
	reopen();
}

/* Maps that the programs of before still use. */
static struct fl_maps open_old(void)
{
	struct fl_failure failure = { 0 };
	struct fl_maps old;

	cr_assert_eq(fl_maps_open_at(&old, TEST_BPFFS "/maps_old", true, &failure), 0, "%s",
		failure.message);
	return old;
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void end(void)
{
	cr_assert_eq(fl_migration_end(TAKE_PTR(kernel->migration), &kernel->maps), 0);
	cr_expect_not(is_there(TEST_BPFFS "/maps_old"));
}

static bool is_served(void)
{
	struct fl_writer *writer = test_writer_new(kernel); /* adopts, or fails */
	struct fl_snapshot *same =
		test_snapshot_parse("web+ipip 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2");
	const struct fl_writes *writes = fl_writer_writes(writer);
	bool nothing;

	test_apply(writer, NULL, same, 1000);
	nothing = writes->slots + writes->services + writes->endpoints + writes->frontends == 0;
	fl_writer_free(writer);
	fl_snapshot_unref(same);
	return nothing;
}

Test(migration, everything_is_in_the_new_maps)
{
	grow();
	cr_expect_eq(kernel->maps.limits.endpoints, 5000);
	cr_expect_eq(kernel->maps.shape[FL_MAP_slots].max_entries, 1 << 20);
	cr_expect_eq(kernel->maps.meta->generation, 77);
	cr_expect(has_pin(1));
	cr_expect(has_nat(2));
	cr_expect_eq(kernel->maps.nat_used[endpoint].tcp, 1);
	cr_expect(is_served(), "an apply of the same finds nothing to write");
	end();
	reopen();
	cr_expect_null(kernel->migration);
	cr_expect(has_pin(1));
	cr_expect(is_served());
}

Test(migration, what_the_old_programs_did_meanwhile_follows)
{
	struct fl_maps old;

	grow();
	old = open_old();
	put_pin(old.fd[FL_MAP_pins], 3);
	old.nat_used[endpoint].tcp += 2;          /* two connections opened there */
	kernel->maps.nat_used[endpoint].tcp -= 1; /* and one closed here */
	old.slots[7] += 1ull << 40;
	cr_expect_not(has_pin(3));
	cr_assert_eq(fl_migration_follow(kernel->migration, &kernel->maps), 0);
	cr_expect(has_pin(3));
	end();
	cr_expect_eq(kernel->maps.nat_used[endpoint].tcp, 2);
	cr_expect_eq(kernel->maps.slots[7], old.slots[7]);
	fl_maps_close(&old);
}

/* ABI 1 had no `answers`. */
Test(migration, maps_of_an_older_version_are_taken_over)
{
	kernel->maps.meta->abi = 1;
	cr_assert_eq(unlink(TEST_BPFFS "/maps/answers"), 0);
	reopen();
	cr_expect_eq(kernel->maps.meta->abi, FL_ABI_VERSION);
	cr_expect_geq(kernel->maps.fd[FL_MAP_answers], 0);
	cr_expect(has_pin(1));
	cr_expect(has_nat(2));
	cr_expect(is_served());
	end();
}

Test(migration, a_start_that_was_killed_is_brought_to_its_end)
{
	struct fl_maps old;

	grow();
	old = open_old();
	put_pin(old.fd[FL_MAP_pins], 3);
	put_nat(4);
	old.nat_used[endpoint].tcp = 2;
	fl_maps_close(&old);
	reopen(); /* without having ended */
	cr_assert(kernel->migration);
	end();
	cr_expect(has_pin(3));
	cr_expect_eq(kernel->maps.nat_used[endpoint].tcp, 2, "counted from the entries");
}

Test(migration, killed_between_the_two_renames_nothing_has_happened)
{
	fl_kernel_close(kernel);
	cr_assert_eq(rename(TEST_BPFFS "/maps", TEST_BPFFS "/maps_old"), 0);
	kernel = test_kernel_open_maps(&config);
	cr_expect(kernel->adopted);
	cr_expect_null(kernel->migration);
	cr_expect(has_pin(1));
}

Test(migration, smaller_limits_are_refused_where_numbers_are_in_use)
{
	struct fl_limits limits = config.limits;
	struct fl_kernel *none = NULL;
	struct fl_failure failure = { 0 };

	config.limits.endpoints = endpoint - 1;
	fl_kernel_close(kernel);
	cr_expect_eq(fl_kernel_open_maps(&config, &failure, &none), -EPROTO);
	cr_expect(strstr(failure.message,
			  "limits.endpoints is 1, but the pinned maps use numbers up to 2"),
		"%s", failure.message);
	cr_expect(strstr(failure.hint, "--detach"), "%s", failure.hint);
	cr_expect_null(none);
	config.limits = limits;
	kernel = test_kernel_open_maps(&config);
	cr_expect(has_pin(1), "nothing is lost");
}

Test(migration, smaller_limits_that_hold_all_are_taken)
{
	config.limits.endpoints = endpoint;
	config.limits.slots = 1024;
	config.limits.services = 1;
	reopen();
	cr_expect(is_served());
	cr_expect(has_pin(1));
	end();
}
