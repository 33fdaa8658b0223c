/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unit/slots/rules.h"

/**
 * @file model.h
 * An exhaustive checker of the slot rules: one slot, three endpoints and one
 * flow, in every order of what can happen to them. It runs the very functions of
 * fairlead/slot.h and pin.h, with their clocks shrunk.
 *
 *   rules           the functions of the headers, with rules that can be switched off
 *   model_agent     what the agent does, and accidents; the slot
 *   model_sweep     sweeps, and time; pins
 *   model_send      which packets may be sent, and their way in steps
 *   model_packet    one packet: what it decides, what it writes
 *   model_flow      what was promised to the flow, and what becomes of it
 *   model_alike     which states are alike, so that one of them is enough
 *   model_search    walks over all states;  model_story tells how one was reached
 *   model           the tests: worlds, and rules taken away
 */

#define MODEL_NOW       1000 /* the second that it always is; the rest is relative */
#define MODEL_ENDPOINTS 3    /* 1, 2, 3; 0 = none */

/** What can happen in a world: the search closes in seconds for some at a time. */
enum model_world {
	WORLD_UDP = 1,      /**< the flow is UDP with `udp: keep`; else TCP */
	WORLD_RACE = 2,     /**< packets are under way for up to a second */
	WORLD_TWO = 4,      /**< … for moments, while others overtake them between their look-ups
				and the agent does one thing at most */
	WORLD_LOSS = 8,     /**< pressure, and inserts that fail */
	WORLD_RESIZE = 16,  /**< changes of size */
	WORLD_RESTART = 32, /**< the agent dies and starts again */
	WORLD_IDS = 64,     /**< endpoint 3 is removed, and its id given out again */
	WORLD_CLOSE = 128,  /**< FIN and RST */
};

struct model_pin {
	uint8_t endpoint : 2; /**< 0 = there is none */
	uint8_t age : 3;
	uint8_t proven : 1;
	uint8_t closing : 1;
	uint8_t stuck : 1; /**< in `opening`, for lack of room in `pins` */
};

enum model_flow { FLOW_NONE, FLOW_HALF_OPEN, FLOW_OPEN };

enum model_sweep { SWEEP_NONE, SWEEP_BEGUN, SWEEP_READ_ONE, SWEEP_READ_BOTH };

/** Where a packet under way has got to. */
enum model_stage {
	STAGE_NONE,           /**< there is none */
	STAGE_MISSED_PINS,    /**< it has not found a pin in `pins` */
	STAGE_MISSED_OPENING, /**< nor in `opening` */
	STAGE_DECIDED,        /**< it knows what to do */
	STAGE_HALF_PROMOTED,  /**< one of the two tables is written */
};

/** Beside enum fl_pin_action: FL_PIN_PROMOTE that found no room in `pins`. */
#define MODEL_PIN_STUCK (FL_PIN_FORGO + 1)

/** A packet under way. */
struct model_flight {
	uint64_t stage : 3, packet : 3, to : 2, action : 4, in_opening : 1;
	uint64_t pin_lives : 1;  /**< the pin it holds is still in its table */
	uint64_t slot_same : 1;  /**< the slot is what it read */
	uint64_t slot_away : 1;  /**< the slot it read is one of the old table by now */
	uint64_t postpones : 1;  /**< a loss has to be written */
	uint64_t aged : 1;       /**< it began in the last second */
	uint64_t must_stay : 1;  /**< its flow has to stay where it is */
	uint64_t may_drain : 1;  /**< it may reach an endpoint that drains */
	uint64_t opens_flow : 1; /**< there was no flow when it was sent */
	uint64_t overtaken : 1;  /**< by another packet of the flow */
	uint64_t disturbed : 1;  /**< the agent has done something meanwhile */
	/* The slot it read, until it has decided. */
	uint64_t now : 2, before : 2, moving : 1, old : 1, since : 1, old_before : 2;
};

/** Everything there is, in 16 bytes. Zero what does not matter: states are compared
 * as bytes. */
struct model_state {
	uint32_t exists : 1;                         /**< always: no state is all zeroes */
	uint32_t state1 : 2, state2 : 2, state3 : 2; /**< enum fl_state of endpoints */
	uint32_t now : 2, before : 2, moving : 1, old : 1, since : 3;
	uint32_t old_before : 2; /**< `before` of the slot in the old table */
	uint32_t flow : 2, owner : 2, silence : 2, closing : 1;
	uint32_t tainted : 1; /**< two openings overtook each other: no promise until all is gone */
	uint32_t gone : 1;    /**< endpoint 3 */
	uint32_t gone_age : 2;
	uint16_t proven_unused : 1; /**< endpoint 3 */
	uint16_t sweep : 2;         /**< enum model_sweep */
	uint16_t sweep_ripe : 1;    /**< the slot was when it began, and was not written since */
	uint16_t sweep_found : 1, sweep_found_id : 1;
	uint16_t rest : 2; /**< seconds since the last sweep */
	struct model_pin pins, opening;
	struct model_flight flight;
};
_Static_assert(sizeof(struct model_state) == 16, "it is compared as two words");

