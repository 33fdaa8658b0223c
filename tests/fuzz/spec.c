// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "spec.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "fairlead/hash.h"
#include "spec_icmp.h"
#include "spec_nat.h"
#include "spec_slot.h"

struct fl_flow spec_flow(const struct headers *h)
{
	return (struct fl_flow){ .saddr = h->saddr,
		.daddr = h->daddr,
		.sport = htons(h->sport),
		.dport = htons(h->dport),
		.proto = h->proto };
}

/** Number of the frontend address that a packet is for; 0 = another address. */
static uint8_t address_of(const struct headers *h)
{
	struct fl_ip ip;
	uint8_t n;

	for (n = 1; n <= WORLD_ADDRESSES; n++) {
		ip = world_ip(h->family, WORLD_NET_FRONTEND, n);
		if (!memcmp(&ip, &h->daddr, sizeof(ip)))
			return n;
	}
	return 0;
}

/** The row of a frontend: one of exactly this port before one of all. 0 = none. */
static uint8_t frontend_of(const struct world *w, const struct headers *h)
{
	uint8_t address = address_of(h), any = 0;
	uint32_t i;

	for (i = 0; i < world_frontend_count; i++) {
		const struct world_frontend *f = &world_frontends[i];

		if (f->address != address || f->proto != h->proto || !world_frontend_service(w, f))
			continue;
		if (f->port && f->port == h->dport)
			return 1 + i;
		if (!f->port)
			any = 1 + i;
	}
	return any;
}

static uint8_t service_of(const struct world *w, uint8_t frontend)
{
	return world_frontend_service(w, &world_frontends[frontend - 1]);
}

static uint32_t hash_of(const struct world *w, const struct headers *h)
{
	if (h->family == FL_IPV4)
		return fl_hash_ipv4(w->conf.hash_seed, h->saddr.word[3], h->daddr.word[3],
			htons(h->sport), htons(h->dport), h->proto);
	return fl_hash_ipv6(w->conf.hash_seed, h->saddr.word, h->daddr.word, htons(h->sport),
		htons(h->dport), h->proto);
}

static struct spec_verdict because(enum fl_reason reason)
{
	return (struct spec_verdict){ .reason = reason };
}

/** A fragment, or a header that is cut: whose is it, if we know? */
static enum fl_reason judge_part(
	const struct world *w, struct headers *h, uint32_t length, struct spec_verdict *v)
{
	uint8_t address = address_of(h), service = 0, frontend;

	if (h->part == FIRST_FRAGMENT) {
		frontend = frontend_of(w, h);
		if (!frontend)
			return FL_PASS_NO_SERVICE;
		service = service_of(w, frontend);
	}
	if (!address)
		return FL_PASS_NO_SERVICE;
	if (h->part == CUT || h->l3 + h->ip_len > length)
		return FL_DROP_MALFORMED;
	v->service = world_address_owner(w, address);
	v->frontend = 100 + address;
	if (!v->service || (service && service != v->service))
		return FL_DROP_FRAGMENT;
	h->sport = h->dport = 0;
	return FL_SENT;
}

/** Wrap a packet for the endpoint of a verdict, if it can be. */
static void judge_tunnel(const struct world *w, const struct headers *h, struct spec_verdict *v)
{
	const struct world_endpoint *e = &world_endpoints[v->endpoint];
	const struct world_hop *hop = &world_hops[e->hop];
	uint32_t header = e->family == FL_IPV4 ? 20 : 40;
	/* Tags go when the frame leaves through another interface, and make room. */
	uint32_t freed = hop->ifindex == WORLD_INGRESS ? 0 : h->tags * 4;

	if (!hop->ifindex)
		v->reason = FL_DROP_NO_ROUTE;
	else if (!h->hops)
		v->reason = FL_DROP_TTL;
	else if (hop->local)
		v->reason = FL_PASS_LOCAL;
	else if (h->ip_len + header > hop->mtu)
		v->reason = FL_DROP_TOO_BIG;
	else if (header > w->headroom + freed)
		v->reason = FL_DROP_HEADROOM;
	else if (hop->ifindex != WORLD_INGRESS && hop->ifindex != WORLD_EGRESS)
		v->reason = FL_DROP_NO_ROUTE;
	else {
		v->reason = FL_SENT;
		v->output = WRAPPED;
		v->hop = e->hop;
		v->sent = true;
		v->macs = e->hop;
		v->ifindex = hop->ifindex;
	}
	v->begins = h->proto == IPPROTO_TCP && (h->tcp_flags & 0x12) == 0x02;
	if (v->reason == FL_SENT || v->reason == FL_PASS_LOCAL)
		v->counted = COUNTED;
}

