/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "balance/settle.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "fairlead/hash.h"
#include "fairlead/slot.h"

/* -------------------------------------------------------------------- slots
 *
 * Packets write slots too (a loss), so every write is a swap with what was read.
 */

static fl_slot load(const fl_slot *slot)
{
	return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

/* @return whether the slot was still `*seen`; if not, that is what it is now */
static bool swap(fl_slot *slot, fl_slot *seen, fl_slot wanted)
{
	return __atomic_compare_exchange_n(
		slot, seen, wanted, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

bool fl_settle_change(fl_slot *slot, uint32_t endpoint, uint32_t second)
{
	fl_slot seen = load(slot), wanted;

	do {
		wanted = fl_slot_change(seen, endpoint, second);
		if (wanted == seen)
			return false;
	} while (!swap(slot, &seen, wanted));
	return true;
}

/* A loss that comes between postpones it. @return the slot as it is then */
static fl_slot hold(
	fl_slot *slot, uint32_t silence_s, uint32_t second, struct fl_slot_tally *ret_add)
{
	fl_slot seen = load(slot), held;

	while (fl_slot_hold_is_due(seen, silence_s, second)) {
		held = fl_slot_held(seen, second);
		if (!swap(slot, &seen, held))
			continue;
		ret_add->held++;
		return held;
	}
	return seen;
}

void fl_settle_hold(
	const struct fl_slot_table *table, uint32_t second, struct fl_slot_tally *ret_add)
{
	for (uint32_t i = 0; i < table->size; i++) {
		fl_slot slot = hold(&table->slots[i], table->silence_s, second, ret_add);

		ret_add->marked += fl_slot_is_moving(slot);
		ret_add->old += fl_slot_is_moving(slot) && fl_slot_is_old(slot);
	}
}

/* --------------------------------------------------------------------- bits */

/* A set of slots or endpoints. */
static uint64_t *bits_new(uint64_t count)
{
	return calloc(count / 64 + 1, sizeof(uint64_t));
}

static void bits_set(uint64_t *bits, uint32_t at)
{
	bits[at / 64] |= 1ull << at % 64;
}

static bool bits_has(const uint64_t *bits, uint32_t at)
{
	return bits[at / 64] >> at % 64 & 1;
}

/* ------------------------------------------------------------------- sweeps */

struct fl_settle {
	uint32_t slots;
	uint32_t endpoints;
	uint32_t begun_s;
	uint32_t ended_s; /* no later than this */
	bool end_is_known;
	uint64_t *found; /* slots that have a pin; NULL = no sweep is under way */
	uint64_t *held;  /* endpoints; NULL = nothing is known */
};

struct fl_settle *fl_settle_new(uint32_t slots, uint32_t endpoints)
{
	struct fl_settle *settle = calloc(1, sizeof(*settle));

	if (!settle)
		return NULL;
	settle->slots = slots;
	settle->endpoints = endpoints;
	return settle;
}

static void forget(uint64_t **bits)
{
	free(*bits);
	*bits = NULL;
}

void fl_settle_free(struct fl_settle *settle)
{
	if (!settle)
		return;
	fl_settle_give_up(settle);
	free(settle);
}

void fl_settle_tick(struct fl_settle *settle, uint32_t second)
{
	if (settle->end_is_known)
		return;
	settle->ended_s = second;
	settle->end_is_known = true;
}

bool fl_settle_may_begin(const struct fl_settle *settle, uint32_t second)
{
	return settle->end_is_known && (int32_t)(second - settle->ended_s) >= FL_GRACE_S;
}

int fl_settle_begin(struct fl_settle *settle, uint32_t second)
{
	fl_settle_give_up(settle);
	settle->found = bits_new(settle->slots);
	settle->held = bits_new(settle->endpoints);
	if (!settle->found || !settle->held) {
		fl_settle_give_up(settle);
		return -ENOMEM;
	}
	settle->begun_s = second;
	return 0;
}

void fl_settle_note(struct fl_settle *settle, uint32_t endpoint)
{
	if (endpoint <= settle->endpoints)
		bits_set(settle->held, endpoint);
}

bool fl_settle_pin(struct fl_settle *settle, const struct fl_slot_table *table,
	const struct fl_pin *pin, uint8_t proto, bool gone, uint32_t second)
{
	uint32_t slot, keep_s;

	assert(settle->found);

	fl_settle_note(settle, pin->endpoint);
	if (!table)
		return true;
	slot = fl_hash_slot(pin->hash, table->size);
	bits_set(settle->found, table->base + slot);
	if (gone)
		return true;
	keep_s = proto == IPPROTO_UDP ? table->keep_udp_s : table->keep_tcp_s;
	return fl_slot_frees_pin(load(&table->slots[slot]), pin, keep_s, settle->begun_s, second);
}

void fl_settle_table(
	struct fl_settle *settle, const struct fl_slot_table *table, struct fl_slot_tally *ret_add)
{
	assert(settle->found);

	for (uint32_t i = 0; i < table->size; i++) {
		fl_slot seen = load(&table->slots[i]);

		/* Another change that comes between stays as it is. */
		if (!bits_has(settle->found, table->base + i) &&
			fl_slot_settle_is_due(seen, settle->begun_s))
			ret_add->settled +=
				swap(&table->slots[i], &seen, fl_slot_settled(fl_slot_now(seen)));
	}
}

void fl_settle_end(struct fl_settle *settle)
{
	forget(&settle->found);
	settle->end_is_known = false;
}

void fl_settle_give_up(struct fl_settle *settle)
{
	forget(&settle->found);
	forget(&settle->held);
	settle->end_is_known = false;
}

bool fl_settle_is_unused(const struct fl_settle *settle, uint32_t endpoint)
{
	return settle->held && !settle->found && endpoint <= settle->endpoints &&
	       !bits_has(settle->held, endpoint);
}
