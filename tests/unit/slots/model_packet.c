/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "unit/slots/model.h"

/*
 * One packet: what it decides from what it read, and what it writes, as the packet
 * path does (the steps are told in fairlead/slot.h).
 */

/* ------------------------------------------------------------------ decide */

static bool is_useless(const struct fl_slot_query *q)
{
	__u32 now = fl_slot_now(q->slot);

	return (now == q->before && q->before == fl_slot_before(q->slot)) ||
	       q->packet == FL_PACKET_RST || q->packet == FL_PACKET_QUOTE ||
	       q->packet == FL_PACKET_LOOSE;
}

/** What no answer may be, whatever the flow. */
static const char *check(const struct fl_slot_query *q, const struct model_flight *f, uint8_t state)
{
	bool makes_pin = f->action == FL_PIN_OPENING || f->action == FL_PIN_OLD;

	if (q->packet == FL_PACKET_OPEN && !q->pin && f->to && f->to != fl_slot_now(q->slot) &&
		f->action != FL_PIN_LOSE)
		return TO_BEFORE;
	if (makes_pin && is_useless(q))
		return USELESS_PIN;
	if (f->to && !fl_state_takes_old(state))
		return TO_DOWN;
	if (!f->to && fl_state_takes_old(q->now_state))
		return DROPPED;
	return NULL;
}

static enum fl_pin_action answer_of(
	const struct fl_slot_query *q, enum model_luck luck, __u32 *ret_endpoint)
{
	struct fl_slot_answer answer = rule_decide(q);

	*ret_endpoint = answer.endpoint;
	if (luck != REFUSED)
		return answer.action;
	if (answer.action == FL_PIN_PROMOTE)
		return (enum fl_pin_action)MODEL_PIN_STUCK;
	if (answer.action != FL_PIN_OPENING && answer.action != FL_PIN_OLD)
		return answer.action;
	answer = rule_refuse(q);
	*ret_endpoint = answer.endpoint;
	return answer.action;
}

/** Whether it may reach an endpoint that drains, if it begins a flow. */
static bool may_drain(const struct model_flight *f, const struct fl_slot_query *q, uint8_t state)
{
	if (state != FL_DRAINING || (f->packet != FL_PACKET_OPEN && f->packet != FL_PACKET_UDP))
		return true;
	/* A packet that read the slot before it changed is nobody's fault. */
	if (!f->slot_same || f->slot_away)
		return true;
	return q->pin && (f->packet == FL_PACKET_UDP || !fl_pin_is_reused(q->pin, q->second));
}

/** Whether it moves a flow that it merely repeats. */
static bool moves_duplicate(
	const struct model_state *s, const struct model_flight *f, const struct fl_slot_query *q)
{
	__s32 young = q->pin && q->pin->proven ? FL_PIN_DUPLICATE_S : FL_PIN_HANDSHAKE_S;

	return f->packet == FL_PACKET_OPEN && q->pin && q->pin->endpoint == s->owner &&
	       f->to != s->owner && model_owner_serves(s) && fl_pin_age(q->pin, q->second) <= young;
}

const char *model_decide(const struct model_state *s, struct model_flight *f, fl_slot slot,
	unsigned before, const struct model_pin *found, enum model_luck luck)
{
	struct fl_pin pin = model_pin(*found);
	struct fl_slot_query q = {
		.slot = slot,
		.before = before,
		.second = MODEL_NOW - f->aged,
		.packet = f->packet,
		.now_state = model_endpoint_state(s, fl_slot_now(slot)),
		.before_state = model_endpoint_state(s, before),
		.pin_state = model_endpoint_state(s, pin.endpoint),
		.pin_is_opening = found == &s->opening,
		.pressure = luck == CROWDED,
		.old_room = luck != CROWDED,
		.pin = pin.endpoint ? &pin : NULL,
	};
	uint8_t state;
	__u32 to;

	f->action = answer_of(&q, luck, &to);
	f->to = to;
	f->stage = STAGE_DECIDED;
	f->in_opening = found == &s->opening;
	f->pin_lives = q.pin != NULL;
	f->postpones = (f->action == FL_PIN_LOSE || f->action == MODEL_PIN_STUCK) &&
		       fl_slot_must_postpone(slot, q.second);
	state = model_endpoint_state(s, to);
	f->may_drain = may_drain(f, &q, state);
	f->must_stay &= model_owner_serves(s);
	f->now = f->before = f->moving = f->old = f->since = f->old_before = 0;
	return moves_duplicate(s, f, &q) ? DUPLICATE_MOVES : check(&q, f, state);
}

