/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "unit/slots/model.h"

/*
 * What happens around the packets: the agent changes slots and states, the table
 * changes its size, the kernel's LRU evicts, the agent dies, an id finds a new
 * owner. Each is one event, and any other may come between two of them; so an
 * agent that dies in the middle of a change is in here, too.
 */

static void emit(
	struct model_search *search, const struct model_state *next, const char *text, int number)
{
	model_emit(search, next, (struct model_event){ text, number }, NULL);
}

/* --------------------------------------------------------- slot and endpoints */

fl_slot model_slot(const struct model_state *s)
{
	if (!s->moving)
		return fl_slot_settled(s->now);
	return fl_slot_moving(s->now, s->before, MODEL_NOW - s->since) | (s->old ? FL_SLOT_OLD : 0);
}

void model_set_slot(struct model_state *s, fl_slot slot)
{
	__s32 age = fl_slot_age(slot, MODEL_NOW);

	if (slot == model_slot(s))
		return;
	if (!s->flight.slot_away)
		s->flight.slot_same = 0;
	s->sweep_ripe = 0;
	s->now = fl_slot_now(slot);
	s->before = fl_slot_before(slot);
	s->moving = fl_slot_is_moving(slot);
	s->old = fl_slot_is_old(slot);
	s->since = s->moving ? age : 0;
	if (!s->old)
		s->old_before = 0;
}

unsigned model_before(const struct model_state *s)
{
	return s->old ? s->old_before : s->before;
}

uint8_t model_endpoint_state(const struct model_state *s, unsigned endpoint)
{
	switch (endpoint) {
	case 1:
		return s->state1;
	case 2:
		return s->state2;
	case 3:
		return s->state3;
	default:
		return FL_DOWN;
	}
}

static void set_state(struct model_state *s, unsigned endpoint, uint8_t state)
{
	if (endpoint == 1)
		s->state1 = state;
	else if (endpoint == 2)
		s->state2 = state;
	else
		s->state3 = state;
}

bool model_owner_serves(const struct model_state *s)
{
	return fl_state_takes_old(model_endpoint_state(s, s->owner));
}

/* -------------------------------------------------------------------- changes */

/** What may be written as `now`: who is up, or nobody if none is. Endpoints that
 * nothing mentions can be had up or down. */
static bool is_choice(enum model_world world, const struct model_state *s, unsigned endpoint)
{
	if (endpoint)
		return model_endpoint_state(s, endpoint) == FL_UP ||
		       !model_is_mentioned(world, s, endpoint);
	for (unsigned e = 1; e <= MODEL_ENDPOINTS; e++) {
		if (model_endpoint_state(s, e) == FL_UP && model_is_mentioned(world, s, e))
			return false;
	}
	return true;
}

static void set_now(struct model_state *s, unsigned endpoint, fl_slot slot)
{
	if (endpoint)
		set_state(s, endpoint, FL_UP);
	model_set_slot(s, slot);
}

static void changes(
	struct model_search *search, enum model_world world, const struct model_state *s)
{
	for (unsigned x = 0; x <= MODEL_ENDPOINTS; x++) {
		struct model_state next = *s;

		if (x == s->now || !is_choice(world, s, x))
			continue;
		set_now(&next, x, rule_change(model_slot(s), x, MODEL_NOW));
		emit(search, &next, "the slot changes to %d", x);
	}
}

static void change_state(struct model_search *search, const struct model_state *s,
	unsigned endpoint, uint8_t state, const char *text)
{
	struct model_state next = *s;

	set_state(&next, endpoint, state);
	emit(search, &next, text, endpoint);
}

static void states(struct model_search *search, enum model_world world, const struct model_state *s)
{
	for (unsigned e = 1; e <= MODEL_ENDPOINTS; e++) {
		uint8_t state = model_endpoint_state(s, e);
		bool in_slot = s->now == e && RULE(slots_before_states);
		bool is_before = (s->moving && s->before == e) || (s->old && s->old_before == e);

		if (!model_is_mentioned(world, s, e))
			continue;
		if (state != FL_UP && !(e == 3 && s->gone))
			change_state(search, s, e, FL_UP, "%d comes up");
		if (state != FL_DRAINING && !in_slot && !(e == 3 && s->gone) &&
			!((world & WORLD_UDP) && is_before && RULE(udp_drains_after_hold)))
			change_state(search, s, e, FL_DRAINING, "%d begins to drain");
		if (state != FL_DOWN && !in_slot)
			change_state(search, s, e, FL_DOWN, "%d goes down");
	}
}

