/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/abi.h"

/**
 * @file settle.h
 * The agent's half of the slot rules (fairlead/slot.h): changes slots under
 * traffic, and brings them to rest by sweeps, which also tell what pins nobody
 * needs and which endpoints nothing holds any more.
 *
 * A sweep goes:
 *
 *   fl_settle_begin
 *   fl_settle_note for each endpoint that a slot, also of an old table, names
 *   for each pin of `opening`, then for each of `pins`:
 *       fl_settle_pin; true: look the pin up again, ask again, and if it is still
 *       true delete the pin before doing anything else
 *   fl_settle_table for each table
 *   fl_settle_end, or fl_settle_give_up where some pins could not be read
 *   fl_settle_is_unused for each endpoint whose number rests
 *
 * Other work may come between the steps, changes of slots too. Tables of `nat` have
 * no part in this: their slots are always settled. Pure but for the slots, which
 * are in memory that packets read and write. Seconds are those of CLOCK_BOOTTIME.
 */

/** A slot table in force. Every slot is read and written in place. */
struct fl_slot_table {
	fl_slot *slots; /**< the first of `size` */
	uint32_t size;
	uint32_t base;       /**< where `slots` lies in the flat array */
	uint32_t keep_tcp_s; /**< E: how long a pin outlives its flow's last packet */
	uint32_t keep_udp_s;
	uint32_t silence_s; /**< W: the longest E of the protocols of its frontends */
};

/** What was done to a table, and how it is after that. */
struct fl_slot_tally {
	uint64_t held;    /**< slots that became it */
	uint64_t settled; /**< slots that became it */
	uint64_t marked;  /**< that are moving or held */
	uint64_t old;     /**< of those: still ask the table of the size before */
};

/** Give a slot that packets read another `now`, by rule. @return whether it was written */
bool fl_settle_change(fl_slot *slot, uint32_t endpoint, uint32_t second);

/** Hold every slot of a table that is due. At any time, a sweep is not needed.
 * @param ret_add  is added to; where `old` stays as it was, the table of the size
 *                 before is not asked any more */
void fl_settle_hold(
	const struct fl_slot_table *table, uint32_t second, struct fl_slot_tally *ret_add);

/* ------------------------------------------------------------------- sweeps */

struct fl_settle;

/** @param slots      size of the flat array
 *  @param endpoints  the largest number there may be
 *  @return NULL when out of memory */
struct fl_settle *fl_settle_new(uint32_t slots, uint32_t endpoints);
/** NULL is welcome. */
void fl_settle_free(struct fl_settle *settle);

/**
 * Tell the time, whenever there is any: a sweep ended before the first second told
 * after it, and before the first of all there may have been others.
 * @param second  the caller's, no later than it is
 */
void fl_settle_tick(struct fl_settle *settle, uint32_t second);

/** Whether a sweep may begin: not within FL_GRACE_S of the end of the one before,
 * since what was under way then may not have arrived, nor of the first tick. */
bool fl_settle_may_begin(const struct fl_settle *settle, uint32_t second);

/** Forget what the last one found. @return 0, -ENOMEM */
int fl_settle_begin(struct fl_settle *settle, uint32_t second);

/** Note that something holds an endpoint. */
void fl_settle_note(struct fl_settle *settle, uint32_t endpoint);

/**
 * Take notice of a pin.
 * @param table   that of the pin's service and family; NULL = there is none, or it is
 *                nat's
 * @param proto   IPPROTO_TCP or IPPROTO_UDP, from the key
 * @param gone    its endpoint's number rests, or is that of another service
 * @param second  now, or a little earlier, which keeps pins for longer
 * @return whether it is to be deleted
 */
bool fl_settle_pin(struct fl_settle *settle, const struct fl_slot_table *table,
	const struct fl_pin *pin, uint8_t proto, bool gone, uint32_t second);

/** Settle every slot of a table that is due and of which no pin was noticed. All pins
 * must have been. @param ret_add  `settled` is added to */
void fl_settle_table(
	struct fl_settle *settle, const struct fl_slot_table *table, struct fl_slot_tally *ret_add);

void fl_settle_end(struct fl_settle *settle);
/** It ends without having seen everything: nothing is known. */
void fl_settle_give_up(struct fl_settle *settle);

/** Whether the last sweep proved that no slot and no pin holds the endpoint. Its
 * number must have been resting for FL_GRACE_S when that began. */
bool fl_settle_is_unused(const struct fl_settle *settle, uint32_t endpoint);
