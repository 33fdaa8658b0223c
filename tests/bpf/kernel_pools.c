/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <string.h>

#include "bpf/sock_connect.skel.h"
#include "kernel/object.h"
#include "kernel/pools.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/opened.h"

/* What plans write for the node path: where pools lie, and when they move. */

static const struct fl_place_of_node here = { "n1", "a" };

static struct fl_config config;
static struct fl_kernel *kernel;
static struct fl_node_maps maps;
static struct fl_writer *writer;
static struct fl_pools *pools;
static struct fl_snapshot *in_force;
static uint32_t now_s;

static void open_maps(void)
{
	struct sock_connect *object = sock_connect__open();
	struct fl_failure failure = { 0 };

	cr_assert_not_null(object);
	cr_assert_eq(fl_object_size_maps(object->obj, &config.limits, &failure), 0);
	cr_assert_eq(fl_object_reuse_maps(object->obj, &kernel->maps, &failure), 0);
	cr_assert_eq(fl_node_maps_size(object->obj, &config.limits, &failure), 0);
	cr_assert_eq(fl_node_maps_prepare(&maps, object->obj, TEST_BPFFS, &failure), 0, "%s",
		failure.message);
	sock_connect__destroy(object);
}

/* An agent begins. */
static void begin(void)
{
	writer = test_writer_new(kernel);
	cr_assert_eq(fl_pools_new(&maps, &here, &pools), 0);
	fl_writer_use_pools(writer, pools);
	fl_snapshot_unref(in_force);
	in_force = NULL;
}

static void end(void)
{
	fl_writer_free(writer);
	fl_pools_free(pools);
}

static void setup(void)
{
	test_enter_private();
	config = test_config();
	config.limits.endpoints = 64;
	config.limits.services = 8;
	kernel = test_kernel_open_maps(&config);
	open_maps();
	now_s = 1000;
	begin();
}

static void teardown(void)
{
	fl_snapshot_unref(in_force);
	end();
	fl_node_maps_close(&maps);
	fl_kernel_close(kernel);
}

TestSuite(kernel_pools, .init = setup, .fini = teardown);

static void apply(const char *text)
{
	struct fl_snapshot *desired = test_snapshot_parse(text);

	test_apply(writer, in_force, desired, now_s);
	fl_writer_follow(writer, desired);
	fl_snapshot_unref(in_force);
	in_force = desired;
}

static void tick(uint32_t seconds)
{
	now_s += seconds;
	cr_assert_eq(fl_writer_tick(writer, now_s), 0);
}

static uint64_t pool_of(size_t service, enum fl_family family)
{
	return maps.services[in_force->services[service]->id].pool[family];
}

static const struct fl_pool_head *head_of(size_t service, enum fl_family family)
{
	cr_assert_neq(pool_of(service, family), 0);
	return &maps.pools[pool_of(service, family)].head;
}

#define WEB "web 10.0.0.1:80/tcp = 192.0.2.1:1*2 192.0.2.2:1"
#define API "; api+p2c 10.0.0.2:80/tcp = 192.0.2.3:1"

Test(kernel_pools, what_a_service_has_is_in_its_pool)
{
	const struct fl_pool_head *head;
	const struct fl_member *members;

	apply(WEB API);
	head = head_of(1, FL_IPV4);
	members = maps.pools[pool_of(1, FL_IPV4) + 1].member;
	cr_expect_str_eq(in_force->services[1]->name, "web");
	cr_expect_eq(head->balance, FL_MAGLEV);
	cr_expect_eq(head->max_fails, FL_MAX_FAILS_DEFAULT);
	cr_assert_eq(head->tier[0].count, 2);
	for (int i = 0; i < 2; i++) {
		const struct fl_endpoint_row *row = &kernel->maps.endpoints[members[i].endpoint];

		cr_expect_eq(row->service, in_force->services[1]->id);
		cr_expect_eq(row->state, FL_UP);
	}
	cr_expect_eq(members[1].upto, 3);
	cr_expect_eq(head_of(0, FL_IPV4)->balance, FL_P2C);
	cr_expect_eq(pool_of(0, FL_IPV6), 0);
}