bool model_hold(struct model_state *s)
{
	fl_slot slot = model_slot(s);

	if (!rule_hold_is_due(slot, MODEL_NOW))
		return false;
	model_set_slot(s, fl_slot_held(slot, MODEL_NOW));
	return true;
}

static void resize(struct model_search *search, enum model_world world, const struct model_state *s)
{
	for (unsigned x = 0; x <= MODEL_ENDPOINTS; x++) {
		struct model_state next = *s;

		if (s->old && !RULE(old_is_frozen) && is_choice(world, s, x) &&
			x != s->old_before) {
			next.old_before = x;
			emit(search, &next, "the old table is written, its before is %d", x);
			continue;
		}
		if (s->old || !is_choice(world, s, x))
			continue;
		next.flight.slot_away = s->flight.slot_same;
		set_now(&next, x, fl_slot_resized(x, MODEL_NOW));
		next.old_before = s->before;
		if (!RULE(resize_keeps_old))
			next.old = next.old_before = 0;
		emit(search, &next, "the table changes size, the new slot has %d", x);
	}
}

/* --------------------------------------------------------- accidents and ids */

/** The LRU drops a pin, if no packet has just looked at it. A flow that is not proven
 * is exempt, and so is one that found no room in `pins`, unless it is at `before`. */
static void evict(struct model_search *search, enum model_world world, const struct model_state *s)
{
	bool looked_at = s->flight.stage &&
			 ((world & WORLD_TWO) || (s->flight.pin_lives && s->flight.in_opening));
	struct model_state next = *s;
	bool exempt;

	if (!s->opening.endpoint || looked_at)
		return;
	exempt = s->flow == FLOW_HALF_OPEN ||
		 (s->opening.stuck ? s->owner != model_before(s) : !s->opening.proven);
	if (exempt && s->owner == s->opening.endpoint && !s->pins.endpoint)
		model_flow_forget(&next);
	model_drop_pin(&next, true);
	emit(search, &next, "the pin in `opening` is evicted", 0);
}

static void restart(struct model_search *search, const struct model_state *s)
{
	struct model_state next = *s;

	next.sweep = next.sweep_ripe = next.sweep_found = next.sweep_found_id = 0;
	next.rest = RULE(restart_is_an_end) ? 0 : FL_GRACE_S;
	next.proven_unused = 0;
	emit(search, &next, "the agent starts again", 0);
}

bool model_slot_has_id(const struct model_state *s)
{
	return s->now == 3 || s->before == 3 || (s->old && s->old_before == 3);
}

static void ids(struct model_search *search, const struct model_state *s)
{
	struct model_state next = *s;
	bool held = model_slot_has_id(s) || s->pins.endpoint == 3 || s->opening.endpoint == 3 ||
		    s->flight.to == 3;

	if (!s->gone && s->state3 == FL_DOWN && s->now != 3) {
		next.gone = 1;
		next.gone_age = next.proven_unused = 0;
		next.sweep_found_id = s->sweep != SWEEP_NONE;
		if (s->owner == 3)
			model_flow_forget(&next);
		emit(search, &next, "3 is removed", 0);
	}
	if (s->gone && (s->proven_unused || !RULE(ids_are_swept))) {
		next.gone = next.gone_age = next.proven_unused = next.sweep_found_id = 0;
		next.state3 = FL_UP;
		model_emit(search, &next, (struct model_event){ "another gets the id 3", 0 },
			held ? ID_IN_USE : NULL);
	}
}

/** What the agent does of its own accord. */
static void agent(struct model_search *search, enum model_world world, const struct model_state *s)
{
	struct model_state next = *s;

	next.flight.disturbed = next.flight.stage && (world & WORLD_TWO);
	s = &next;
	changes(search, world, s);
	states(search, world, s);
	if (world & WORLD_RESIZE)
		resize(search, world, s);
	if (world & WORLD_IDS)
		ids(search, s);
	if (model_hold(&next))
		emit(search, &next, "the slot is held", 0);
}

void model_step(struct model_search *search, enum model_world world, const struct model_state *s)
{
	if (!(world & WORLD_RACE) && !s->flight.stage && s->sweep == SWEEP_NONE &&
		!model_settles_in_silence(s))
		model_emit(search, s, (struct model_event){ "silence", 0 }, NEVER_SETTLES);
	if (!s->flight.disturbed)
		agent(search, world, s);
	model_sweep(search, s);
	model_time(search, world, s);
	if (world & WORLD_LOSS)
		evict(search, world, s);
	if (world & WORLD_RESTART)
		restart(search, s);
}