/* What may go wrong. */
#define FLOW_MOVES      "a live flow moves"
#define DUPLICATE_MOVES "a repeated opening moves its flow"
#define STRAYS          "a quote goes elsewhere than its flow"
#define TO_DRAINING     "a draining endpoint gets a new flow"
#define TO_BEFORE       "a new flow goes where the slot no longer sends new flows"
#define TO_DOWN         "a packet goes to an endpoint that is down"
#define DROPPED         "a packet is dropped though an endpoint takes it"
#define USELESS_PIN     "a pin is made that nobody needs"
#define LEAVES_TRACE    "a packet that wants no memory makes some"
#define PIN_AT_REST     "a settled slot has a pin"
#define NEVER_SETTLES   "the slot does not settle in silence"
#define ID_IN_USE       "an id is given out again while something holds it"

/** What happened, for the story: an action and its number. */
struct model_event {
	const char *text; /**< with one %d, or none */
	int number;
};

/** Told of each state that can follow, or of what went wrong on the way there. */
struct model_search;
void model_emit(struct model_search *search, const struct model_state *next,
	struct model_event event, const char *violation);

/** Everything that can happen next but packets. */
void model_step(struct model_search *search, enum model_world world, const struct model_state *s);
/** Every packet that can arrive or go on. */
void model_packets(
	struct model_search *search, enum model_world world, const struct model_state *s);

/* ------------------------------------------------------- what the parts share */

fl_slot model_slot(const struct model_state *s);
void model_set_slot(struct model_state *s, fl_slot slot);
unsigned model_before(const struct model_state *s); /**< where flows without a pin are */
uint8_t model_endpoint_state(const struct model_state *s, unsigned endpoint);
bool model_owner_serves(const struct model_state *s);

struct fl_pin model_pin(struct model_pin pin);
void model_set_pin(struct model_pin *ret, const struct fl_pin *pin);
void model_drop_pin(struct model_state *s, bool opening);

/** A sweep or the clock goes on. */
void model_sweep(struct model_search *search, const struct model_state *s);
void model_time(struct model_search *search, enum model_world world, const struct model_state *s);
/** Hold the slot if it is due. @return whether it was */
bool model_hold(struct model_state *s);
/** Whether the slot, or that in the old table, names endpoint 3. */
bool model_slot_has_id(const struct model_state *s);
/** When nothing but time and sweeps happens, the slot comes to rest. */
bool model_settles_in_silence(const struct model_state *s);

/** What the world does to a packet. */
enum model_luck {
	FAIR = 0,
	CROWDED = 1, /**< pressure, and no room for old flows */
	REFUSED = 2, /**< the insert fails */
};

/** Decide as the packet path does, from a slot and a pin that were read. @return a violation */
const char *model_decide(const struct model_state *s, struct model_flight *f, fl_slot slot,
	unsigned before, const struct model_pin *found, enum model_luck luck);
/** The same, from what there is now. */
const char *model_decide_at_once(
	const struct model_state *s, struct model_flight *f, enum model_luck luck);
/** Write what was decided, and deliver. @return a violation */
const char *model_act(struct model_state *s, struct model_flight *f);
/** One half of a promotion: the insert, which comes first, or the delete. */
void model_promote(struct model_state *s, const struct model_flight *f, bool first);

/** Whether the flow has been silent for no longer than its slot waits. */
bool model_flow_is_live(const struct model_state *s);
/** The flow is over, or no promise covers it any more. */
void model_flow_forget(struct model_state *s);
/** A live flow speaks when its packet is bound for it, not when that arrives. */
void model_flow_speak(struct model_state *s);
/** A second passes: silence grows, and ends what was promised. */
void model_flow_tick(struct model_state *s);
/** A packet arrives. @return a violation */
const char *model_flow_deliver(struct model_state *s, const struct model_flight *f);

/** The one of all states that are alike. */
struct model_state model_alike(enum model_world world, const struct model_state *s);
/** Whether anything names the endpoint. */
bool model_is_mentioned(enum model_world world, const struct model_state *s, unsigned endpoint);

/* ------------------------------------------------------------------- search */

struct model_result {
	size_t states;
	bool closed;           /**< every state was reached; else the limit came first */
	const char *violation; /**< NULL = none */
	unsigned steps;        /**< that led to it */
	char *story;           /**< those; the caller's to free */
};

/** Walk breadth first, until a violation, the end or the limit. @return 0, -ENOMEM */
int model_search(enum model_world world, size_t limit, struct model_result *ret);
