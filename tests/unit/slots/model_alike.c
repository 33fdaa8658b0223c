/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "unit/slots/model.h"

/*
 * States that differ only in what nothing ever asks are alike: the same things
 * can follow. One of them is looked at, the one that this makes of them all.
 */

/* ---------------------------------------------------------------------- ages */

/** No clock looks further back than that. */
static void forget_ages(enum model_world world, struct model_state *c)
{
	unsigned slot_oldest =
		c->now == c->before && !c->old ? FL_GRACE_S : rule_silence + FL_GRACE_S;
	struct model_pin *pins[] = { &c->pins, &c->opening };

	if (c->since > slot_oldest)
		c->since = slot_oldest;
	for (size_t i = 0; i < 2; i++) {
		bool handshake = !pins[i]->proven || pins[i]->closing;
		unsigned oldest = (handshake ? FL_PIN_HANDSHAKE_S : rule_silence) + FL_GRACE_S;

		if (pins[i]->age > oldest)
			pins[i]->age = oldest;
	}
	/* What it found decides whether the slot settles; this one cannot. */
	if (!c->sweep_ripe && rule_off == RULE_NONE)
		c->sweep_found = 0;
	/* Nothing is under way from one sweep to the next. */
	if (!(world & WORLD_RACE) && c->sweep == SWEEP_NONE)
		c->rest = FL_GRACE_S;
}

/* -------------------------------------------------------------------- flight */

/** What a packet remembers, but will not use. */
static void forget_flight(enum model_world world, struct model_flight *f)
{
	bool opens = f->packet == FL_PACKET_OPEN || f->packet == FL_PACKET_UDP;

	if (!(world & WORLD_TWO))
		f->disturbed = f->overtaken = 0;
	if (f->stage < STAGE_DECIDED)
		return;
	if (!f->postpones)
		f->slot_same = f->slot_away = 0;
	if (!opens)
		f->may_drain = 1;
	switch (f->action) {
	case FL_PIN_TOUCH:
	case FL_PIN_PROMOTE:
	case FL_PIN_REPLACE:
	case MODEL_PIN_STUCK:
		break;
	default:
		f->in_opening = f->pin_lives = 0;
	}
}

/* --------------------------------------------------------------------- names
 *
 * Endpoints are alike, but for 3 where its id is given out again: they are
 * numbered as they are first mentioned. One that nothing mentions may go up and
 * down as it likes, so it is all the same what it is: up.
 */

/** New number of each endpoint, 2 bits each; 0 = none yet. */
struct names {
	unsigned numbers;
	unsigned count;
};

static inline unsigned name(struct names *names, unsigned endpoint)
{
	if (endpoint && !(names->numbers >> 2 * endpoint & 3))
		names->numbers |= ++names->count << 2 * endpoint;
	return names->numbers >> 2 * endpoint & 3;
}

static void rename_endpoints(enum model_world world, struct model_state *c)
{
	struct names names = { .numbers = (world & WORLD_IDS) ? 3 << 2 * 3 : 0 };
	uint8_t states[MODEL_ENDPOINTS + 1] = { FL_UP, FL_UP, FL_UP, FL_UP };

	c->now = name(&names, c->now);
	c->before = name(&names, c->before);
	c->old_before = name(&names, c->old_before);
	c->pins.endpoint = name(&names, c->pins.endpoint);
	c->opening.endpoint = name(&names, c->opening.endpoint);
	c->owner = name(&names, c->owner);
	if (c->flight.stage) {
		c->flight.to = name(&names, c->flight.to);
		c->flight.now = name(&names, c->flight.now);
		c->flight.before = name(&names, c->flight.before);
		c->flight.old_before = name(&names, c->flight.old_before);
	}
	states[names.numbers >> 2 & 3] = c->state1;
	states[names.numbers >> 4 & 3] = c->state2;
	states[names.numbers >> 6 & 3] = c->state3;
	c->state1 = states[1];
	c->state2 = states[2];
	c->state3 = states[3];
}

bool model_is_mentioned(enum model_world world, const struct model_state *s, unsigned endpoint)
{
	const struct model_flight *f = &s->flight;

	return s->now == endpoint || s->before == endpoint || s->old_before == endpoint ||
	       s->pins.endpoint == endpoint || s->opening.endpoint == endpoint ||
	       s->owner == endpoint || f->to == endpoint || f->now == endpoint ||
	       f->before == endpoint || f->old_before == endpoint ||
	       ((world & WORLD_IDS) && endpoint == 3);
}

struct model_state model_alike(enum model_world world, const struct model_state *s)
{
	struct model_state c = *s;

	forget_ages(world, &c);
	if (c.flight.stage)
		forget_flight(world, &c.flight);
	else
		c.flight = (struct model_flight){ 0 };
	if (!c.pins.endpoint && !c.opening.endpoint && !c.flight.stage)
		c.tainted = 0;
	rename_endpoints(world, &c);
	return c;
}
