/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/slot.h"
#include "kernel/settler.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/opened.h"

/*
 * How slots that move come to rest, over real maps; the rules of one slot have a
 * model test of their own. The clock is handed in, one tick for each second. Flows
 * are remembered by hand, as the packet path would.
 */
#define W     100 /* settle, TCP */
#define E_UDP 20

static struct fl_config config;
static struct fl_kernel *kernel;
static struct fl_writer *writer;
static struct fl_snapshot *applied;
static uint32_t now_s;

static void open_all(void)
{
	kernel = test_kernel_open_maps(&config);
	writer = test_writer_new(kernel);
}

static void setup(void)
{
	test_enter_private();
	config = test_config();
	now_s = 5000;
	open_all();
}

static void teardown(void)
{
	fl_snapshot_unref(applied);
	fl_writer_free(writer);
	fl_kernel_close(kernel);
}

TestSuite(kernel_settler, .init = setup, .fini = teardown, .timeout = 300);

static struct fl_service *tunnelled(const char *name, const char *frontends, const char *endpoints)
{
	struct fl_service *service = test_service(name, frontends, endpoints);

	service->forward = FL_IPIP;
	service->settle_tcp_s = W;
	service->settle_udp_s = E_UDP;
	return service;
}

static void apply_all(struct fl_service **services, size_t count)
{
	static uint64_t generation;
	struct fl_snapshot *next = test_snapshot(++generation, services, count);

	test_apply(writer, applied, next, now_s);
	fl_writer_follow(writer, next);
	fl_snapshot_unref(applied);
	applied = next;
}

static void restart(void)
{
	fl_snapshot_unref(applied);
	applied = NULL;
	fl_writer_free(writer);
	fl_kernel_close(kernel);
	open_all();
}

/* The one service "a" with these endpoints from now on. */
static void apply(const char *endpoints)
{
	struct fl_service *services[] = { tunnelled("a", "10.0.0.1:80/tcp", endpoints) };

	apply_all(services, 1);
}

static void pass(uint32_t seconds)
{
	while (seconds--)
		cr_assert_eq(fl_writer_tick(writer, ++now_s), 0);
}

static const struct fl_service_row *row(void)
{
	return &kernel->maps.services[applied->services[0]->id];
}

struct slot_counts {
	uint32_t settled, held, moving, old;
};

static struct slot_counts count_slots(void)
{
	fl_region region = row()->region[FL_IPV4];
	struct slot_counts counts = { 0 };

	for (uint32_t i = 0; i < fl_table_size(region); i++) {
		fl_slot slot = kernel->maps.slots[FL_REGION_BASE(region) + i];

		counts.old += fl_slot_is_old(slot) != 0;
		if (!fl_slot_is_moving(slot))
			counts.settled++;
		else if (fl_slot_is_held(slot))
			counts.held++;
		else
			counts.moving++;
	}
	return counts;
}

static uint32_t endpoint_id(size_t index)
{
	return applied->services[0]->endpoints[index].id;
}

/* A hash that leads to a slot in this state of the table. */
static uint32_t hash_of(bool (*is_such)(fl_slot slot))
{
	fl_region region = row()->region[FL_IPV4];
	uint32_t size = fl_table_size(region);

	for (uint64_t hash = 0; hash < 1ull << 32; hash += (1ull << 32) / size / 2) {
		uint32_t slot = fl_hash_slot((uint32_t)hash, size);

		if (is_such(kernel->maps.slots[FL_REGION_BASE(region) + slot]))
			return (uint32_t)hash;
	}
	cr_assert_fail("no slot is in such a state");
	return 0;
}

static bool is_moving(fl_slot slot)
{
	return fl_slot_is_moving(slot) && !fl_slot_is_held(slot);
}

static bool is_settled(fl_slot slot)
{
	return !fl_slot_is_moving(slot);
}

static struct fl_flow flow(uint16_t n)
{
	return (struct fl_flow){ .sport = n, .proto = IPPROTO_TCP };
}

