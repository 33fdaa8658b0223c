/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "unit/slots/model.h"

/*
 * Which packets may be sent, and how they go about it: at one go, or in steps
 * between which other things happen, and a second may begin.
 */

struct kind {
	enum fl_packet packet;
	const char *whole, *crowded, *refused, *decided, *missed;
};

#define KIND(packet, name)                                                                         \
	{ packet, name " to %d", name " to %d, without a pin for lack of room",                    \
		name " to %d, its insert fails", name " is bound for %d",                          \
		name " finds no pin yet" }

static const struct kind KINDS[] = {
	KIND(FL_PACKET_OPEN, "SYN"),
	KIND(FL_PACKET_DATA, "data"),
	KIND(FL_PACKET_FIN, "FIN"),
	KIND(FL_PACKET_RST, "RST"),
	KIND(FL_PACKET_UDP, "datagram"),
};

/* ------------------------------------------------------------- what may be sent */

/** Packets that overtake another do so by moments: the client has seen nothing yet
 * of what that one does, and does not open what it has opened. */
static bool can_overtake(const struct model_state *s, enum fl_packet packet)
{
	if (s->flight.opens_flow || packet == FL_PACKET_OPEN)
		return packet == s->flight.packet;
	return s->flow != FLOW_NONE;
}

/** Whether a SYN that comes now may be a late duplicate of the one that opened the flow. */
static bool may_be_duplicate(const struct model_state *s)
{
	return s->flow != FLOW_NONE && s->silence <= FL_PIN_DUPLICATE_S;
}

static bool can_be_sent(enum model_world world, const struct model_state *s, enum fl_packet packet)
{
	if (s->flight.stage && !can_overtake(s, packet))
		return false;
	switch (packet) {
	case FL_PACKET_UDP:
		return world & WORLD_UDP;
	case FL_PACKET_OPEN:
		return !(world & WORLD_UDP) && (s->flow != FLOW_OPEN || may_be_duplicate(s));
	case FL_PACKET_DATA: /* also of flows that were silent for too long, or are unknown */
		return !(world & WORLD_UDP);
	default:
		return (world & WORLD_CLOSE) && s->flow == FLOW_OPEN;
	}
}

/** Whether that luck can befall what was decided under fair skies. */
static bool may_befall(const struct model_flight *fair, enum model_luck luck)
{
	if (luck == FAIR)
		return true;
	return fair->action == FL_PIN_OPENING || fair->action == FL_PIN_OLD ||
	       (fair->action == FL_PIN_PROMOTE && luck == REFUSED);
}

/* ------------------------------------------------------------------------ steps */

static void emit_landed(struct model_search *search, struct model_state *next,
	struct model_flight *f, const char *text, const char *violation)
{
	unsigned to = f->to;

	if (f == &next->flight)
		*f = (struct model_flight){ 0 };
	model_emit(search, next, (struct model_event){ text, to }, violation);
}

/** The packet does all it does at one go. */
static void whole(struct model_search *search, const struct model_state *s,
	const struct model_flight *begun, enum model_luck luck, const char *text)
{
	struct model_state next = *s;
	struct model_flight f = *begun;
	const char *violation = model_decide_at_once(&next, &f, luck);

	if (!violation)
		violation = model_act(&next, &f);
	emit_landed(search, &next, &f, text, violation);
}

/** The packet decides, and goes on later. */
static void decided(struct model_search *search, const struct model_state *s,
	const struct model_flight *begun, enum model_luck luck, const char *text)
{
	struct model_state next = *s;
	const char *violation;

	next.flight = *begun;
	violation = model_decide_at_once(s, &next.flight, luck);
	model_flow_speak(&next);
	model_emit(search, &next, (struct model_event){ text, next.flight.to }, violation);
}

/** The packet reads the slot and misses in `pins`, and goes on later. */
static void missed(struct model_search *search, const struct model_state *s,
	const struct model_flight *begun, const char *text)
{
	struct model_state next = *s;

	next.flight = *begun;
	next.flight.stage = STAGE_MISSED_PINS;
	next.flight.slot_same = 1;
	next.flight.now = s->now;
	next.flight.before = s->before;
	next.flight.moving = s->moving;
	next.flight.old = s->old;
	next.flight.since = s->since != 0; /* all that a loss asks */
	next.flight.old_before = s->old_before;
	model_emit(search, &next, (struct model_event){ text, 0 }, NULL);
}

