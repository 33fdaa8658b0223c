/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/count.h"
#include "lib/flow.h"
#include "lib/nat_open.h"
#include "lib/nat_rewrite.h"
#include "lib/nat_table.h"
#include "lib/route.h"
#include "lib/select.h"
#include "lib/service.h"

/**
 * @file fwd_nat.h
 * Forward mode `nat`: both addresses are rewritten, and answers rewritten back.
 *
 * The table of connections is what remembers a flow, so it is asked before the
 * slot, and slots are read by new flows only. A TCP packet without a connection
 * that opens none is dropped: no endpoint would know what to do with it.
 */

/** Remember that a packet went by in the direction of `entry`. */
static __always_inline void nat_touch(const struct pkt *p, struct fl_nat_entry *entry, __u32 now_s)
{
	__u8 seen = FL_NAT_SEEN_ACK;

	if (p->proto == IPPROTO_TCP)
		seen = fl_nat_seen_tcp(entry->flags, p->tcp_flags & TCP_SYN, p->tcp_flags & TCP_ACK,
			p->tcp_flags & TCP_FIN, p->tcp_flags & TCP_RST);
	if (entry->flags != seen)
		entry->flags = seen;
	if (entry->seen != now_s)
		entry->seen = now_s;
}

/**
 * Is the connection of a SYN over, so that the SYN means another one? It is when
 * an end said goodbye, or both have been silent for too long.
 * @param reply  key of the entry for answers
 */
static __always_inline bool nat_is_over(
	const struct fl_nat_entry *entry, const struct fl_flow *reply_key, __u32 now_s)
{
	struct fl_nat_entry *reply = nat_find(reply_key);
	__u32 last;

	if (!reply)
		return true;
	last = (__s32)(entry->seen - reply->seen) > 0 ? entry->seen : reply->seen;
	return fl_nat_is_closing(entry->flags, reply->flags) ||
	       now_s - last > fl_nat_timeout_s(IPPROTO_TCP, entry->flags, reply->flags);
}

/** Begin a new connection in the entries of one that is over. */
static __always_inline void nat_restart(struct fl_nat_entry *entry, const struct fl_flow *reply_key)
{
	struct fl_nat_entry *reply = nat_find(reply_key);

	entry->flags = 0;
	if (reply)
		reply->flags = 0;
}

/** What is to be done about a packet whose connection is in the table. */
enum nat_known { NAT_OLD, NAT_RESTARTED, NAT_ANEW };

/**
 * Judge the connection of a packet.
 * @param reply_key  set: the key of its entry for answers
 * @return enum nat_known, or a negative reason
 */
static __always_inline int nat_judge(const struct pkt *p, const struct fl_nat_entry *entry,
	struct fl_flow *reply_key, __u32 now_s)
{
	struct fl_endpoint_row *endpoint = bpf_map_lookup_elem(&fl_endpoints, &entry->endpoint);
	__u8 state = endpoint ? endpoint->state : FL_DOWN;
	bool opens = flow_opens(p);

	fl_flow_reverse(&entry->to, reply_key);
	if (state != FL_UP && state != FL_DRAINING) {
		if (p->proto == IPPROTO_TCP && !opens)
			return -FL_DROP_NO_ENDPOINT;
		return NAT_ANEW;
	}
	if (!opens || !nat_is_over(entry, reply_key, now_s))
		return NAT_OLD;
	return state == FL_UP ? NAT_RESTARTED : NAT_ANEW;
}

/** Fill in where an answer would come from, and the source that has no list. */
static __always_inline int nat_open_prepare(
	struct nat_open *o, const struct pkt *p, const struct fl_endpoint_row *endpoint)
{
	struct fl_nexthop_row *hop;
	__u32 index = READ_ONCE(endpoint->nexthop);

	o->reply.saddr = endpoint->addr;
	o->reply.sport = endpoint->port ? endpoint->port : p->dport;
	if (fl_conf.nat_sources[p->family])
		return 0;
	hop = bpf_map_lookup_elem(&fl_nexthops, &index);
	if (!index || !hop)
		return -FL_DROP_NO_ROUTE;
	o->source = hop->src;
	return 0;
}

/** A packet of no known connection: choose its endpoint and open one. */
static __always_inline int nat_choose(struct pkt *p, struct nat_open *o, __u32 now_s, bool explain)
{
	struct fl_endpoint_row *endpoint;
	__u32 id;
	__u8 seen = p->proto == IPPROTO_TCP ? FL_NAT_SEEN_SYN : FL_NAT_SEEN_ACK;
	int err;

	err = slot_lookup(p);
	if (err)
		return err;
	p->endpoint = id = fl_slot_now(p->value);
	endpoint = bpf_map_lookup_elem(&fl_endpoints, &id);
	if (!endpoint || !id || endpoint->state != FL_UP || endpoint->family != p->family)
		return -FL_DROP_NO_ENDPOINT;
	err = nat_open_prepare(o, p, endpoint);
	if (err || explain)
		return err;

	o->family = p->family;
	o->hash = p->hash;
	o->entry.endpoint = p->endpoint;
	o->entry.frontend = p->frontend;
	o->entry.service = p->service;
	o->entry.seen = now_s;
	err = nat_open(o, seen, endpoint->port != 0);
	p->endpoint = o->entry.endpoint;
	return err;
}