static void put_pin(enum fl_map map, uint16_t n, uint32_t hash, uint32_t endpoint)
{
	struct fl_flow key = flow(n);
	struct fl_pin pin = {
		.endpoint = endpoint,
		.seen = now_s,
		.service = applied->services[0]->id,
		.hash = hash,
		.proven = map == FL_MAP_pins,
		.old = map == FL_MAP_pins,
		.family = FL_IPV4,
	};

	cr_assert_eq(bpf_map_update_elem(kernel->maps.fd[map], &key, &pin, BPF_ANY), 0);
}

static bool has_pin(enum fl_map map, uint16_t n)
{
	struct fl_flow key = flow(n);
	struct fl_pin pin;

	return bpf_map_lookup_elem(kernel->maps.fd[map], &key, &pin) == 0;
}

static const struct fl_settle_counts *counts(void)
{
	return fl_writer_settle_counts(writer);
}

/* ------------------------------------------------------------------ one change */

Test(kernel_settler, a_first_table_is_settled)
{
	apply("192.0.2.1 192.0.2.2");
	cr_expect_eq(count_slots().settled, 251);
	pass(30);
	cr_expect_eq(counts()->sweeps, 0, "nothing moves, nothing to do");
}

Test(kernel_settler, a_change_moves_holds_and_settles)
{
	struct slot_counts found;
	uint32_t moved;

	apply("192.0.2.1 192.0.2.2");
	apply("192.0.2.1 192.0.2.2*2");
	found = count_slots();
	moved = found.moving;
	cr_expect_gt(moved, 20);
	cr_expect_eq(found.settled + moved, 251);
	cr_expect_eq(fl_writer_writes(writer)->slots_moved, moved);

	pass(W + FL_GRACE_S - 1);
	cr_expect_eq(count_slots().moving, moved, "old flows may still speak");
	pass(1);
	cr_expect_eq(count_slots().held, moved);
	cr_expect_eq(counts()->held, moved);
	pass(2 * 10 + FL_GRACE_S);
	cr_expect_eq(count_slots().settled, 251);
	cr_expect_eq(counts()->settled, moved);

	moved = counts()->sweeps;
	pass(30);
	cr_expect_eq(counts()->sweeps, moved, "at rest again");
}

Test(kernel_settler, a_slot_that_packets_postpone_is_held_later)
{
	fl_region region;
	uint32_t slot;

	apply("192.0.2.1 192.0.2.2");
	apply("192.0.2.1 192.0.2.2*2");
	region = row()->region[FL_IPV4];
	slot = FL_REGION_BASE(region) + fl_hash_slot(hash_of(is_moving), 251);
	pass(W);
	kernel->maps.slots[slot] = fl_slot_postponed(kernel->maps.slots[slot], now_s);
	pass(50);
	cr_expect(is_moving(kernel->maps.slots[slot]));
	cr_expect_eq(count_slots().moving, 1, "the others are held or settled");
	pass(W);
	cr_expect_eq(count_slots().moving, 0);
	pass(30);
	cr_expect_eq(count_slots().settled, 251);
}

Test(kernel_settler, a_slot_with_pins_elsewhere_stays_held)
{
	uint32_t hash;

	apply("192.0.2.1 192.0.2.2");
	apply("192.0.2.1 192.0.2.2*2");
	hash = hash_of(is_moving);
	pass(W + FL_GRACE_S);
	put_pin(FL_MAP_pins, 1, hash, endpoint_id(0));
	pass(W - 10);
	cr_expect(has_pin(FL_MAP_pins, 1), "alive");
	cr_expect_eq(count_slots().held, 1);
	cr_expect_eq(kernel->maps.pressure->old_pins, 1);
	pass(30);
	cr_expect_not(has_pin(FL_MAP_pins, 1), "silent for too long");
	pass(20);
	cr_expect_eq(count_slots().settled, 251);
	cr_expect_eq(kernel->maps.pressure->old_pins, 0);
}