/** Send one packet, in every way this world knows. */
static void send(struct model_search *search, enum model_world world, const struct model_state *s,
	const struct kind *kind)
{
	struct model_flight begun = { .packet = kind->packet,
		.opens_flow = s->flow == FLOW_NONE,
		.must_stay = model_flow_is_live(s) && model_owner_serves(s) };
	struct model_flight fair = begun;

	(void)model_decide_at_once(s, &fair, FAIR);
	for (enum model_luck luck = FAIR; luck <= ((world & WORLD_LOSS) ? REFUSED : FAIR); luck++) {
		const char *text = luck == REFUSED   ? kind->refused
				   : luck == CROWDED ? kind->crowded
						     : kind->whole;

		if (!may_befall(&fair, luck))
			continue;
		whole(search, s, &begun, luck, text);
		if ((world & WORLD_RACE) && !s->flight.stage)
			decided(search, s, &begun, luck, kind->decided);
	}
	if ((world & WORLD_TWO) && !s->flight.stage && s->moving && !s->pins.endpoint)
		missed(search, s, &begun, kind->missed);
}

/* -------------------------------------------------------------------- going on */

/** It has looked in vain so far. */
static void look_on(struct model_search *search, const struct model_state *s)
{
	static const struct model_pin none;
	const struct model_pin *found = &none;
	struct model_state next = *s;
	struct model_flight *f = &next.flight;
	const char *violation;
	fl_slot slot;

	if (f->stage == STAGE_MISSED_PINS && !s->opening.endpoint) {
		f->stage = STAGE_MISSED_OPENING;
		model_emit(search, &next, (struct model_event){ "nor in `opening`", 0 }, NULL);
		return;
	}
	if (f->stage == STAGE_MISSED_PINS)
		found = &s->opening;
	else if (s->pins.endpoint && RULE(pins_looked_up_twice))
		found = &s->pins;
	slot = f->moving ? fl_slot_moving(f->now, f->before, MODEL_NOW - f->since - f->aged) |
				   (f->old ? FL_SLOT_OLD : 0)
			 : fl_slot_settled(f->now);
	violation = model_decide(s, f, slot, f->old ? f->old_before : f->before, found, FAIR);
	model_flow_speak(&next);
	model_emit(search, &next, (struct model_event){ "it is bound for %d", f->to }, violation);
}

/** The packet under way goes on. */
static void go_on(struct model_search *search, const struct model_state *s)
{
	struct model_state next = *s;
	struct model_flight *f = &next.flight;
	const char *violation;

	if (f->stage < STAGE_DECIDED) {
		look_on(search, s);
	} else if (f->stage == STAGE_DECIDED && f->action == FL_PIN_PROMOTE) {
		model_promote(&next, f, true);
		f->stage = STAGE_HALF_PROMOTED;
		model_emit(search, &next, (struct model_event){ "its pin is half moved", 0 }, NULL);
	} else {
		violation = model_act(&next, f);
		emit_landed(search, &next, f, "it reaches %d", violation);
	}
}

/** Packets that leave no trace are asked only where they go. */
static void ask(struct model_search *search, enum model_world world, const struct model_state *s)
{
	struct model_flight quote = { .packet = FL_PACKET_QUOTE };
	struct model_flight loose = { .packet = FL_PACKET_LOOSE };
	const char *violation = model_decide_at_once(s, &quote, FAIR);

	if (!violation && quote.action != FL_PIN_NONE)
		violation = LEAVES_TRACE;
	if (!violation && model_flow_is_live(s) && model_owner_serves(s) && quote.to != s->owner)
		violation = STRAYS;
	if (violation)
		model_emit(search, s, (struct model_event){ "a quote to %d", quote.to }, violation);
	if (!(world & WORLD_UDP))
		return;
	violation = model_decide_at_once(s, &loose, FAIR);
	if (!violation && loose.action != FL_PIN_NONE)
		violation = LEAVES_TRACE;
	if (violation)
		model_emit(search, s, (struct model_event){ "move to %d", loose.to }, violation);
}

void model_packets(struct model_search *search, enum model_world world, const struct model_state *s)
{
	struct model_state next = *s;

	if (s->flight.stage) {
		go_on(search, s);
		if (!(world & WORLD_TWO))
			return;
	}
	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
		if (can_be_sent(world, s, KINDS[i].packet))
			send(search, world, s, &KINDS[i]);
	}
	if (!(world & WORLD_RACE))
		ask(search, world, s);
	if (s->flow != FLOW_NONE && !s->flight.stage) {
		model_flow_forget(&next);
		model_emit(search, &next, (struct model_event){ "the flow ends", 0 }, NULL);
	}
}