Test(kernel_pools, only_what_changed_is_written)
{
	uint64_t web, api;

	apply(WEB API);
	web = pool_of(1, FL_IPV4), api = pool_of(0, FL_IPV4);
	cr_expect_eq(fl_pools_written(pools), 2);
	apply(WEB API);
	fl_snapshot_unref(in_force);
	in_force = NULL;
	apply(WEB API); /* from nothing */
	cr_expect_eq(fl_pools_written(pools), 2);
	apply("web 10.0.0.1:80/tcp = 192.0.2.1:1*2 192.0.2.2:1/down" API);
	cr_expect_eq(fl_pools_written(pools), 3);
	cr_expect_neq(pool_of(1, FL_IPV4), web);
	cr_expect_eq(pool_of(0, FL_IPV4), api);
	cr_expect_eq(head_of(1, FL_IPV4)->tier[0].count, 1);
}

/* A connect may have read the place just before it was given back. */
Test(kernel_pools, a_place_rests)
{
	union fl_pool_row old[2];
	uint64_t first;

	apply(WEB);
	first = pool_of(0, FL_IPV4);
	memcpy(old, &maps.pools[first], sizeof(old));
	for (int i = 0; i < 4; i++) {
		apply(i % 2 ? WEB : "web+p2c 10.0.0.1:80/tcp = 192.0.2.1:1 192.0.2.2:1");
		cr_expect_neq(pool_of(0, FL_IPV4), first);
		tick(i == 0 ? 1 : 0);
	}
	cr_expect_eq(memcmp(old, &maps.pools[first], sizeof(old)), 0, "nobody wrote there");
	tick(1);
	apply("web+near 10.0.0.1:80/tcp = 192.0.2.1:1 192.0.2.2:1");
	cr_expect_eq(pool_of(0, FL_IPV4), first, "free again");
}

Test(kernel_pools, families_and_services_go)
{
	apply("web 10.0.0.1:80/tcp [2001:db8::1]:80/tcp = 192.0.2.1:1 [2001:db8::2]:1");
	cr_expect_neq(pool_of(0, FL_IPV4), 0);
	cr_expect_neq(pool_of(0, FL_IPV6), 0);
	apply("web 10.0.0.1:80/tcp = 192.0.2.1:1");
	cr_expect_eq(pool_of(0, FL_IPV6), 0);
	apply("");
	for (uint32_t id = 0; id <= config.limits.services; id++)
		cr_expect_eq(maps.services[id].pool[FL_IPV4], 0);
}

Test(kernel_pools, the_next_agent_adopts_them)
{
	uint64_t web;

	apply(WEB API);
	web = pool_of(1, FL_IPV4);
	end();
	begin();
	apply(WEB API);
	cr_expect_eq(fl_pools_written(pools), 0);
	cr_expect_eq(pool_of(1, FL_IPV4), web);
	apply(WEB "; new 10.0.0.3:80/tcp = 192.0.2.4:1");
	cr_expect_neq(pool_of(0, FL_IPV4), web, "that place is taken");
	cr_expect_eq(pool_of(1, FL_IPV4), web);
}

static const struct {
	const char *name;
	uint64_t pool; /* of api; 1 = the place of web's second row */
} damages[] = { { "outside", 1u << 30 }, { "one in another", 1 } };

Test(kernel_pools, damaged_ones_are_written_anew)
{
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		uint64_t pool;

		apply(WEB API);
		pool = damages[i].pool == 1 ? pool_of(1, FL_IPV4) + 1 : damages[i].pool;
		maps.services[in_force->services[0]->id].pool[FL_IPV4] = pool;
		if (damages[i].pool == 1)
			memset(&maps.pools[pool], 0, sizeof(union fl_pool_row));
		end();
		fl_snapshot_ref(in_force);
		begin();
		for (uint32_t id = 0; id <= config.limits.services; id++)
			cr_expect_eq(maps.services[id].pool[FL_IPV4], 0, "%s", damages[i].name);
		apply(WEB API);
		cr_expect_eq(fl_pools_written(pools), 2, "%s", damages[i].name);
		cr_expect_eq(head_of(1, FL_IPV4)->tier[0].count, 2, "%s", damages[i].name);
	}
}

