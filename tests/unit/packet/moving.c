/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/*
 * bpf/lib/moving.h from its own source, over maps that something else comes between
 * at every single operation: another packet of the flow, on another CPU, or the
 * agent. The model test shows that the rules are right; here, that the program
 * keeps to them when it is interrupted. The helpers have other names than libbpf's
 * functions, which are in this test program too.
 */
#define bpf_map_lookup_elem   fake_lookup
#define bpf_map_update_elem   fake_update
#define bpf_map_delete_elem   fake_delete
#define bpf_loop              fake_loop
#define bpf_ktime_get_boot_ns fake_boot_ns
#define bpf_jiffies64         fake_jiffies
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include "../../../bpf/lib/moving.h"
#pragma GCC diagnostic pop

enum { SERVICE = 1, BEFORE = 1, NOW = 2, THIRD = 3, ENDPOINTS = 4 };
enum { SECOND = 5000, SLOT_AT = 7, CELLS = 16 };

/* ------------------------------------------------------------------------ maps */

/* Cells are not used again within a story, as if RCU kept them. */
struct table {
	struct fl_flow keys[CELLS];
	struct fl_pin pins[CELLS];
	bool taken[CELLS];
	int used;
	int room; /**< for this many pins at once */
};

static struct table pins_table, opening_table;
static fl_slot slot;
static struct fl_service_row service;
static struct fl_endpoint_row endpoints[ENDPOINTS];
static struct fl_pressure_row pressure_row;

static int steps;        /* operations since the story began */
static int interrupt_at; /* before this one */
static void (*interruption)(void);

/* One operation on a map: perhaps something comes before it. */
static void step(void)
{
	void (*call)(void) = interruption;

	if (steps++ < interrupt_at || !call)
		return;
	interruption = NULL;
	call();
}

static struct table *table_of(const void *map)
{
	return map == &fl_pins ? &pins_table : map == &fl_opening ? &opening_table : NULL;
}

static int find(const struct table *table, const struct fl_flow *key)
{
	for (int i = 0; i < table->used; i++)
		if (table->taken[i] && !memcmp(&table->keys[i], key, sizeof(*key)))
			return i;
	return -1;
}

static int count(const struct table *table)
{
	int n = 0;

	for (int i = 0; i < table->used; i++)
		n += table->taken[i];
	return n;
}

void *fake_lookup(void *map, const void *key)
{
	struct table *table = table_of(map);
	const __u32 *index = key;
	int at;

	if (map == &packet_clocks)
		return NULL; /* the time is asked for anew */
	step();
	if (table) {
		at = find(table, key);
		return at < 0 ? NULL : &table->pins[at];
	}
	if (map == &fl_slots)
		return *index == SLOT_AT ? &slot : NULL;
	if (map == &fl_services)
		return *index == SERVICE ? &service : NULL;
	if (map == &fl_endpoints)
		return *index < ENDPOINTS ? &endpoints[*index] : NULL;
	cr_assert(map == &fl_pressure);
	return &pressure_row;
}

long fake_update(void *map, const void *key, const void *value, __u64 flags)
{
	struct table *table = table_of(map);
	int at;

	step();
	at = find(table, key);
	if (at >= 0 && flags == BPF_NOEXIST)
		return -EEXIST;
	if (at < 0 && flags == BPF_EXIST)
		return -ENOENT;
	if (at < 0 && count(table) >= table->room)
		return -E2BIG;
	if (at < 0)
		at = table->used++;
	cr_assert_lt(at, CELLS);
	table->taken[at] = true;
	memcpy(&table->keys[at], key, sizeof(struct fl_flow));
	memcpy(&table->pins[at], value, sizeof(struct fl_pin));
	return 0;
}

long fake_delete(void *map, const void *key)
{
	struct table *table = table_of(map);
	int at;

	step();
	at = find(table, key);
	if (at >= 0)
		table->taken[at] = false;
	return at < 0 ? -ENOENT : 0;
}

