// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "spec_slot.h"

#include <netinet/in.h>
#include <string.h>

#include "fairlead/hash.h"

/** What a packet is to its flow. */
enum meaning {
	OPENS,    /**< begins it */
	GOES_ON,  /**< belongs to one that began */
	UNCLEAR,  /**< UDP: may be either */
	RESETS,   /**< ends it */
	FRAGMENT, /**< shows nothing */
	LOOSE,    /**< needs no memory */
};

/** Whether a client begins a QUIC connection with a datagram like this. What is looked
 * at may lie in padding behind a shorter datagram, which then is no QUIC anyhow. */
static bool is_quic_opening(const uint8_t *quic, uint32_t length)
{
	uint32_t version;
	uint8_t type;

	if (length < 5 || !(quic[0] & 0x80))
		return false;
	version = (uint32_t)quic[1] << 24 | (uint32_t)quic[2] << 16 | (uint32_t)quic[3] << 8 |
		  quic[4];
	type = quic[0] >> 4 & 3;
	if (version == 0x6b3343cf) /* version 2: Initial is 1, 0-RTT is 2 */
		return type == 1 || type == 2;
	return version && type < 2;
}

static enum meaning meaning_of(
	const struct headers *h, const uint8_t *frame, uint32_t length, uint8_t udp)
{
	if (h->part != WHOLE)
		return FRAGMENT;
	if (h->proto == IPPROTO_TCP) {
		if (h->tcp_flags & 0x04)
			return RESETS;
		return (h->tcp_flags & 0x12) == 0x02 ? OPENS : GOES_ON;
	}
	if (udp == FL_UDP_KEEP)
		return UNCLEAR;
	if (udp == FL_UDP_MOVE)
		return LOOSE;
	return is_quic_opening(frame + h->l4 + 8, length - h->l4 - 8) ? OPENS : GOES_ON;
}

static bool takes_old(const struct world *w, uint8_t endpoint)
{
	return w->state[endpoint] == FL_UP || w->state[endpoint] == FL_DRAINING;
}

static uint8_t if_it_takes_old(const struct world *w, uint8_t endpoint)
{
	return takes_old(w, endpoint) ? endpoint : 0;
}

static struct spec_pin *pin_find(struct spec_state *s, const struct fl_flow *flow)
{
	uint32_t i;

	for (i = 0; i < s->pin_count; i++)
		if (!memcmp(&s->pins[i].flow, flow, sizeof(*flow)))
			return &s->pins[i];
	return NULL;
}

static uint32_t pins_in(const struct spec_state *s, bool opening)
{
	uint32_t i, count = 0;

	for (i = 0; i < s->pin_count; i++)
		count += s->pins[i].opening == opening;
	return count;
}

/** Whether a table takes one more pin; that it does not is remembered for a while. */
static bool has_room(
	const struct world *w, struct spec_state *s, bool opening, struct spec_verdict *v)
{
	if (pins_in(s, opening) < (opening ? w->opening_room : w->pin_room))
		return true;
	s->pressure.failed_s = w->now_s;
	v->full = true;
	return false;
}

/** Pins of openings that were made in the window of 5 s that is `ago` windows back. */
static uint32_t openings(const struct world *w, const struct spec_pressure *p, uint32_t ago)
{
	uint32_t back = p->window - (w->now_s / 5 - ago);

	return back < 2 ? p->openings[back] : 0;
}

static void count_opening(const struct world *w, struct spec_pressure *p)
{
	uint32_t now = openings(w, p, 0), last = openings(w, p, 1);

	p->window = w->now_s / 5;
	p->openings[0] = now + 1;
	p->openings[1] = last;
}

/** Whether so many flows open, or pins fail, that openings get none. */
static bool is_pressed(const struct world *w, const struct spec_pressure *p)
{
	uint32_t limit = w->conf.opening_limit ? w->conf.opening_limit : FL_OPENING_MAX / 2;

	return (p->failed_s && w->now_s - p->failed_s < 5) || openings(w, p, 0) > limit ||
	       openings(w, p, 1) > limit;
}