/* Not one place for two, and none that is full of somebody else's. */
Test(kernel_pools, without_room_there_is_none_until_there_is)
{
	uint32_t rows = maps.shape[FL_NODE_MAP_pools].max_entries;

	/* so many are in use after each, with row 0 */
	for (uint32_t used = 3; used <= rows; used += 2) {
		apply(used % 4 == 1 ? WEB : "web 10.0.0.1:80/tcp = 192.0.2.1:1 192.0.2.2:1");
		cr_assert_neq(pool_of(0, FL_IPV4), 0, "%u of %u", used, rows);
	}
	apply("web+p2c 10.0.0.1:80/tcp = 192.0.2.1:1 192.0.2.2:1");
	cr_expect_eq(pool_of(0, FL_IPV4), 0);
	cr_expect_eq(fl_pools_waiting(pools), 1);
	tick(1);
	cr_expect_eq(pool_of(0, FL_IPV4), 0);
	tick(1);
	cr_expect_eq(fl_pools_waiting(pools), 0);
	cr_expect_eq(head_of(0, FL_IPV4)->balance, FL_P2C);
}

Test(kernel_pools, nothing_is_known_of_a_new_number)
{
	struct fl_histograms histograms = { { 1 }, { 2 } };
	uint32_t id = 1;

	maps.live[id].ejected = UINT64_MAX;
	maps.live[id].connects = 7;
	cr_assert_eq(
		bpf_map_update_elem(maps.fd[FL_NODE_MAP_histograms], &id, &histograms, BPF_ANY), 0);
	apply("web 10.0.0.1:80/tcp = 192.0.2.1:1");
	cr_assert_eq(in_force->services[0]->endpoints[0].id, id);
	cr_expect_eq(maps.live[id].ejected, 0);
	cr_expect_eq(maps.live[id].connects, 0);
	cr_expect_neq(bpf_map_lookup_elem(maps.fd[FL_NODE_MAP_histograms], &id, &histograms), 0);
	maps.live[id].connects = 9;
	apply("web 10.0.0.1:80/tcp = 192.0.2.1:1/draining");
	apply("web 10.0.0.1:80/tcp = 192.0.2.1:1*4");
	cr_expect_eq(maps.live[id].connects, 9, "the same endpoint is");
}

/* Else they would count as connections to somebody else, and end as such. */
Test(kernel_pools, a_number_is_not_given_away_while_connections_are_open)
{
	uint32_t id;

	apply("web 10.0.0.1:80/tcp = 192.0.2.1:1 192.0.2.2:1");
	id = in_force->services[0]->endpoints[1].id;
	maps.live[id].open = 1;
	apply("web 10.0.0.1:80/tcp = 192.0.2.1:1");
	for (int i = 0; i < 30; i++)
		tick(1);
	cr_expect_neq(kernel->maps.endpoints[id].service, 0);
	apply("web 10.0.0.1:80/tcp = 192.0.2.1:1 192.0.2.3:1");
	cr_expect_neq(in_force->services[0]->endpoints[1].id, id);
	maps.live[id].open = 0;
	for (int i = 0; i < 30; i++)
		tick(1);
	cr_expect_eq(kernel->maps.endpoints[id].service, 0);
	apply("web 10.0.0.1:80/tcp = 192.0.2.1:1 192.0.2.4:1");
	cr_expect_eq(in_force->services[0]->endpoints[1].id, id);
}

Test(kernel_pools, another_place_of_the_node)
{
	const struct fl_place_of_node there = { "n1", "b" };

	apply("web+near,zone 10.0.0.1:80/tcp = 192.0.2.1:1 192.0.2.2:1");
	cr_expect_eq(head_of(0, FL_IPV4)->tier[1].count, 1);
	cr_expect_eq(fl_pools_move(pools, &here), 0);
	cr_expect_eq(fl_pools_move(pools, &there), 1);
	fl_snapshot_unref(in_force);
	in_force = NULL;
	apply("web+near,zone 10.0.0.1:80/tcp = 192.0.2.1:1 192.0.2.2:1");
	cr_expect_eq(head_of(0, FL_IPV4)->tier[1].count, 0);
	cr_expect_eq(head_of(0, FL_IPV4)->tier[2].count, 2);
}