long fake_loop(__u32 times, void *callback, void *context, __u64 flags)
{
	cr_assert_eq(flags, 0);
	for (__u32 i = 0; i < times; i++)
		if (((long (*)(__u32, struct moving *))callback)(i, context))
			return i + 1;
	return times;
}

__u64 fake_boot_ns(void)
{
	return SECOND * 1000000000ull;
}

__u64 fake_jiffies(void)
{
	return 1;
}

/* ----------------------------------------------------------------------- stories */

static const struct fl_flow FLOW = { .sport = 1, .dport = 80, .proto = IPPROTO_TCP };

static void begin(fl_slot value)
{
	pins_table = (struct table){ .room = CELLS };
	opening_table = (struct table){ .room = CELLS };
	slot = value;
	service = (struct fl_service_row){ .in_use = 1, .forward = FL_IPIP };
	pressure_row = (struct fl_pressure_row){ 0 };
	for (int i = 1; i < ENDPOINTS; i++)
		endpoints[i] = (struct fl_endpoint_row){ .state = FL_UP, .service = SERVICE };
	steps = 0;
	interruption = NULL;
}

static void put(struct table *table, const struct fl_pin *pin)
{
	int at = table->used++;

	table->taken[at] = true;
	table->keys[at] = FLOW;
	table->pins[at] = *pin;
	pressure_row.old_pins += pin->old;
}

/* One packet of the flow. @return where it goes */
static __u32 sends(enum fl_packet packet)
{
	struct moving m = { .key = FLOW,
		.index = SLOT_AT,
		.service = SERVICE,
		.second = SECOND,
		.packet = packet };

	fake_loop(MOVING_TRIES, moving_try, &m, 0);
	return m.endpoint;
}

static fl_slot moving(void)
{
	return fl_slot_moving(NOW, BEFORE, SECOND - 100);
}

static const struct fl_pin *pin_of(const struct table *table)
{
	int at = find(table, &FLOW);

	return at < 0 ? NULL : &table->pins[at];
}

static enum fl_packet other_packet;
static void other_sends(void)
{
	sends(other_packet);
}

static int old_pins(const struct table *table)
{
	int n = 0;

	for (int i = 0; i < table->used; i++)
		n += table->taken[i] && table->pins[i].old;
	return n;
}

struct pair {
	char name[40];
	enum fl_packet packet, other;
	int pins_room, opening_room;
};

static const struct pair pairs[] = {
	{ "SYN, and again", FL_PACKET_OPEN, FL_PACKET_OPEN, CELLS, CELLS },
	{ "SYN, overtaken by data", FL_PACKET_OPEN, FL_PACKET_DATA, CELLS, CELLS },
	{ "data, overtaken by SYN", FL_PACKET_DATA, FL_PACKET_OPEN, CELLS, CELLS },
	{ "data, and more of it", FL_PACKET_DATA, FL_PACKET_DATA, CELLS, CELLS },
	{ "data and FIN", FL_PACKET_DATA, FL_PACKET_FIN, CELLS, CELLS },
	{ "FIN and data", FL_PACKET_FIN, FL_PACKET_DATA, CELLS, CELLS },
	{ "SYN and FIN", FL_PACKET_OPEN, FL_PACKET_FIN, CELLS, CELLS },
	{ "UDP", FL_PACKET_UDP, FL_PACKET_UDP, CELLS, CELLS },
	{ "SYN and data, pins are full", FL_PACKET_OPEN, FL_PACKET_DATA, 0, CELLS },
	{ "SYN and data, opening is full", FL_PACKET_OPEN, FL_PACKET_DATA, CELLS, 0 },
	{ "data and SYN, opening is full", FL_PACKET_DATA, FL_PACKET_OPEN, CELLS, 0 },
	{ "SYN and data, both are full", FL_PACKET_OPEN, FL_PACKET_DATA, 0, 0 },
};