/**
 * Find or open the connection of a packet from a client.
 * @param o        o->entry.to is set to what the packet must leave with, except when
 *                 only explaining a flow that is not in the table
 * @param ret_new  set when the packet begins a connection
 */
static __always_inline int nat_connection(
	struct pkt *p, struct nat_open *o, bool explain, bool *ret_new)
{
	__u32 now_s = clock_boot_s();
	struct fl_nat_entry *entry;
	int verdict;

	flow_key(p, &o->forward);
	entry = nat_find(&o->forward);
	if (entry) {
		p->endpoint = entry->endpoint;
		verdict = nat_judge(p, entry, &o->reply, now_s);
		if (verdict < 0)
			return verdict;
		if (verdict != NAT_ANEW) {
			p->pinned = true;
			o->entry.to = entry->to;
			if (explain)
				return 0;
			if (verdict == NAT_RESTARTED)
				nat_restart(entry, &o->reply);
			*ret_new = verdict == NAT_RESTARTED;
			nat_touch(p, entry, now_s);
			return 0;
		}
		if (!explain)
			nat_forget(&o->forward, &o->reply, entry->endpoint);
	} else if (p->proto == IPPROTO_TCP && !flow_opens(p)) {
		return -FL_DROP_NO_FLOW;
	}
	*ret_new = true;
	return nat_choose(p, o, now_s, explain);
}

/** The next hop towards p->endpoint, for a packet that leaves with the tuple `to`. */
static __always_inline int nat_hop(const struct pkt *p, const struct fl_flow *to, struct hop *ret)
{
	__u32 id = p->endpoint, index;
	struct fl_endpoint_row *endpoint = bpf_map_lookup_elem(&fl_endpoints, &id);
	struct fl_nexthop_row *row;
	int err;

	if (!endpoint)
		return -FL_DROP_INTERNAL;
	index = READ_ONCE(endpoint->nexthop);
	if (!index) {
		err = hop_ask(p->ctx, to, p->family, p->ip_len, ret);
		/* Left to the stack, it would be a packet from the node's own address. */
		return err == -FL_PASS_NEIGHBOUR ? -FL_DROP_NO_ROUTE : err;
	}
	row = bpf_map_lookup_elem(&fl_nexthops, &index);
	if (!row)
		return -FL_DROP_INTERNAL;
	if (row->flags & FL_NEXTHOP_LOCAL)
		return -FL_DROP_NO_ROUTE;
	if (p->ip_len > row->mtu)
		return -FL_DROP_TOO_BIG;
	hop_from_row(ret, row);
	return 0;
}

/** A packet from a client to a frontend of a service in mode `nat`. */
static __always_inline int nat_forward(struct pkt *p, bool explain)
{
	struct nat_open o;
	bool new_flow = false;
	struct hop hop;
	int err;

	err = hops_check(p);
	if (err)
		return err;
	err = nat_connection(p, &o, explain, &new_flow);
	if (err || explain)
		return err;
	err = nat_hop(p, &o.entry.to, &hop);
	if (err)
		return err;

	rewrite(p, &o.entry.to);
	err = frame_send(p, &hop);
	if (!err)
		count_forward(p, new_flow);
	return err;
}

/** A packet that is for no frontend: perhaps the answer of an endpoint. */
static __always_inline int nat_reply(struct pkt *p, bool explain)
{
	__u16 port = bpf_ntohs(p->dport);
	struct fl_nat_entry *entry;
	struct fl_flow key;
	struct hop hop;
	int err;

	if (port < fl_conf.nat_port_min || port > fl_conf.nat_port_max)
		return -FL_PASS_NO_SERVICE;
	flow_key(p, &key);
	entry = nat_find(&key);
	if (!entry || entry->dir != FL_NAT_REPLY)
		return -FL_PASS_NO_SERVICE;
	err = check_lengths(p);
	if (err)
		return err;
	err = hops_check(p);
	if (err)
		return err;

	p->service = entry->service;
	p->frontend = entry->frontend;
	p->endpoint = entry->endpoint;
	p->pinned = true;
	key = entry->to;
	if (explain)
		return -FL_SENT_REPLY;
	nat_touch(p, entry, clock_boot_s());
	err = hop_ask(p->ctx, &key, p->family, p->ip_len, &hop);
	if (err && err != -FL_PASS_NEIGHBOUR)
		return err;
	rewrite(p, &key);
	if (!err)
		err = frame_send(p, &hop);
	if (err && err != -FL_PASS_NEIGHBOUR)
		return err;
	count_reply(p);
	return err ? err : -FL_SENT_REPLY;
}
