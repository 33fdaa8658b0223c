/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/answers.h"
#include "lib/clock.h"
#include "lib/count.h"
#include "lib/flow.h"
#include "lib/nat_connect.h"
#include "lib/nat_rewrite.h"
#include "lib/nat_table.h"
#include "lib/route.h"
#include "lib/service.h"

/**
 * @file fwd_nat.h
 * Forward mode `nat`: both addresses are rewritten, and answers rewritten back.
 */

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
	struct nat_connect c = {
		.service = p->service,
		.frontend = p->frontend,
		.hash = p->hash,
		.family = p->family,
		.tcp_flags = p->tcp_flags,
		.explain = explain,
	};
	struct hop hop;
	__u32 index;
	int err;

	err = hops_check(p);
	if (err)
		return err;
	flow_key(p, &c.flow);
	err = nat_connect(&c);
	p->endpoint = c.endpoint;
	p->pinned = c.pinned;
	if (explain && !c.pinned && err != -FL_DROP_NO_FLOW)
		slot_lookup(p->region, p->hash, &p->slot, &index, &p->value);
	if (err || explain)
		return err;
	err = nat_hop(p, &c.flow, &hop);
	if (err)
		return err;

	rewrite(p, &c.flow);
	err = frame_send(p, &hop);
	if (err)
		return err;
	count_forward(p, c.opened);
	if (c.opened && p->proto == IPPROTO_TCP)
		answers_count(p->endpoint, ANSWER_OPENING);
	return 0;
}

/** The first answer to an opening. */
static __always_inline void nat_count_answer(
	__u32 endpoint, __u8 proto, __u8 tcp_flags, const struct fl_nat_entry *entry)
{
	if (proto != IPPROTO_TCP)
		answers_count(endpoint, ANSWER_UDP_ANSWERED);
	else if (!(tcp_flags & TCP_RST))
		answers_count(endpoint, ANSWER_ANSWERED);
	else if (!entry->refused) /* ICMP said so before: still one opening */
		answers_count(endpoint, ANSWER_REFUSED);
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
	if (!entry->flags)
		nat_count_answer(p->endpoint, p->proto, p->tcp_flags, entry);
	nat_touch(entry, p->proto, p->tcp_flags, clock_packet_s());
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