/* What holds after any two packets: one pin, counted once, and it was obeyed. */
static void check(const struct pair *row, __u32 went)
{
	const struct fl_pin *pin = pin_of(&pins_table), *opening = pin_of(&opening_table);

	cr_expect_not(pin && opening, "%s, at step %d: two pins", row->name, interrupt_at);
	cr_expect_eq((int)pressure_row.old_pins, old_pins(&pins_table),
		"%s, at step %d: pins of old flows are miscounted", row->name, interrupt_at);
	pin = pin ? pin : opening;
	if (pin)
		cr_expect_eq(went, pin->endpoint, "%s, at step %d: went to %u, pinned to %u",
			row->name, interrupt_at, went, pin->endpoint);
	if (!pin)
		cr_expect_eq(fl_slot_age(slot, SECOND), 0, "%s, at step %d: no pin and no loss",
			row->name, interrupt_at);
}

static void meet(const struct pair *row, bool promoting)
{
	struct fl_pin pin = { .endpoint = NOW, .service = SERVICE, .seen = SECOND };
	__u32 went;

	begin(moving());
	if (promoting)
		put(&opening_table, &pin);
	pins_table.room = row->pins_room;
	opening_table.room = row->opening_room;
	other_packet = row->other;
	interruption = other_sends;
	went = sends(row->packet);
	check(row, went);
}

Test(packet_moving, two_packets_of_a_flow)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		for (int promoting = 0; promoting < 2; promoting++) {
			interrupt_at = 0;
			do
				meet(&pairs[i], promoting);
			while (!interruption && interrupt_at++ < 200);
			cr_assert_gt(interrupt_at, 5, "%s: nothing came between", pairs[i].name);
			cr_assert_not_null(interruption, "%s has no end", pairs[i].name);
		}
}

/* The agent changes the slot while a packet loses its pin: the slot that the agent
 * wrote must learn of the loss. */
static void agent_changes(void)
{
	slot = fl_slot_change(slot, THIRD, SECOND);
}

struct loss {
	char name[40];
	enum fl_packet packet;
	bool opening; /* the flow has a pin there */
	__u32 endpoint;
};

Test(packet_moving, a_loss_is_written_whoever_comes_between)
{
	static const struct loss rows[] = {
		{ "an old flow", FL_PACKET_DATA, false, BEFORE },
		{ "UDP", FL_PACKET_UDP, false, BEFORE },
		{ "one that cannot be promoted", FL_PACKET_DATA, true, NOW },
	};
	struct fl_pin pin = { .endpoint = NOW, .service = SERVICE, .seen = SECOND };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (interrupt_at = 0; interrupt_at < 40; interrupt_at++) {
			begin(moving());
			if (rows[i].opening)
				put(&opening_table, &pin);
			pins_table.room = 0;
			interruption = agent_changes;
			cr_expect_eq(sends(rows[i].packet), rows[i].endpoint, "%s, at step %d",
				rows[i].name, interrupt_at);
			cr_expect_eq(fl_slot_age(slot, SECOND), 0, "%s, at step %d: not written",
				rows[i].name, interrupt_at);
			cr_expect_gt(pressure_row.refused, 0);
			cr_expect_eq(pressure_row.postponed, 1, "%s, at step %d: counted %d times",
				rows[i].name, interrupt_at, (int)pressure_row.postponed);
		}
}

/* The frontend has changed hands: what the service before pinned binds nobody. */
Test(packet_moving, a_pin_of_another_service)
{
	struct fl_pin pin = {
		.endpoint = THIRD, .service = SERVICE + 1, .seen = SECOND, .proven = 1
	};
	struct table *tables[] = { &pins_table, &opening_table };

	for (int i = 0; i < 2; i++) {
		begin(moving());
		put(tables[i], &pin);
		cr_expect_eq(sends(FL_PACKET_RST), NOW);
		cr_expect_eq(pin_of(tables[i])->endpoint, THIRD, "RST leaves no trace");
		cr_expect_eq(sends(FL_PACKET_DATA), NOW);
		cr_assert_not_null(pin_of(tables[i]));
		cr_expect_eq(pin_of(tables[i])->endpoint, NOW);
		cr_expect_eq(pin_of(tables[i])->service, SERVICE);
	}
}