struct pinned {
	char name[48];
	enum fl_map map;
	bool (*slot)(fl_slot slot);
	int endpoint; /* index; -1 = one that is not there */
	bool freed;
};

Test(kernel_settler, the_sweep_frees_what_nobody_needs)
{
	static const struct pinned rows[] = {
		{ "of a settled slot", FL_MAP_pins, is_settled, 0, true },
		{ "of a moving slot, at before", FL_MAP_pins, is_moving, 0, false },
		{ "of a moving slot, at now", FL_MAP_pins, is_moving, 1, false },
		{ "unproven, of a moving slot", FL_MAP_opening, is_moving, 1, false },
		{ "unproven, of a settled slot", FL_MAP_opening, is_settled, 1, true },
	};
	const uint16_t count = sizeof(rows) / sizeof(rows[0]);

	apply("192.0.2.1 192.0.2.2");
	apply("192.0.2.1 192.0.2.2*2");
	for (uint16_t i = 0; i < count; i++)
		put_pin(rows[i].map, i, hash_of(rows[i].slot),
			endpoint_id((size_t)rows[i].endpoint));
	pass(12);
	cr_assert_geq(counts()->sweeps, 1);
	for (uint16_t i = 0; i < count; i++)
		cr_expect_eq(has_pin(rows[i].map, i), !rows[i].freed, "%s", rows[i].name);
}

Test(kernel_settler, pins_that_agree_with_a_held_slot_go)
{
	uint32_t hash;

	apply("192.0.2.1 192.0.2.2");
	apply("192.0.2.1 192.0.2.2*2");
	hash = hash_of(is_moving);
	pass(W + FL_GRACE_S);
	put_pin(FL_MAP_pins, 1, hash, endpoint_id(1));
	pass(30);
	cr_expect_not(has_pin(FL_MAP_pins, 1), "the slot says the same");
	pass(10);
	cr_expect_eq(count_slots().settled, 251);
}

Test(kernel_settler, pins_of_services_that_went_go)
{
	struct fl_service *two[] = { tunnelled("a", "10.0.0.1:80/tcp", "192.0.2.1 192.0.2.2"),
		tunnelled("b", "10.0.0.2:80/tcp", "192.0.2.1") };

	apply_all(two, 2);
	put_pin(FL_MAP_pins, 1, 7, endpoint_id(0));
	two[0] = fl_service_ref(applied->services[1]);
	apply_all(two, 1);
	pass(15);
	cr_expect_not(has_pin(FL_MAP_pins, 1));
}

Test(kernel_settler, pins_of_an_endpoint_that_is_another_service_s_go)
{
	struct fl_service *two[] = { tunnelled("a", "10.0.0.1:80/tcp", "192.0.2.1 192.0.2.2"),
		tunnelled("b", "10.0.0.2:80/tcp", "192.0.2.3") };
	uint32_t hash;

	apply_all(two, 2);
	two[0] = tunnelled("a", "10.0.0.1:80/tcp", "192.0.2.1 192.0.2.2*2");
	two[1] = fl_service_ref(applied->services[1]);
	apply_all(two, 2);
	hash = hash_of(is_moving);
	put_pin(FL_MAP_pins, 1, hash, endpoint_id(0));
	put_pin(FL_MAP_pins, 2, hash, applied->services[1]->endpoints[0].id);
	put_pin(FL_MAP_pins, 3, hash, 999);
	pass(15);
	cr_expect(has_pin(FL_MAP_pins, 1));
	cr_expect_not(has_pin(FL_MAP_pins, 2), "of another service");
	cr_expect_not(has_pin(FL_MAP_pins, 3), "of nobody");
}

