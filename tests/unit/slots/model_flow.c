/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "unit/slots/model.h"

/*
 * What was promised to the flow: packets of a live one reach its endpoint, for as
 * long as that serves. What is exempt ends the flow here, and says why.
 */

bool model_flow_is_live(const struct model_state *s)
{
	bool handshake = s->flow == FLOW_HALF_OPEN || s->closing;

	return s->flow != FLOW_NONE &&
	       s->silence <= (handshake ? FL_PIN_HANDSHAKE_S : rule_silence);
}

void model_flow_forget(struct model_state *s)
{
	s->flow = s->owner = s->silence = s->closing = 0;
	s->flight.must_stay = 0;
}

void model_flow_speak(struct model_state *s)
{
	if (s->flight.to && s->flight.to == s->owner && model_flow_is_live(s))
		s->silence = 0;
}

void model_flow_tick(struct model_state *s)
{
	bool handshake = s->flow == FLOW_HALF_OPEN || s->closing;

	if (!s->flow)
		return;
	if (s->silence < (handshake ? FL_PIN_HANDSHAKE_S : rule_silence))
		s->silence++;
	else if (!s->flight.must_stay) /* who has sent something is not silent */
		model_flow_forget(s);
}

/* ------------------------------------------------------------------ deliveries */

/** Two of its packets overtook each other: which of two endpoints the client will
 * speak to is open. */
static void taint(struct model_state *s)
{
	model_flow_forget(s);
	s->tainted = 1;
}

/** The first packet of a flow, or one that repeats it. */
static void begin_flow(struct model_state *s, const struct model_flight *f)
{
	if (s->flow == FLOW_OPEN) {
		/* A late duplicate. If it misses the flow's endpoint: not covered. */
		if (s->owner != f->to)
			taint(s);
	} else if (s->flow == FLOW_NONE || s->owner != f->to) {
		/* A repeated opening may find another endpoint: not covered. */
		model_flow_forget(s);
		s->flow = f->packet == FL_PACKET_OPEN ? FLOW_HALF_OPEN : FLOW_OPEN;
		s->owner = f->to;
		s->silence = f->aged;
	}
	if (s->silence > f->aged)
		s->silence = f->aged;
	/* Without a pin, though one was needed: not covered either. */
	if (f->action == FL_PIN_FORGO)
		model_flow_forget(s);
}

/** Of a flow that was silent for too long, another packet is on its way elsewhere. */
static bool races_stray(const struct model_state *s, const struct model_flight *f)
{
	return f != &s->flight && f->packet == FL_PACKET_DATA && s->flight.opens_flow &&
	       s->flight.stage >= STAGE_DECIDED && s->flight.to != f->to;
}

static const char *deliver_first(struct model_state *s, const struct model_flight *f)
{
	bool races = f->overtaken || (s->flow && s->flight.stage && f != &s->flight);

	if (!f->to)
		return NULL;
	if (s->flow == FLOW_NONE && !f->may_drain)
		return TO_DRAINING;
	if ((races && s->owner != f->to) || races_stray(s, f))
		taint(s);
	if (!s->tainted)
		begin_flow(s, f);
	return NULL;
}

static const char *deliver_other(struct model_state *s, const struct model_flight *f)
{
	bool moves = f->to != s->owner, promised = f->must_stay;

	s->flow = FLOW_OPEN;
	s->closing = f->packet == FL_PACKET_FIN;
	if (f->to && s->silence > f->aged)
		s->silence = f->aged;
	if (moves || f->action == FL_PIN_FORGO || f->packet == FL_PACKET_RST)
		model_flow_forget(s);
	return moves && promised ? FLOW_MOVES : NULL;
}

const char *model_flow_deliver(struct model_state *s, const struct model_flight *f)
{
	if (f != &s->flight && s->flight.stage)
		s->flight.overtaken = 1;
	if (f->packet == FL_PACKET_OPEN ||
		(s->flow == FLOW_NONE && (f->opens_flow || f->packet == FL_PACKET_UDP)))
		return deliver_first(s, f);
	return s->flow == FLOW_NONE ? NULL : deliver_other(s, f);
}
