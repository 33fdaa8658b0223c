/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "unit/slots/model.h"

/*
 * Pins, sweeps and time. A sweep is four events: it begins, reads one table of
 * pins and the other, and ends. It may last for as long as it likes: of its age
 * only one thing matters, whether the slot was ripe when it began and was not
 * written since.
 */

static void emit(struct model_search *search, const struct model_state *next, const char *text)
{
	model_emit(search, next, (struct model_event){ text, 0 }, NULL);
}

/* ----------------------------------------------------------------------- pins */

struct fl_pin model_pin(struct model_pin pin)
{
	return (struct fl_pin){ .endpoint = pin.endpoint,
		.seen = MODEL_NOW - pin.age,
		.proven = pin.proven,
		.closing = pin.closing };
}

void model_set_pin(struct model_pin *ret, const struct fl_pin *pin)
{
	*ret = (struct model_pin){ .endpoint = pin->endpoint,
		.age = fl_pin_age(pin, MODEL_NOW),
		.proven = pin->proven,
		.closing = pin->closing };
}

void model_drop_pin(struct model_state *s, bool opening)
{
	*(opening ? &s->opening : &s->pins) = (struct model_pin){ 0 };
	if (s->flight.in_opening == opening)
		s->flight.pin_lives = 0;
}

/* ---------------------------------------------------------------------- sweep */

static bool may_begin(const struct model_state *s)
{
	return s->rest == FL_GRACE_S || !RULE(sweeps_are_apart);
}

/** A second in which the sweep may have begun, for what the headers ask of it. */
static __u32 begun(const struct model_state *s)
{
	return s->sweep_ripe ? MODEL_NOW : MODEL_NOW - s->since;
}

static void begin(struct model_state *s)
{
	bool rested = s->gone_age == FL_GRACE_S || !RULE(ids_rest);

	s->sweep = SWEEP_BEGUN;
	s->sweep_ripe = s->moving && s->now == s->before && s->since >= FL_GRACE_S;
	s->sweep_found = 0;
	s->sweep_found_id = s->gone && (!rested || model_slot_has_id(s));
}

/**
 * Not covered: a packet finds a pin that has expired, or whose endpoint was
 * removed, and relies on it for a new flow, in the moment between the sweep's
 * look at it and its deletion.
 */
static void spare_flight(struct model_state *s, bool opening)
{
	struct model_flight *f = &s->flight;

	if (f->pin_lives && !f->must_stay && f->in_opening == opening &&
		(f->action == FL_PIN_TOUCH || f->action == MODEL_PIN_STUCK))
		f->action = FL_PIN_FORGO;
}

static void read_pins(struct model_state *s, bool opening)
{
	const struct model_pin *place = opening ? &s->opening : &s->pins;
	struct fl_pin pin = model_pin(*place);
	bool gone = s->gone && pin.endpoint == 3;

	s->sweep++;
	if (!pin.endpoint)
		return;
	s->sweep_found = 1;
	s->sweep_found_id |= gone;
	if (!(gone && RULE(sweep_frees_pins)) &&
		!rule_frees_pin(model_slot(s), &pin, begun(s), MODEL_NOW))
		return;
	if (gone || fl_pin_is_expired(&pin, rule_silence, MODEL_NOW))
		spare_flight(s, opening);
	model_drop_pin(s, opening);
}

static void end(struct model_state *s)
{
	bool clean = !s->sweep_found || !RULE(sweep_minds_pins);

	if (s->moving && clean && rule_settle_is_due(model_slot(s), begun(s), MODEL_NOW))
		model_set_slot(s, fl_slot_settled(s->now));
	if (s->gone && !s->sweep_found_id)
		s->proven_unused = 1;
	s->sweep = s->sweep_ripe = s->sweep_found = s->sweep_found_id = 0;
	s->rest = 0;
}

static void go_on(struct model_state *s)
{
	switch (s->sweep) {
	case SWEEP_NONE:
		begin(s);
		break;
	case SWEEP_BEGUN:
		read_pins(s, RULE(sweep_reads_opening_first));
		break;
	case SWEEP_READ_ONE:
		read_pins(s, !RULE(sweep_reads_opening_first));
		break;
	case SWEEP_READ_BOTH:
		end(s);
		break;
	}
}

void model_sweep(struct model_search *search, const struct model_state *s)
{
	static const char *const texts[] = { "a sweep begins", "the sweep reads a table of pins",
		"the sweep reads the other table", "the sweep ends" };
	struct model_state next = *s;

	if (s->sweep == SWEEP_NONE && !may_begin(s))
		return;
	go_on(&next);
	emit(search, &next, texts[s->sweep]);
}

/* ----------------------------------------------------------------------- time */

static void age_pin(struct model_pin *pin)
{
	pin->age += pin->endpoint != 0;
}

static void tick(struct model_state *s)
{
	s->since += s->moving;
	age_pin(&s->pins);
	age_pin(&s->opening);
	s->rest += s->sweep == SWEEP_NONE && s->rest < FL_GRACE_S;
	s->gone_age += s->gone && s->gone_age < FL_GRACE_S;
	s->flight.aged = s->flight.stage != STAGE_NONE;
	model_flow_tick(s);
}

void model_time(struct model_search *search, enum model_world world, const struct model_state *s)
{
	struct model_state next = *s;

	if (s->flight.aged || (s->flight.stage && (world & WORLD_TWO)))
		return;
	tick(&next);
	emit(search, &next, "a second passes");
}

bool model_settles_in_silence(const struct model_state *s)
{
	struct model_state run = *s;

	for (int i = 0; i < 60 && run.moving; i++) {
		run = model_alike(0, &run);
		if (model_hold(&run))
			continue;
		if (run.sweep != SWEEP_NONE || (may_begin(&run) && i % 6 == 0))
			go_on(&run);
		else
			tick(&run);
	}
	return !run.moving;
}
