/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/clock.h"
#include "lib/flow.h"
#include "lib/nat_open.h"
#include "lib/nat_table.h"
#include "lib/slots.h"

/**
 * @file nat_connect.h
 * The connection that a packet from a client belongs to: found, or opened.
 *
 * The table of connections is what remembers a flow, so it is asked before the
 * slot, and slots are read by new flows only. A TCP packet without a connection
 * that opens none is dropped: no endpoint would know what to do with it.
 */

/** Question and answer; it never holds a packet, so that one copy serves both families. */
struct nat_connect {
	struct fl_flow flow; /**< as the client sends; set: as the packet must leave */
	__u32 service;
	__u32 frontend;
	__u32 hash;
	__u32 family;
	__u32 endpoint; /**< set */
	__u8 tcp_flags;
	__u8 explain; /**< decide, but write nothing; then flow is not set for a new one */
	__u8 pinned;  /**< set: the connection was in the table */
	__u8 opened;  /**< set: the packet begins a connection */
};

/** Remember that a packet went by in the direction of `entry`. */
static __always_inline void nat_touch(
	struct fl_nat_entry *entry, __u8 proto, __u8 tcp_flags, __u32 now_s)
{
	__u8 seen = FL_NAT_SEEN_ACK;

	if (proto == IPPROTO_TCP)
		seen = fl_nat_seen_tcp(entry->flags, tcp_flags & TCP_SYN, tcp_flags & TCP_ACK,
			tcp_flags & TCP_FIN, tcp_flags & TCP_RST);
	if (entry->flags != seen)
		entry->flags = seen;
	if (entry->seen != now_s)
		entry->seen = now_s;
}

/**
 * Is the connection of a SYN over, so that the SYN means another one? It is when
 * an end said goodbye, or both have been silent for too long.
 */
static __always_inline bool nat_is_over(
	const struct fl_nat_entry *entry, const struct fl_nat_entry *reply, __u32 now_s)
{
	__u32 last = (__s32)(entry->seen - reply->seen) > 0 ? entry->seen : reply->seen;

	return fl_nat_is_closing(entry->flags, reply->flags) ||
	       (__s32)(now_s - last) >
		       (__s32)fl_nat_timeout_s(IPPROTO_TCP, entry->flags, reply->flags);
}

enum nat_verdict {
	NAT_OLD,       /**< goes on */
	NAT_RESTARTED, /**< begins again, in the entries it has */
	NAT_ANEW,      /**< is to be forgotten; the packet begins another */
};

/**
 * Judge the connection that a packet was found to belong to.
 * @param reply  its entry for answers, if the packet opens; NULL = that is gone
 * @return enum nat_verdict, or a negative reason
 */
static __always_inline int nat_judge(const struct nat_connect *c, const struct fl_nat_entry *entry,
	const struct fl_nat_entry *reply, __u32 now_s)
{
	bool opens = tcp_opens(c->tcp_flags);
	struct fl_endpoint_row *row = endpoint_row(entry->endpoint);
	__u8 state = row ? row->state : FL_DOWN;

	if (!fl_state_takes_old(state)) {
		if (c->flow.proto == IPPROTO_TCP && !opens)
			return -FL_DROP_NO_ENDPOINT;
		return NAT_ANEW;
	}
	if (!opens || (reply && !nat_is_over(entry, reply, now_s)))
		return NAT_OLD;
	return reply && state == FL_UP ? NAT_RESTARTED : NAT_ANEW;
}

/** Fill in where an answer would come from, and the source that has no list. */
static __always_inline int nat_open_prepare(
	const struct nat_connect *c, struct nat_open *o, const struct fl_endpoint_row *endpoint)
{
	struct fl_nexthop_row *hop;
	__u32 index = READ_ONCE(endpoint->nexthop);

	o->reply.saddr = endpoint->addr;
	o->reply.sport = endpoint->port ? endpoint->port : c->flow.dport;
	if (fl_conf.nat_sources[c->family == FL_IPV4 ? FL_IPV4 : FL_IPV6])
		return 0;
	hop = bpf_map_lookup_elem(&fl_nexthops, &index);
	if (!index || !hop)
		return -FL_DROP_NO_ROUTE;
	o->reply.daddr = hop->src;
	return 0;
}

/** Choose an endpoint for a new connection, and open that. */
static __always_inline int nat_choose(struct nat_connect *c, struct nat_open *o, __u32 now_s)
{
	__u8 seen = c->flow.proto == IPPROTO_TCP ? FL_NAT_SEEN_SYN : FL_NAT_SEEN_ACK;
	struct fl_endpoint_row *endpoint;
	struct fl_service_row *service;
	__u32 slot, index;
	fl_slot value;
	int err;

	service = service_row(c->service);
	if (!service)
		return -FL_DROP_INTERNAL;
	err = slot_lookup(READ_ONCE(service->region[c->family == FL_IPV4 ? FL_IPV4 : FL_IPV6]),
		c->hash, &slot, &index, &value);
	if (err)
		return err;
	c->endpoint = fl_slot_now(value);
	endpoint = endpoint_row(c->endpoint);
	if (!endpoint || !c->endpoint || endpoint->state != FL_UP || endpoint->family != c->family)
		return -FL_DROP_NO_ENDPOINT;
	err = nat_open_prepare(c, o, endpoint);
	if (err || c->explain)
		return err;

	o->family = c->family;
	o->hash = c->hash;
	o->entry.endpoint = c->endpoint;
	o->entry.frontend = c->frontend;
	o->entry.service = c->service;
	o->entry.seen = now_s;
	err = nat_open(o, &c->flow, seen, endpoint->port != 0);
	if (err)
		return err;
	c->endpoint = o->entry.endpoint;
	c->flow = o->entry.to;
	c->opened = true;
	return 0;
}

/**
 * Find or open the connection of a packet. A global function, so that the verifier
 * walks through it once, and not once for every way that leads here. Linux 6.1 does
 * not look up by a key in memory that such a function was handed: keys are copied.
 * @return 0 or a negative reason
 */
__noinline int nat_connect(struct nat_connect *c)
{
	struct fl_nat_entry *entry, *reply;
	struct nat_open o = { 0 };
	__u32 now_s = clock_packet_s();
	__u8 proto;
	int verdict;

	if (!c)
		return -FL_DROP_INTERNAL;
	o.reply = c->flow;
	entry = nat_find(&o.reply);
	if (!entry) {
		if (c->flow.proto == IPPROTO_TCP && !tcp_opens(c->tcp_flags))
			return -FL_DROP_NO_FLOW;
		return nat_choose(c, &o, now_s);
	}

	c->endpoint = entry->endpoint;
	fl_flow_reverse(&entry->to, &o.reply);
	/* Only who may begin anew asks what the other direction knows. */
	reply = tcp_opens(c->tcp_flags) ? nat_find(&o.reply) : NULL;
	verdict = nat_judge(c, entry, reply, now_s);
	if (verdict < 0)
		return verdict;
	if (verdict == NAT_ANEW) {
		o.entry.to = c->flow;
		if (!c->explain)
			nat_forget(&o.entry.to, &o.reply, entry->endpoint);
		return nat_choose(c, &o, now_s);
	}

	c->pinned = true;
	proto = c->flow.proto;
	c->flow = entry->to;
	if (c->explain)
		return 0;
	if (verdict == NAT_RESTARTED) {
		entry->flags = 0;
		if (reply)
			reply->flags = reply->refused = 0;
		c->opened = true;
	}
	nat_touch(entry, proto, c->tcp_flags, now_s);
	return 0;
}