const char *model_decide_at_once(
	const struct model_state *s, struct model_flight *f, enum model_luck luck)
{
	const struct model_pin *found = s->pins.endpoint ? &s->pins : &s->opening;

	f->slot_same = 1;
	f->slot_away = 0;
	return model_decide(s, f, model_slot(s), model_before(s), found, luck);
}

/* --------------------------------------------------------------------- act */

/** Look again, from the beginning, and this time at one go. */
static const char *again(struct model_state *s, struct model_flight *f, enum model_luck luck)
{
	const char *violation;

	f->aged = 0;
	violation = model_decide_at_once(s, f, luck);
	return violation ? violation : model_act(s, f);
}

static void touch(struct model_state *s, const struct model_flight *f)
{
	struct model_pin *place = f->in_opening ? &s->opening : &s->pins;
	struct fl_pin pin = model_pin(*place);
	bool stuck;

	if (!f->pin_lives)
		return;
	rule_touch(&pin, f->packet, MODEL_NOW - f->aged);
	stuck = place->stuck;
	model_set_pin(place, &pin);
	place->stuck = stuck;
}

static void insert(struct model_pin *place, const struct model_flight *f)
{
	struct fl_pin pin;

	fl_pin_init(&pin, f->to, 0, 0, 0, 0, f->packet, MODEL_NOW - f->aged);
	model_set_pin(place, &pin);
}

/** By key: it is another pin of the flow that is replaced, if there is one by now. */
static bool replace(struct model_state *s, const struct model_flight *f)
{
	struct model_pin *place = f->in_opening ? &s->opening : &s->pins;

	if (!place->endpoint)
		return !RULE(replace_needs_pin);
	insert(place, f);
	return true;
}

/** @return whether the flow is pinned there; if not, it has another pin */
static bool pin_opening(struct model_state *s, const struct model_flight *f)
{
	if (s->opening.endpoint)
		return false;
	if (s->pins.endpoint && RULE(flow_has_one_pin))
		return false;
	insert(&s->opening, f);
	return true;
}

static bool pin_old(struct model_state *s, const struct model_flight *f)
{
	if (s->pins.endpoint)
		return false;
	insert(&s->pins, f);
	if (RULE(flow_has_one_pin))
		model_drop_pin(s, true);
	return true;
}

void model_promote(struct model_state *s, const struct model_flight *f, bool first)
{
	if (first != RULE(promote_inserts_first))
		model_drop_pin(s, true);
	else if (!s->pins.endpoint)
		insert(&s->pins, f);
}

/** @return whether that is settled; if not, the slot was another by now */
static bool lose(struct model_state *s, const struct model_flight *f, bool same)
{
	if (!f->postpones)
		return true;
	if (!same && RULE(loss_is_compared))
		return false;
	if (s->moving && !f->slot_away && RULE(loss_is_written))
		model_set_slot(s, fl_slot_postponed(model_slot(s), MODEL_NOW - f->aged));
	return true;
}

const char *model_act(struct model_state *s, struct model_flight *f)
{
	bool same = f->slot_same, done = true;
	enum model_luck luck = FAIR;

	switch (f->action) {
	case FL_PIN_OPENING:
		done = pin_opening(s, f);
		break;
	case FL_PIN_OLD:
		done = pin_old(s, f);
		break;
	case FL_PIN_TOUCH:
		touch(s, f);
		break;
	case FL_PIN_REPLACE:
		done = replace(s, f);
		/* A flow that lost its endpoint while it opened is none any more. */
		if (done && f->in_opening && f->packet != FL_PACKET_OPEN)
			f->action = FL_PIN_FORGO;
		break;
	case FL_PIN_PROMOTE:
		if (f->stage != STAGE_HALF_PROMOTED)
			model_promote(s, f, true);
		model_promote(s, f, false);
		break;
	case MODEL_PIN_STUCK:
		touch(s, f);
		s->opening.stuck |= f->pin_lives;
		done = lose(s, f, same);
		luck = REFUSED;
		break;
	case FL_PIN_LOSE:
		done = lose(s, f, same);
		luck = CROWDED;
		break;
	}
	return done ? model_flow_deliver(s, f) : again(s, f, luck);
}
