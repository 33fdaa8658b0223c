// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "spec_nat.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/nat.h"

static bool flow_equal(const struct fl_flow *a, const struct fl_flow *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/** The flow of the other direction. */
static struct fl_flow turned(const struct fl_flow *flow)
{
	return (struct fl_flow){ .saddr = flow->daddr,
		.daddr = flow->saddr,
		.sport = flow->dport,
		.dport = flow->sport,
		.proto = flow->proto };
}

static struct spec_connection *connection_of_client(
	struct spec_state *s, const struct fl_flow *flow)
{
	uint32_t i;

	for (i = 0; i < s->connection_count; i++)
		if (s->connections[i].used && flow_equal(&s->connections[i].client, flow))
			return &s->connections[i];
	return NULL;
}

static struct spec_connection *connection_of_answer(
	struct spec_state *s, const struct fl_flow *answer)
{
	struct fl_flow forward = turned(answer);
	uint32_t i;

	for (i = 0; i < s->connection_count; i++)
		if (s->connections[i].used && flow_equal(&s->connections[i].forward, &forward))
			return &s->connections[i];
	return NULL;
}

static void see(const struct world *w, struct spec_connection *c, int direction, uint8_t tcp_flags)
{
	c->seen[direction] = w->now_s;
	if (c->client.proto == IPPROTO_TCP)
		c->flags[direction] = fl_nat_seen_tcp(c->flags[direction], tcp_flags & 2,
			tcp_flags & 16, tcp_flags & 1, tcp_flags & 4);
	else
		c->flags[direction] = FL_NAT_SEEN_ACK;
}

static uint32_t silent_s(const struct world *w, const struct spec_connection *c)
{
	return w->now_s - (c->seen[0] > c->seen[1] ? c->seen[0] : c->seen[1]);
}

static uint32_t timeout_s(const struct spec_connection *c)
{
	return fl_nat_timeout_s(c->client.proto, c->flags[0], c->flags[1]);
}

static uint32_t pairs_of(const struct world *w, enum fl_family family)
{
	uint32_t sources = w->conf.nat_sources[family];

	return (w->conf.nat_port_max - w->conf.nat_port_min + 1u) * (sources ? sources : 1);
}

/** How many pairs of source address and port are taken towards an endpoint's port. */
static uint32_t taken(
	const struct spec_state *s, const struct world_endpoint *e, const struct headers *h)
{
	struct fl_ip ip = world_ip(e->family, WORLD_NET_ENDPOINT, e->number);
	uint16_t port = htons(e->port ? e->port : h->dport);
	uint32_t i, count = 0;

	for (i = 0; i < s->connection_count; i++) {
		const struct spec_connection *c = &s->connections[i];

		count += c->used && c->client.proto == h->proto && c->forward.dport == port &&
			 !memcmp(&c->forward.daddr, &ip, sizeof(ip));
	}
	return count;
}

/** A packet of `ip_len` bytes leaves by the route of the kernel. */
static void route(const struct headers *h, const struct fl_flow *to, struct spec_verdict *v)
{
	struct world_route r =
		h->family == FL_IPV4
			? world_route((const uint8_t *)&to->daddr.word[3], 4, h->ip_len)
			: world_route((const uint8_t *)&to->daddr, 16, h->ip_len);

	v->macs = r.number;
	v->ifindex = r.ifindex;
	if (r.answer == BPF_FIB_LKUP_RET_NO_NEIGH)
		v->reason = FL_PASS_NEIGHBOUR;
	else if (r.answer == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		v->reason = FL_DROP_TOO_BIG;
	else if (r.answer != BPF_FIB_LKUP_RET_SUCCESS ||
		 (r.ifindex != WORLD_INGRESS && r.ifindex != WORLD_EGRESS))
		v->reason = FL_DROP_NO_ROUTE;
	else
		v->sent = true;
}

/** A packet leaves for the endpoint of a connection. */
static void leave(const struct headers *h, const struct spec_connection *c, struct spec_verdict *v)
{
	const struct world_endpoint *e = &world_endpoints[c->endpoint];
	const struct world_hop *hop = &world_hops[e->hop];

	v->endpoint = c->endpoint;
	v->to = c->forward;
	v->reason = FL_SENT;
	if (!e->hop) {
		route(h, &c->forward, v);
		if (v->reason == FL_PASS_NEIGHBOUR)
			v->reason = FL_DROP_NO_ROUTE;
	} else if (hop->local) {
		v->reason = FL_DROP_NO_ROUTE;
	} else if (h->ip_len > hop->mtu) {
		v->reason = FL_DROP_TOO_BIG;
	} else if (hop->ifindex != WORLD_INGRESS && hop->ifindex != WORLD_EGRESS) {
		v->reason = FL_DROP_NO_ROUTE;
	} else {
		v->macs = e->hop;
		v->ifindex = hop->ifindex;
		v->sent = true;
	}
}

/** A packet of a connection goes to its endpoint. */
static void deliver(struct spec_state *s, const struct headers *h, const struct spec_connection *c,
	struct spec_verdict *v)
{
	leave(h, c, v);
	if (!v->sent)
		return;
	v->output = REWRITTEN;
	v->counted = COUNTED;
	s->answers[c->endpoint].openings += v->begins && h->proto == IPPROTO_TCP;
}

/** Begin a connection at the endpoint of the slot; its source is not known yet. */
static struct spec_verdict begin(
	const struct world *w, struct spec_state *s, const struct headers *h, struct spec_verdict v)
{
	struct world_slot slot = world_slot(
		w, v.service, h->family, (uint32_t)((uint64_t)v.hash * WORLD_SLOTS >> 32));
	const struct world_endpoint *e = &world_endpoints[slot.now];
	struct spec_connection *c;

	v.endpoint = slot.now;
	if (w->state[slot.now] != FL_UP || e->family != h->family)
		v.reason = FL_DROP_NO_ENDPOINT;
	else if (!w->conf.nat_sources[h->family] && !e->hop)
		v.reason = FL_DROP_NO_ROUTE;
	else if (taken(s, e, h) >= pairs_of(w, h->family))
		v.reason = FL_DROP_NO_PORT;
	else {
		c = &s->connections[s->connection_count++];
		*c = (struct spec_connection){
			.client = spec_flow(h), .endpoint = slot.now, .frontend = v.frontend
		};
		c->seen[0] = c->seen[1] = w->now_s;
		c->flags[0] = h->proto == IPPROTO_TCP ? FL_NAT_SEEN_SYN : FL_NAT_SEEN_ACK;
		v.opens = v.begins = true;
	}
	return v;
}

struct spec_verdict spec_nat_forward(
	const struct world *w, struct spec_state *s, const struct headers *h, struct spec_verdict v)
{
	bool tcp = h->proto == IPPROTO_TCP, opens = tcp && (h->tcp_flags & 0x12) == 0x02;
	struct fl_flow flow = spec_flow(h);
	struct spec_connection *c;
	uint8_t state;

	if (h->hops < 2) {
		v.reason = FL_DROP_TTL;
		return v;
	}
	c = connection_of_client(s, &flow);
	if (!c && tcp && !opens) {
		v.reason = FL_DROP_NO_FLOW;
		return v;
	}
	if (!c)
		return begin(w, s, h, v);

	state = w->state[c->endpoint];
	if (state != FL_UP && state != FL_DRAINING) {
		v.endpoint = c->endpoint;
		v.reason = FL_DROP_NO_ENDPOINT;
		if (tcp && !opens)
			return v;
		c->used = false;
		v.reason = FL_SENT;
		return begin(w, s, h, v);
	}
	if (opens &&
		(fl_nat_is_closing(c->flags[0], c->flags[1]) || silent_s(w, c) > timeout_s(c))) {
		if (state != FL_UP) {
			c->used = false;
			return begin(w, s, h, v);
		}
		c->flags[0] = c->flags[1] = 0;
		c->refused = false;
		v.begins = true;
	}
	see(w, c, 0, h->tcp_flags);
	deliver(s, h, c, &v);
	return v;
}

const char *spec_source(const struct world *w, struct spec_state *s, const struct headers *h,
	const struct fl_flow *forward, struct spec_verdict *v)
{
	struct spec_connection *c = &s->connections[s->connection_count - 1], *other;
	const struct world_endpoint *e = &world_endpoints[c->endpoint];
	struct fl_ip ip = world_ip(e->family, WORLD_NET_ENDPOINT, e->number), source;
	struct fl_flow answer = turned(forward);
	uint32_t i, sources = w->conf.nat_sources[h->family];
	bool found = false;

	if (memcmp(&forward->daddr, &ip, sizeof(ip)) || forward->proto != h->proto ||
		forward->dport != htons(e->port ? e->port : h->dport))
		return "another endpoint than its slot says";
	if (ntohs(forward->sport) < w->conf.nat_port_min ||
		ntohs(forward->sport) > w->conf.nat_port_max)
		return "a source port out of range";
	source = world_ip(h->family, WORLD_NET_NODE, e->hop);
	for (i = 0; i < (sources ? sources : 1); i++)
		found |= !memcmp(&forward->saddr,
			sources ? &w->conf.nat_source[h->family][i] : &source, sizeof(source));
	if (!found)
		return "a source address that is none of ours";
	other = connection_of_answer(s, &answer);
	if (other)
		return "a source that another connection has";
	c->forward = *forward;
	c->used = true;
	deliver(s, h, c, v);
	return NULL;
}

/** The first answer to an opening. */
static void count_answer(
	struct fl_answers *answers, const struct headers *h, const struct spec_connection *c)
{
	if (h->proto == IPPROTO_UDP)
		answers->udp_refused = 0;
	else if (!(h->tcp_flags & 4))
		answers->answered++;
	else
		answers->refused += !c->refused;
}

struct spec_verdict spec_nat_reply(const struct world *w, struct spec_state *s, struct headers *h,
	const uint8_t *frame, uint32_t length)
{
	struct spec_verdict v = { .reason = FL_PASS_NO_SERVICE };
	struct fl_flow flow = spec_flow(h);
	struct spec_connection *c = connection_of_answer(s, &flow);

	if (!c)
		return v;
	if (!headers_sound(h, frame, length)) {
		v.reason = FL_DROP_MALFORMED;
		return v;
	}
	if (h->hops < 2) {
		v.reason = FL_DROP_TTL;
		return v;
	}
	if (!c->flags[1])
		count_answer(&s->answers[c->endpoint], h, c);
	see(w, c, 1, h->tcp_flags);
	v.endpoint = c->endpoint;
	v.frontend = c->frontend;
	v.to = turned(&c->client);
	v.reason = FL_SENT_REPLY;
	route(h, &v.to, &v);
	if (v.sent || v.reason == FL_PASS_NEIGHBOUR) {
		v.output = REWRITTEN;
		v.counted = COUNTED_REPLY;
	}
	return v;
}

struct spec_found spec_nat_quoted(struct spec_state *s, const struct headers *quote)
{
	struct fl_flow sent = spec_flow(quote), answer = turned(&sent);
	struct spec_found found = { connection_of_answer(s, &answer), true };

	if (!found.connection)
		found = (struct spec_found){ connection_of_client(s, &answer), false };
	return found;
}

void spec_nat_refuse(struct spec_state *s, struct spec_connection *c)
{
	struct fl_answers *answers = &s->answers[c->endpoint];

	if (c->refused || c->flags[1])
		return;
	c->refused = true;
	if (c->client.proto == IPPROTO_TCP)
		answers->refused++;
	else
		answers->udp_refused++;
}

void spec_nat_return(
	const struct headers *h, const struct spec_found *found, struct spec_verdict *v)
{
	v->reason = FL_SENT;
	if (!found->by_client) {
		leave(h, found->connection, v);
		return;
	}
	v->to = turned(&found->connection->client);
	route(h, &v->to, v);
}

uint32_t spec_sweep(const struct world *w, struct spec_state *s)
{
	uint32_t i, freed = 0;

	for (i = 0; i < s->connection_count; i++) {
		struct spec_connection *c = &s->connections[i];

		if (!c->used || silent_s(w, c) <= timeout_s(c))
			continue;
		c->used = false;
		freed++;
	}
	return freed;
}
