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

/** A pin says where its flow is, unless that is over. */
static uint8_t obey(
	const struct world *w, struct spec_pin *pin, enum meaning m, const struct world_slot *slot)
{
	uint32_t silent = w->now_s - pin->seen;
	bool over =
		m == OPENS && w->state[pin->endpoint] != FL_UP && silent > (pin->proven ? 5 : 64);

	if (takes_old(w, pin->endpoint) && !over) {
		if (m == FRAGMENT)
			return pin->endpoint;
		pin->seen = w->now_s;
		pin->proven |= m != OPENS;
		return pin->endpoint;
	}
	if (!takes_old(w, slot->now))
		return 0;
	if (m != FRAGMENT && m != RESETS) {
		pin->endpoint = slot->now;
		pin->seen = w->now_s;
		pin->proven = m != OPENS;
	}
	return slot->now;
}

/** No pin: openings go to `now`, all else is at `before` if that can be. */
static uint8_t choose(const struct world *w, enum meaning m, uint8_t now, uint8_t before)
{
	bool before_fits = m == UNCLEAR ? w->state[before] == FL_UP : takes_old(w, before);

	if (m != OPENS && before_fits)
		return before;
	return if_it_takes_old(w, now);
}

uint8_t spec_slot_endpoint(const struct world *w, struct spec_state *s, const struct headers *h,
	const uint8_t *frame, uint32_t length, uint8_t service, uint32_t hash)
{
	struct world_slot slot =
		world_slot(w, service, h->family, (uint32_t)((uint64_t)hash * WORLD_SLOTS >> 32));
	enum meaning m = meaning_of(h, frame, length, world_services[service].udp);
	struct fl_flow flow = spec_flow(h);
	uint8_t before = slot.before, endpoint;
	struct spec_pin *pin;

	if (!slot.moving)
		return slot.now;
	if (m == LOOSE)
		return if_it_takes_old(w, slot.now);
	pin = pin_find(s, &flow);
	if (pin)
		return obey(w, pin, m, &slot);
	if (slot.old)
		before = world_old_before(
			w, service, h->family, (uint32_t)((uint64_t)hash * WORLD_OLD_SLOTS >> 32));
	endpoint = choose(w, m, slot.now, before);
	if (!endpoint || m == RESETS || m == FRAGMENT)
		return endpoint;
	if (slot.now == before && slot.now == slot.before)
		return endpoint;
	s->pins[s->pin_count++] = (struct spec_pin){ flow, endpoint, m != OPENS, w->now_s };
	return endpoint;
}
