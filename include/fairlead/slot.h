/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/types.h>

#include "fairlead/abi.h"
#include "fairlead/pin.h"

/**
 * @file slot.h
 * The rules of one slot: pure, and the same in the programs, the agent and the
 * model test, which explores every interleaving of them.
 *
 * Hashing alone forgets who began where when endpoints change; remembering every
 * flow costs most of what a balancer spends. So a slot remembers that it
 * changed, and only flows whose slot is not at rest are looked up:
 *
 *   settled  now == before, no mark   everybody goes to `now`; nothing is looked up
 *   moving   now != before            new flows go to `now` and are pinned there;
 *                                     old ones are at `before`, and are pinned there
 *                                     when they speak
 *   held     now == before, MOVING    who had something to say about `before` is
 *                                     pinned; others are dead; a miss makes no pin
 *
 *        change               silence of W             no pin is left
 *   settled ───► moving ──────────────────────► held ─────────────────► settled
 *                  ▲      change                 │
 *                  └─────────────────────────────┘
 *
 * THE INVARIANT: a live flow without a pin is at `before`. Live means that it
 * was silent for no longer than W. And settled slots have no pins at all.
 *
 * Change of size. The slots of the new table are held and marked OLD: who has no
 * pin is where the slot of the old table, found by the same hash, had `before`.
 * Nobody writes the old table any more. After W each slot loses its mark as
 * moving ones become held; when no slot has it, the old table can go.
 *
 * Losses. A pin that is needed but cannot be made is a loss. Its packet goes to
 * `before`, if that takes it, where no pin is needed as long as the slot moves:
 * so it has to go on moving for another W. The packet says so by putting its own
 * second into `since` — by compare-and-swap with the slot that it read, since
 * the agent may be holding that slot at the same moment; whoever comes second
 * looks again. Only once a second and slot.
 *
 * Layout of the 64 bits, read by one load and written by one store or swap:
 *
 *   0-19 now | 20-31 since, low 12 | 32-51 before | 52-61 since, high 10 | 62 OLD | 63 MOVING
 *
 * A settled slot has neither mark nor `since`: it reads as two equal u32, and
 * its sign tells it from the others. `since` is, in a moving slot, the second
 * from which on silence counts, and in a held one, that of its last write. It
 * is a boot second modulo 2^22 (48 days); a slot that no agent cared for during
 * more than half of that looks too young, and settles later.
 */

#define FL_SLOT_INDEX_MASK 0xfffffu
#define FL_SLOT_MOVING     (1ull << 63)
#define FL_SLOT_OLD        (1ull << 62)
#define FL_SLOT_SINCE_BITS 22
#define FL_SLOT_SINCE_MASK ((1u << FL_SLOT_SINCE_BITS) - 1)

fl_inline fl_slot fl_slot_settled(__u32 endpoint)
{
	return (__u64)endpoint << 32 | endpoint;
}

fl_inline fl_slot fl_slot_moving(__u32 now, __u32 before, __u32 since_s)
{
	since_s &= FL_SLOT_SINCE_MASK;
	return FL_SLOT_MOVING | (__u64)(since_s >> 12) << 52 | (__u64)before << 32 |
	       (since_s & 0xfff) << 20 | now;
}

/** A slot of a table that follows one of another size. */
fl_inline fl_slot fl_slot_resized(__u32 endpoint, __u32 second)
{
	return fl_slot_moving(endpoint, endpoint, second) | FL_SLOT_OLD;
}

/** Marked MOVING: moving or held. */
fl_inline int fl_slot_is_moving(fl_slot s)
{
	return (__s64)s < 0;
}

/** A miss asks the old table. */
fl_inline int fl_slot_is_old(fl_slot s)
{
	return (s & FL_SLOT_OLD) != 0;
}

/** Where new flows go. 0 = nowhere. */
fl_inline __u32 fl_slot_now(fl_slot s)
{
	return (__u32)s & FL_SLOT_INDEX_MASK;
}

/** Where flows without a pin are. 0 = nowhere. */
fl_inline __u32 fl_slot_before(fl_slot s)
{
	return (__u32)(s >> 32) & FL_SLOT_INDEX_MASK;
}

fl_inline __u32 fl_slot_since(fl_slot s)
{
	return (__u32)(s >> 52 & 0x3ff) << 12 | ((__u32)s >> 20);
}

fl_inline int fl_slot_is_held(fl_slot s)
{
	return fl_slot_is_moving(s) && fl_slot_now(s) == fl_slot_before(s);
}

/** Seconds since `since`. May be negative: clocks differ. */
fl_inline __s32 fl_slot_age(fl_slot s, __u32 second)
{
	__u32 age = second - fl_slot_since(s);

	return (__s32)(age << (32 - FL_SLOT_SINCE_BITS)) >> (32 - FL_SLOT_SINCE_BITS);
}

/** The same slot with another `since`: what a loss swaps in. */
fl_inline fl_slot fl_slot_postponed(fl_slot s, __u32 second)
{
	return fl_slot_moving(fl_slot_now(s), fl_slot_before(s), second) | (s & FL_SLOT_OLD);
}