Test(kernel_settler, pins_go_though_the_service_turns_to_nat)
{
	struct fl_service *nat[] = { test_service("a", "10.0.0.1:80/tcp", "192.0.2.1 192.0.2.2") };
	uint32_t hash;

	apply("192.0.2.1 192.0.2.2");
	apply("192.0.2.1 192.0.2.2*2");
	hash = hash_of(is_moving);
	pass(15);
	put_pin(FL_MAP_pins, 1, hash, endpoint_id(0));
	apply_all(nat, 1);
	cr_expect_eq(count_slots().settled, 251, "nat has no slots that move");
	pass(15);
	cr_expect_not(has_pin(FL_MAP_pins, 1));
}

/* What was under way when a sweep ended may not have arrived. */
Test(kernel_settler, sweeps_keep_a_distance)
{
	uint64_t before;

	apply("192.0.2.1 192.0.2.2");
	apply("192.0.2.1 192.0.2.2*2");
	pass(15);
	before = counts()->sweeps;
	cr_expect_geq(before, 1);
	do
		pass(1);
	while (counts()->sweeps == before);
	/* That one took long: the next tick comes when it has ended. */
	now_s += 30;
	pass(1);
	pass(FL_GRACE_S - 1);
	cr_expect_eq(counts()->sweeps, before + 1, "too soon");
	pass(1);
	cr_expect_eq(counts()->sweeps, before + 2);

	/* The agent before may have ended in the middle of one. */
	restart();
	now_s += 100;
	pass(1);
	pass(FL_GRACE_S - 1);
	cr_expect_eq(counts()->sweeps, 0, "too soon");
	pass(15);
	cr_expect_geq(counts()->sweeps, 1);
}

/* ----------------------------------------------------------------------- ids */

Test(kernel_settler, an_id_is_free_when_no_slot_and_no_pin_holds_it)
{
	uint32_t id, hash;

	apply("192.0.2.1 192.0.2.2");
	id = endpoint_id(1);
	apply("192.0.2.1");
	hash = hash_of(is_moving);
	cr_expect_eq(kernel->maps.endpoints[id].state, FL_DOWN);
	pass(W);
	cr_expect_neq(kernel->maps.endpoints[id].service, 0, "slots have it as `before`");
	put_pin(FL_MAP_pins, 1, hash, id);
	pass(30);
	cr_expect_not(has_pin(FL_MAP_pins, 1), "pins of one that is gone go too");
	cr_expect_eq(kernel->maps.endpoints[id].service, 0, "free");
}

Test(kernel_settler, a_resting_endpoint_that_returns_is_not_freed)
{
	uint32_t id;

	apply("192.0.2.1 192.0.2.2");
	id = endpoint_id(1);
	apply("192.0.2.1");
	pass(5);
	apply("192.0.2.1 192.0.2.2");
	cr_expect_eq(endpoint_id(1), id);
	pass(W + 40);
	cr_expect_neq(kernel->maps.endpoints[id].service, 0);
	cr_expect_eq(count_slots().settled, 251);
}

/* -------------------------------------------------------------- change of size */

Test(kernel_settler, a_change_of_size_keeps_the_old_table_until_it_is_not_needed)
{
	fl_region old, new;
	uint32_t old_slots[251];

	apply("192.0.2.1 192.0.2.2");
	old = row()->region[FL_IPV4];
	for (int i = 0; i < 251; i++)
		old_slots[i] = fl_slot_now(kernel->maps.slots[FL_REGION_BASE(old) + i]);
	apply("192.0.2.1 192.0.2.2 192.0.2.3");
	new = row()->region[FL_IPV4];
	cr_expect_eq(fl_table_size(new), 1021);
	cr_expect_eq(row()->old_region[FL_IPV4], old);
	cr_expect_eq(count_slots().held, 1021);
	cr_expect_eq(count_slots().old, 1021, "a miss asks the old table");

	apply("192.0.2.1 192.0.2.3"); /* the size stays: 251 would do, but one at a time */
	cr_expect_eq(row()->region[FL_IPV4], new);
	cr_expect_eq(count_slots().old, 1021);
	cr_expect_gt(count_slots().moving, 100);
	for (int i = 0; i < 251; i++)
		cr_assert_eq(kernel->maps.slots[FL_REGION_BASE(old) + i],
			fl_slot_settled(old_slots[i]), "the old table is frozen");

	pass(W + FL_GRACE_S);
	cr_expect_eq(count_slots().old, 0);
	cr_expect_eq(row()->old_region[FL_IPV4], 0);
	cr_expect_eq(counts()->resized, 1);
	pass(11);
	cr_expect_eq(fl_table_size(row()->region[FL_IPV4]), 251, "now it was the other's turn");
	pass(2 * W);
	cr_expect_eq(count_slots().settled, 251);
	cr_expect_eq(counts()->resized, 2);
	cr_expect_eq(fl_writer_slots_in_use(writer), 251, "all other places are free");
}

