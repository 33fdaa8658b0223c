/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "balance/settle.h"
#include "fairlead/hash.h"
#include "fairlead/slot.h"

/*
 * The agent's half of the slot rules, over a small table. What the rules of one slot
 * are good for, the model test shows; here, that they are applied to the right
 * slots, pins and moments.
 */
enum { SIZE = 251, BASE = 1000, W = 100, E_UDP = 20, ENDPOINTS = 9, T = 5000 };

static fl_slot slots[SIZE];
static const struct fl_slot_table table = { .slots = slots,
	.size = SIZE,
	.base = BASE,
	.keep_tcp_s = W,
	.keep_udp_s = E_UDP,
	.silence_s = W };
static struct fl_settle *settle;
static struct fl_slot_tally tally;

static void setup(void)
{
	for (int i = 0; i < SIZE; i++)
		slots[i] = fl_slot_settled(1);
	tally = (struct fl_slot_tally){ 0 };
	settle = fl_settle_new(BASE + SIZE, ENDPOINTS);
	cr_assert_not_null(settle);
}

static void teardown(void)
{
	fl_settle_free(settle);
}

TestSuite(balance_settle, .init = setup, .fini = teardown);

Test(balance_settle, a_change_is_written_once)
{
	cr_expect(fl_settle_change(&slots[3], 2, T));
	cr_expect_eq(slots[3], fl_slot_moving(2, 1, T));
	cr_expect_not(fl_settle_change(&slots[3], 2, T + 50), "it is there already");
	cr_expect_eq(slots[3], fl_slot_moving(2, 1, T));
	cr_expect_not(fl_settle_change(&slots[4], 1, T));
	cr_expect_eq(slots[4], fl_slot_settled(1), "a slot at rest stays at rest");
}

Test(balance_settle, what_has_been_silent_is_held)
{
	slots[1] = fl_slot_moving(2, 1, T - W - FL_GRACE_S);
	slots[2] = fl_slot_moving(2, 1, T - W - FL_GRACE_S + 1);
	slots[3] = fl_slot_moving(2, 2, T - 1);
	slots[4] = fl_slot_resized(2, T - W - FL_GRACE_S);
	slots[5] = fl_slot_resized(2, T - 1);
	fl_settle_hold(&table, T, &tally);
	cr_expect_eq(slots[1], fl_slot_moving(2, 2, T));
	cr_expect_eq(slots[2], fl_slot_moving(2, 1, T - W - FL_GRACE_S + 1));
	cr_expect_eq(slots[3], fl_slot_moving(2, 2, T - 1));
	cr_expect_eq(slots[4], fl_slot_moving(2, 2, T), "asks the old table no more");
	cr_expect_eq(slots[5], fl_slot_resized(2, T - 1));
	cr_expect_eq(tally.held, 2);
	cr_expect_eq(tally.marked, 5);
	cr_expect_eq(tally.old, 1);
}

/* A hash that leads to this slot. */
static uint32_t hash_to(uint32_t slot)
{
	uint64_t hash = (((uint64_t)slot << 32) + SIZE - 1) / SIZE;

	cr_assert_eq(fl_hash_slot((uint32_t)hash, SIZE), slot);
	return (uint32_t)hash;
}

static bool sweep_pin(uint32_t slot, uint32_t endpoint, uint32_t silent_s, uint8_t proto, bool gone)
{
	struct fl_pin pin = {
		.endpoint = endpoint, .seen = T - silent_s, .hash = hash_to(slot), .proven = 1
	};

	return fl_settle_pin(settle, &table, &pin, proto, gone, T);
}

struct pin_row {
	char name[48];
	fl_slot slot;
	uint32_t endpoint;
	uint32_t silent_s;
	uint8_t proto;
	bool gone, freed;
};