/* ------------------------------------------------------------ packet rules
 *
 * What the packet path does with a slot that is not settled:
 *
 *   1. Look for the pin in `pins`, in `opening`, and again in `pins`: it is
 *      promoted from one to the other by an insert followed by a delete.
 *   2. Ask fl_slot_decide and carry the action out. Inserts are NOEXIST; on
 *      EEXIST begin again at 1. Where there is no room, ask fl_slot_refuse
 *      (that is pressure: say so in fl_pressure_row.failed).
 *   3. A flow has one pin: after an insert into `opening` look in `pins` once
 *      more; if there is one, delete your own and obey that. After an insert
 *      into `pins` delete what `opening` may have.
 *   4. If the action is FL_PIN_LOSE and the slot's `since` is not this second
 *      (fl_slot_must_postpone), swap fl_slot_postponed in. If the slot was
 *      another by now, begin again at 1 with what it is.
 *
 * A settled slot goes to `now` if its state takes old flows, and drops if not.
 */

/** What the packet path does about the flow's pin. */
enum fl_pin_action {
	FL_PIN_NONE,    /**< nothing */
	FL_PIN_TOUCH,   /**< fl_pin_touch the pin that was found */
	FL_PIN_PROMOTE, /**< put the pin, touched, into `pins` (NOEXIST; EEXIST is as good), then
			     delete it from `opening`. No room: touch it where it is; the
			     rest is as for FL_PIN_LOSE */
	FL_PIN_REPLACE, /**< fill it anew (fl_pin_init) where it was found */
	FL_PIN_OPENING, /**< make a pin in `opening` (NOEXIST); fl_pressure_count */
	FL_PIN_OLD,     /**< make a pin in `pins` (NOEXIST), counted in old_pins */
	FL_PIN_LOSE,    /**< a pin was needed and not made; the slot must go on moving */
	FL_PIN_FORGO,   /**< the same, but the slot cannot help: count it, that is all */
};

/** Where the packet goes and what is to be written first. */
struct fl_slot_answer {
	__u32 endpoint; /**< 0 = drop it, no endpoint takes it */
	enum fl_pin_action action;
};

/** What is known about a packet and its slot. */
struct fl_slot_query {
	fl_slot slot;
	__u32 before; /**< fl_slot_before of the slot; marked OLD: of the old table's slot */
	__u32 second; /**< now */
	enum fl_packet packet;
	__u8 now_state;           /**< of fl_slot_now(slot): enum fl_state */
	__u8 before_state;        /**< of `before` */
	__u8 pin_state;           /**< of pin->endpoint; FL_DOWN if it is of another service */
	__u8 pin_is_opening;      /**< it was found in `opening` */
	__u8 pressure;            /**< fl_pressure_is_high */
	__u8 old_room;            /**< fl_pressure_has_old_room */
	const struct fl_pin *pin; /**< NULL = it has none */
};

fl_inline struct fl_slot_answer fl_slot_to_now(
	const struct fl_slot_query *q, enum fl_pin_action action)
{
	if (fl_state_takes_old(q->now_state))
		return (struct fl_slot_answer){ fl_slot_now(q->slot), action };
	return (struct fl_slot_answer){ 0, FL_PIN_NONE };
}

/** It neither makes nor moves a pin. A FIN may: the other direction may go on. */
fl_inline int fl_packet_is_traceless(enum fl_packet packet)
{
	return packet == FL_PACKET_QUOTE || packet == FL_PACKET_RST;
}

/** The pin of a packet was found. */
fl_inline struct fl_slot_answer fl_slot_hit(const struct fl_slot_query *q)
{
	if (!fl_state_takes_old(q->pin_state))
		return fl_slot_to_now(
			q, fl_packet_is_traceless(q->packet) ? FL_PIN_NONE : FL_PIN_REPLACE);
	if (q->packet == FL_PACKET_OPEN && q->pin_state != FL_UP &&
		fl_pin_is_reused(q->pin, q->second))
		return fl_slot_to_now(q, FL_PIN_REPLACE);
	if (q->packet == FL_PACKET_QUOTE)
		return (struct fl_slot_answer){ q->pin->endpoint, FL_PIN_NONE };
	if (q->pin_is_opening && q->packet != FL_PACKET_OPEN && q->packet != FL_PACKET_RST)
		return (struct fl_slot_answer){ q->pin->endpoint, FL_PIN_PROMOTE };
	return (struct fl_slot_answer){ q->pin->endpoint, FL_PIN_TOUCH };
}

/** Whether `before` takes the packet. UDP may be a new flow as well as an old one. */
fl_inline int fl_slot_fits_before(const struct fl_slot_query *q)
{
	if (q->packet == FL_PACKET_OPEN || q->packet == FL_PACKET_UDP)
		return q->before_state == FL_UP;
	return fl_state_takes_old(q->before_state);
}

