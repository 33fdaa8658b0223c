/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "unit/slots/sim.h"

/**
 * @file sim_edge.h
 * The packet path, as far as slots and pins go: the steps that fairlead/slot.h tells
 * and bpf/lib/moving.h takes, with arrays for maps.
 */

/** A table of pins by tuple. */
struct sim_pins {
	struct fl_pin pin[SIM_TUPLES];
	uint32_t used[SIM_TUPLES]; /**< when it was last looked at; 0 = there is none */
	uint32_t count;
};

struct sim_edge {
	fl_slot slots[SIM_SLOTS];
	fl_region region[SIM_SERVICES];
	fl_region old_region[SIM_SERVICES];
	uint8_t state[SIM_ENDPOINTS + 1]; /**< enum fl_state */
	struct fl_pressure_row pressure;
	struct sim_pins pins;    /**< never evicts */
	struct sim_pins opening; /**< LRU */
	bool lost[SIM_TUPLES];   /**< the pin was evicted: set here, cleared by who looks */
	uint32_t uses;
	uint64_t random;
	enum sim_flaw flaw;
	struct {
		unsigned promoted, evicted;
	} counts;
};

struct sim_answer {
	uint32_t endpoint; /**< 0 = dropped */
	uint32_t now;      /**< of the slot */
	bool moving;       /**< the slot is marked */
	bool unpinned;     /**< a pin was needed, and was not made */
	bool forgone;      /**< … and the slot cannot help */
};

/** @param packet  enum fl_packet */
struct sim_answer sim_edge_packet(struct sim_edge *edge, const struct sim_tuple *tuples,
	uint32_t tuple, int packet, uint32_t second);
uint32_t sim_edge_size(fl_region region);
void sim_pins_delete(struct sim_pins *pins, uint32_t tuple);