Test(balance_settle, pins)
{
	const fl_slot moving = fl_slot_moving(2, 1, T - 50), held = fl_slot_moving(2, 2, T - 50);
	const struct pin_row rows[] = {
		{ "of a slot at rest", fl_slot_settled(1), 1, 0, IPPROTO_TCP, false, true },
		{ "at before", moving, 1, 0, IPPROTO_TCP, false, false },
		{ "at now", moving, 2, 0, IPPROTO_TCP, false, false },
		{ "silent", moving, 1, W + FL_GRACE_S, IPPROTO_TCP, false, true },
		{ "not for long enough", moving, 1, W + FL_GRACE_S - 1, IPPROTO_TCP, false, false },
		{ "silent, UDP", moving, 1, E_UDP + FL_GRACE_S, IPPROTO_UDP, false, true },
		{ "held, elsewhere", held, 1, 0, IPPROTO_TCP, false, false },
		{ "held, as the slot says", held, 2, 0, IPPROTO_TCP, false, true },
		{ "the same, written just now", fl_slot_moving(2, 2, T - 1), 2, 0, IPPROTO_TCP,
			false, false },
		{ "its endpoint is gone", moving, 1, 0, IPPROTO_TCP, true, true },
	};

	cr_assert_eq(fl_settle_begin(settle, T), 0);
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		slots[i] = rows[i].slot;
		cr_expect_eq(sweep_pin(i, rows[i].endpoint, rows[i].silent_s, rows[i].proto,
				     rows[i].gone),
			rows[i].freed, "%s", rows[i].name);
	}
	cr_expect(fl_settle_pin(
			  settle, NULL, &(struct fl_pin){ .endpoint = 1 }, IPPROTO_TCP, true, T),
		"it has no table");
}

Test(balance_settle, held_slots_without_pins_settle)
{
	for (uint32_t i = 0; i < 4; i++)
		slots[i] = fl_slot_moving(2, 2, T - FL_GRACE_S);
	slots[3] = fl_slot_moving(2, 2, T - FL_GRACE_S + 1);
	slots[4] = fl_slot_moving(2, 1, T - FL_GRACE_S);
	cr_assert_eq(fl_settle_begin(settle, T), 0);
	cr_expect_not(sweep_pin(1, 1, 0, IPPROTO_TCP, false));
	cr_expect(sweep_pin(2, 2, 0, IPPROTO_TCP, false), "it goes, but was there");
	slots[5] = fl_slot_moving(2, 2, T + 1); /* written since the sweep began */
	fl_settle_table(settle, &table, &tally);
	cr_expect_eq(slots[0], fl_slot_settled(2));
	cr_expect_eq(slots[1], fl_slot_moving(2, 2, T - FL_GRACE_S), "pinned elsewhere");
	cr_expect_eq(slots[2], fl_slot_moving(2, 2, T - FL_GRACE_S), "had a pin");
	cr_expect_eq(slots[3], fl_slot_moving(2, 2, T - FL_GRACE_S + 1), "not ripe");
	cr_expect_eq(slots[4], fl_slot_moving(2, 1, T - FL_GRACE_S), "not held");
	cr_expect_eq(slots[5], fl_slot_moving(2, 2, T + 1));
	cr_expect_eq(tally.settled, 1);
	fl_settle_end(settle);
}

Test(balance_settle, who_is_unused)
{
	cr_expect_not(fl_settle_is_unused(settle, 3), "nothing is known yet");
	cr_assert_eq(fl_settle_begin(settle, T), 0);
	fl_settle_note(settle, 1);
	fl_settle_note(settle, ENDPOINTS + 1);
	sweep_pin(1, 2, 0, IPPROTO_TCP, true);
	cr_expect_not(fl_settle_is_unused(settle, 3), "not before the end");
	fl_settle_end(settle);
	cr_expect_not(fl_settle_is_unused(settle, 1), "a slot has it");
	cr_expect_not(fl_settle_is_unused(settle, 2), "a pin had it");
	cr_expect(fl_settle_is_unused(settle, 3));
	cr_expect_not(fl_settle_is_unused(settle, ENDPOINTS + 1), "nobody");
	cr_assert_eq(fl_settle_begin(settle, T + 10), 0);
	fl_settle_give_up(settle);
	cr_expect_not(fl_settle_is_unused(settle, 3), "forgotten");
}

Test(balance_settle, sweeps_keep_a_distance)
{
	cr_expect_not(fl_settle_may_begin(settle, T), "an agent before us may have swept");
	fl_settle_tick(settle, T);
	cr_expect_not(fl_settle_may_begin(settle, T + FL_GRACE_S - 1));
	fl_settle_tick(settle, T + 1);
	cr_expect(fl_settle_may_begin(settle, T + FL_GRACE_S));
	cr_assert_eq(fl_settle_begin(settle, T + 10), 0);
	fl_settle_end(settle);
	cr_expect_not(fl_settle_may_begin(settle, T + 99), "when it ended is not known yet");
	fl_settle_tick(settle, T + 99);
	cr_expect_not(fl_settle_may_begin(settle, T + 99 + FL_GRACE_S - 1));
	cr_expect(fl_settle_may_begin(settle, T + 99 + FL_GRACE_S));
}