Test(kernel_settler, without_room_a_table_waits_for_it)
{
	struct fl_service *services[9];
	char name[8], frontend[32];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		snprintf(frontend, sizeof(frontend), "10.0.0.%u:80/tcp", i);
		services[i] = tunnelled(name, frontend, "192.0.2.1 192.0.2.2");
		services[i]->slots = i < 7 ? 65537 : 251;
	}
	apply_all(services, 8);
	for (unsigned i = 0; i < 8; i++)
		services[i] = fl_service_ref(applied->services[i]);
	fl_service_unref(services[7]);
	services[7] = tunnelled("s7", "10.0.0.7:80/tcp", "192.0.2.1 192.0.2.2");
	services[7]->slots = 65537;
	apply_all(services, 8);
	cr_expect_eq(fl_table_size(kernel->maps.services[applied->services[7]->id].region[0]), 251);

	services[0] = fl_service_ref(applied->services[7]);
	apply_all(services, 1);
	pass(20);
	cr_expect_eq(fl_table_size(row()->region[FL_IPV4]), 65537, "others left");
}

/* ------------------------------------------------------------------- restart */

Test(kernel_settler, a_restart_goes_on_where_it_was)
{
	uint32_t moved;

	apply("192.0.2.1 192.0.2.2");
	apply("192.0.2.1 192.0.2.2*2");
	moved = count_slots().moving;
	pass(W / 2);
	restart();
	pass(20);
	apply("192.0.2.1 192.0.2.2*2");
	cr_expect_eq(fl_writer_writes(writer)->slots, 0, "what is there is right");
	cr_expect_eq(count_slots().moving, moved);
	pass(W / 2 - 20 + FL_GRACE_S);
	cr_expect_eq(count_slots().held, moved, "the time before the restart counts");
	pass(30);
	cr_expect_eq(count_slots().settled, 251);
}

Test(kernel_settler, a_change_of_size_outlives_a_restart)
{
	fl_region old;

	apply("192.0.2.1 192.0.2.2");
	apply("192.0.2.1 192.0.2.2 192.0.2.3");
	old = row()->old_region[FL_IPV4];
	restart();
	apply("192.0.2.1 192.0.2.2 192.0.2.3");
	cr_expect_eq(row()->old_region[FL_IPV4], old);
	cr_expect_eq(fl_writer_slots_in_use(writer), 1021 + 251);
	pass(W + FL_GRACE_S);
	cr_expect_eq(row()->old_region[FL_IPV4], 0);
	pass(30);
	cr_expect_eq(count_slots().settled, 1021);
	cr_expect_eq(fl_writer_slots_in_use(writer), 1021);
}

/* Killed after the first of the two stores: the old place is also the present one. */
Test(kernel_settler, half_a_change_of_size_has_not_happened)
{
	struct fl_service_row *written;

	apply("192.0.2.1 192.0.2.2");
	written = &kernel->maps.services[applied->services[0]->id];
	written->old_region[FL_IPV4] = written->region[FL_IPV4];
	restart();
	apply("192.0.2.1 192.0.2.2");
	cr_expect_eq(row()->old_region[FL_IPV4], 0);
	cr_expect_eq(count_slots().settled, 251);
	cr_expect_eq(fl_writer_slots_in_use(writer), 251);
}