/** A pin says where its flow is, unless that is over. */
static uint8_t obey(const struct world *w, struct spec_state *s, struct spec_pin *pin,
	enum meaning m, const struct world_slot *slot, struct spec_verdict *v)
{
	uint32_t silent = w->now_s - pin->seen;
	bool over =
		m == OPENS && w->state[pin->endpoint] != FL_UP && silent > (pin->proven ? 5 : 64);

	if (takes_old(w, pin->endpoint) && pin->service == v->service && !over) {
		if (m == FRAGMENT)
			return pin->endpoint;
		if (pin->opening && m != OPENS && m != RESETS) {
			pin->opening = !has_room(w, s, false, v);
			v->loses = pin->opening;
		}
		pin->seen = w->now_s;
		pin->proven |= m != OPENS;
		return pin->endpoint;
	}
	if (!takes_old(w, slot->now))
		return 0;
	if (m != FRAGMENT && m != RESETS) {
		pin->endpoint = slot->now;
		pin->service = v->service;
		pin->seen = w->now_s;
		pin->proven = m != OPENS;
	}
	return slot->now;
}

/** Whether `before` takes such a packet. UDP may be a new flow. */
static bool fits(const struct world *w, enum meaning m, uint8_t before)
{
	return m == OPENS || m == UNCLEAR ? w->state[before] == FL_UP : takes_old(w, before);
}

/** Whether a packet may have the pin that it needs. */
static bool may_pin(const struct world *w, struct spec_state *s, enum meaning m, uint8_t before,
	struct spec_verdict *v)
{
	if (m == OPENS)
		return !(is_pressed(w, &s->pressure) && fits(w, m, before)) &&
		       has_room(w, s, true, v);
	return s->pressure.old_pins < FL_PINS_MAX / 2 && has_room(w, s, false, v);
}

/** No pin: openings go to `now`, all else is at `before` if that can be; who cannot be
 * pinned is best there, too. */
static uint8_t choose(const struct world *w, struct spec_state *s, const struct headers *h,
	enum meaning m, const struct world_slot *slot, uint8_t before, struct spec_verdict *v)
{
	bool stays = m != OPENS && fits(w, m, before);
	uint8_t endpoint = stays ? before : if_it_takes_old(w, slot->now);

	if (!endpoint || m == RESETS || m == FRAGMENT)
		return endpoint;
	if (slot->now == before && slot->now == slot->before)
		return endpoint;
	if (may_pin(w, s, m, before, v)) {
		s->pins[s->pin_count++] = (struct spec_pin){ spec_flow(h), endpoint, v->service,
			m != OPENS, m == OPENS, w->now_s };
		if (m == OPENS)
			count_opening(w, &s->pressure);
		else
			s->pressure.old_pins++;
		return endpoint;
	}
	v->loses = fits(w, m, before);
	s->pressure.refused += !v->loses;
	return v->loses ? before : if_it_takes_old(w, slot->now);
}

void spec_slot_choose(const struct world *w, struct spec_state *s, const struct headers *h,
	const uint8_t *frame, uint32_t length, struct spec_verdict *v)
{
	struct world_slot slot = world_slot(
		w, v->service, h->family, (uint32_t)((uint64_t)v->hash * WORLD_SLOTS >> 32));
	enum meaning m = meaning_of(h, frame, length, world_services[v->service].udp);
	struct fl_flow flow = spec_flow(h);
	uint8_t before = slot.before;
	struct spec_pin *pin;

	v->endpoint = slot.now;
	if (!slot.moving)
		return;
	pin = m == LOOSE ? NULL : pin_find(s, &flow);
	if (slot.old)
		before = world_old_before(w, v->service, h->family,
			(uint32_t)((uint64_t)v->hash * WORLD_OLD_SLOTS >> 32));
	if (m == LOOSE)
		v->endpoint = if_it_takes_old(w, slot.now);
	else if (pin)
		v->endpoint = obey(w, s, pin, m, &slot, v);
	else
		v->endpoint = choose(w, s, h, m, &slot, before, v);
	s->pressure.refused += v->loses;
}