/** The answer without a pin, to a packet that needs one which cannot be made. */
fl_inline struct fl_slot_answer fl_slot_refuse(const struct fl_slot_query *q)
{
	if (fl_slot_fits_before(q))
		return (struct fl_slot_answer){ q->before, FL_PIN_LOSE };
	return fl_slot_to_now(q, FL_PIN_FORGO);
}

/** Where everybody is at one endpoint, nobody needs a pin. */
fl_inline int fl_slot_needs_pin(const struct fl_slot_query *q)
{
	__u32 now = fl_slot_now(q->slot);

	return now != q->before || now != fl_slot_before(q->slot);
}

/** The packet has no pin. */
fl_inline struct fl_slot_answer fl_slot_miss(const struct fl_slot_query *q)
{
	int stays = q->packet != FL_PACKET_OPEN && fl_slot_fits_before(q);
	struct fl_slot_answer answer = fl_slot_to_now(q, FL_PIN_NONE);

	if (stays)
		answer.endpoint = q->before;
	if (answer.endpoint == 0 || fl_packet_is_traceless(q->packet) || !fl_slot_needs_pin(q))
		return answer;
	if (q->packet == FL_PACKET_OPEN) {
		if (q->pressure && fl_slot_fits_before(q))
			return fl_slot_refuse(q);
		answer.action = FL_PIN_OPENING;
		return answer;
	}
	if (!q->old_room)
		return fl_slot_refuse(q);
	answer.action = FL_PIN_OLD;
	return answer;
}

/** Where a packet goes whose slot is marked MOVING, and what becomes of its pin. */
fl_inline struct fl_slot_answer fl_slot_decide(const struct fl_slot_query *q)
{
	if (q->packet == FL_PACKET_LOOSE)
		return fl_slot_to_now(q, FL_PIN_NONE);
	if (q->pin)
		return fl_slot_hit(q);
	return fl_slot_miss(q);
}

/** Whether a loss at `second` has to be written into the slot. If not, another
 * was written in this second, and the agent will hold the slot for W yet. */
fl_inline int fl_slot_must_postpone(fl_slot s, __u32 second)
{
	return (second & FL_SLOT_SINCE_MASK) != fl_slot_since(s);
}

/* ------------------------------------------------------------- agent rules
 *
 * The agent writes slots that packets read by compare-and-swap, since losses
 * write too; if the slot was another, it decides anew. Order of a change
 * around the slots: an endpoint is up before a slot names it as `now`, and
 * its state is lowered only after none does (for `udp: keep`, and short of
 * down, also none as `before`). user/balance/settle.h has the sweep.
 */

/** The slot with another `now`; the same slot if it has that already. */
fl_inline fl_slot fl_slot_change(fl_slot s, __u32 now, __u32 second)
{
	fl_slot old = s & FL_SLOT_OLD;

	if (fl_slot_now(s) == now)
		return s;
	if (!fl_slot_is_moving(s) || fl_slot_is_held(s))
		return fl_slot_moving(now, fl_slot_now(s), second) | old;
	/* Back where it came from it is held, and was written now. */
	if (now == fl_slot_before(s))
		return fl_slot_moving(now, now, second) | old;
	return fl_slot_moving(now, fl_slot_before(s), fl_slot_since(s)) | old;
}

/** Whether every flow that is not pinned has been silent for longer than `silence_s`. */
fl_inline int fl_slot_hold_is_due(fl_slot s, __u32 silence_s, __u32 second)
{
	/* One second more than silence asks: a loss may be on its way into the slot. */
	return fl_slot_is_moving(s) && (!fl_slot_is_held(s) || fl_slot_is_old(s)) &&
	       fl_slot_age(s, second) >= (__s32)silence_s + FL_GRACE_S;
}

/** The slot after that: `before` has nobody left without a pin. */
fl_inline fl_slot fl_slot_held(fl_slot s, __u32 second)
{
	return fl_slot_moving(fl_slot_now(s), fl_slot_now(s), second);
}

/**
 * Whether a sweep that found no pin of the slot may settle it.
 * @param begun  second in which the sweep began; a slot written since is not
 *               ripe, and so a change cancels what the sweep would do
 */
fl_inline int fl_slot_settle_is_due(fl_slot s, __u32 begun)
{
	return fl_slot_is_held(s) && !fl_slot_is_old(s) && fl_slot_age(s, begun) >= FL_GRACE_S;
}

/**
 * Whether the sweep deletes a pin: its flow is silent for too long, or it says
 * what the slot says. Slot and pin must have been read just now: between the
 * look and the deletion the flow may speak again, so look at the pin once more
 * right before.
 * @param keep_s  E of its protocol
 * @param begun   second in which the sweep began, before it read `opening`
 */
fl_inline int fl_slot_frees_pin(
	fl_slot s, const struct fl_pin *pin, __u32 keep_s, __u32 begun, __u32 second)
{
	if (!fl_slot_is_moving(s))
		return 1;
	/* Not before it is ripe: a packet may be on its way to point the pin elsewhere. */
	if (pin->endpoint == fl_slot_now(s) && fl_slot_settle_is_due(s, begun))
		return 1;
	return fl_pin_is_expired(pin, keep_s, second);
}