/** Wrap a packet of a flow whose service has a tunnel, once its slot was read. */
static void choose_and_wrap(const struct world *w, struct spec_state *s, const struct headers *h,
	const struct headers *flow, const uint8_t *frame, uint32_t length, struct spec_verdict *v)
{
	spec_slot_choose(w, s, flow, frame, length, v);
	if (w->state[v->endpoint] != FL_UP && w->state[v->endpoint] != FL_DRAINING)
		v->reason = FL_DROP_NO_ENDPOINT;
	else
		judge_tunnel(w, h, v);
}

/** Neither TCP nor UDP: an ICMP error, perhaps, of nat or about an answer of an endpoint behind a
 * tunnel. */
static struct spec_verdict judge_other(const struct world *w, struct spec_state *s,
	const struct headers *h, const uint8_t *frame, uint32_t length)
{
	struct headers flow = { .readable = false };
	struct spec_verdict v = spec_icmp(s, h, frame, length, &flow);

	if (!flow.readable)
		return v;
	v.frontend = frontend_of(w, &flow);
	v.service = v.frontend ? service_of(w, v.frontend) : 0;
	if (!world_services[v.service].in_use || world_services[v.service].forward != FL_IPIP)
		return because(FL_PASS_PROTOCOL);
	if (!world_services[v.service].has_table)
		return because(FL_DROP_NO_TABLE);
	v.hash = hash_of(w, &flow);
	choose_and_wrap(w, s, h, &flow, frame, length, &v);
	v.counted = NOT_COUNTED;
	if (v.reason == FL_SENT)
		v.reason = FL_SENT_ICMP;
	return v;
}

struct spec_verdict spec_judge(const struct world *w, struct spec_state *s, struct headers *h,
	const uint8_t *frame, uint32_t length)
{
	struct spec_verdict v = { 0 };

	if (!h->readable)
		return because(FL_PASS_UNREADABLE);
	if (!h->is_ip)
		return because(FL_PASS_NOT_IP);
	if (h->part != CUT && h->proto != IPPROTO_TCP && h->proto != IPPROTO_UDP)
		return judge_other(w, s, h, frame, length);

	if (h->part == WHOLE) {
		v.frontend = frontend_of(w, h);
		if (!v.frontend)
			return spec_nat_reply(w, s, h, frame, length);
		if (!headers_sound(h, frame, length))
			return because(FL_DROP_MALFORMED);
		v.service = service_of(w, v.frontend);
	} else {
		v.reason = judge_part(w, h, length, &v);
		if (v.reason != FL_SENT)
			return v;
	}
	if (!world_services[v.service].in_use)
		return because(FL_DROP_NO_TABLE);
	v.hash = hash_of(w, h);
	if (world_services[v.service].forward == FL_NAT) {
		if (h->part != WHOLE)
			return because(FL_DROP_FRAGMENT);
		return spec_nat_forward(w, s, h, v);
	}
	if (!world_services[v.service].has_table)
		return because(FL_DROP_NO_TABLE);
	choose_and_wrap(w, s, h, h, frame, length, &v);
	return v;
}