/* --------------------------------------------------------------------- leavers */

static void apply_udp(const char *endpoints, enum fl_udp udp)
{
	struct fl_service *services[] = { tunnelled("a", "10.0.0.1:53/udp", endpoints) };

	services[0]->udp = udp;
	apply_all(services, 1);
}

Test(kernel_settler, with_udp_keep_an_endpoint_drains_in_two_steps)
{
	uint32_t id;

	apply_udp("192.0.2.1 192.0.2.2", FL_UDP_KEEP);
	id = endpoint_id(1);
	apply_udp("192.0.2.1 192.0.2.2/draining", FL_UDP_KEEP);
	cr_expect_eq(kernel->maps.endpoints[id].state, FL_UP, "slots have it as `before`");
	pass(E_UDP + FL_GRACE_S + 1);
	cr_expect_eq(kernel->maps.endpoints[id].state, FL_DRAINING);
	cr_expect_geq(kernel->maps.endpoints[id].since, now_s - 1);
}

Test(kernel_settler, one_that_waits_to_drain_may_be_called_back)
{
	uint32_t id;

	apply_udp("192.0.2.1 192.0.2.2", FL_UDP_KEEP);
	id = endpoint_id(1);
	apply_udp("192.0.2.1 192.0.2.2/draining", FL_UDP_KEEP);
	pass(5);
	apply_udp("192.0.2.1 192.0.2.2", FL_UDP_KEEP);
	pass(100);
	cr_expect_eq(kernel->maps.endpoints[id].state, FL_UP);
	apply_udp("192.0.2.1 192.0.2.2/draining", FL_UDP_KEEP);
	apply_udp("192.0.2.1 192.0.2.2/down", FL_UDP_KEEP);
	cr_expect_eq(kernel->maps.endpoints[id].state, FL_DOWN, "down does not wait");
	pass(100);
	cr_expect_eq(kernel->maps.endpoints[id].state, FL_DOWN);
}

Test(kernel_settler, one_that_comes_back_to_drain_is_up_until_it_may)
{
	uint32_t id;

	apply_udp("192.0.2.1 192.0.2.2", FL_UDP_KEEP);
	id = endpoint_id(1);
	apply_udp("192.0.2.1 192.0.2.2/down", FL_UDP_KEEP);
	cr_expect_eq(kernel->maps.endpoints[id].state, FL_DOWN);
	apply_udp("192.0.2.1 192.0.2.2/draining", FL_UDP_KEEP);
	cr_expect_eq(kernel->maps.endpoints[id].state, FL_UP, "silent flows are at `before`");
	pass(E_UDP + FL_GRACE_S + 1);
	cr_expect_eq(kernel->maps.endpoints[id].state, FL_DRAINING);
}

Test(kernel_settler, others_drain_at_once)
{
	apply_udp("192.0.2.1 192.0.2.2", FL_UDP_MOVE);
	apply_udp("192.0.2.1 192.0.2.2/draining", FL_UDP_MOVE);
	cr_expect_eq(kernel->maps.endpoints[endpoint_id(1)].state, FL_DRAINING);
}

/* ------------------------------------------------------------------ other modes */

Test(kernel_settler, in_nat_nothing_ever_moves)
{
	struct fl_service *services[] = { tunnelled(
		"a", "10.0.0.1:80/tcp", "192.0.2.1 192.0.2.2") };

	apply_all(services, 1);
	apply("192.0.2.1 192.0.2.2*2");
	cr_assert_gt(count_slots().moving, 0);
	services[0] = tunnelled("a", "10.0.0.1:80/tcp", "192.0.2.1 192.0.2.2*2");
	services[0]->forward = FL_NAT;
	apply_all(services, 1);
	cr_expect_eq(count_slots().settled, 251);
	pass(1);
	cr_expect_eq(counts()->held, 0);
}
