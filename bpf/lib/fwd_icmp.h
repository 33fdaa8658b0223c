/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/fwd_ipip.h"
#include "lib/nat_icmp.h"
#include "lib/select.h"
#include "lib/service.h"

/**
 * @file fwd_icmp.h
 * ICMP errors about flows that go through here: those of nat are translated (nat_icmp.h). In
 * tunnel modes errors about answers arrive, since answers come from the frontend: each goes to
 * the endpoint that sent the answer, as it is, by the tunnel of the flow's own packets. Without it
 * path MTU discovery of endpoints behind tunnels would not work.
 *
 * The flow is looked for as a fragment's is: it leaves no trace (FL_PACKET_QUOTE), and
 * the error counts for no frontend or endpoint.
 */

/** The hash of the flow whose answer is quoted. */
static __always_inline void icmp_flow_hash(struct pkt *p, const struct nat_icmp *i)
{
	const struct fl_flow *flow = &i->answer;

	if (p->family == FL_IPV4)
		p->hash = fl_hash_ipv4(fl_conf.hash_seed, flow->saddr.word[3], flow->daddr.word[3],
			flow->sport, flow->dport, flow->proto);
	else
		p->hash = fl_hash_ipv6(fl_conf.hash_seed, flow->saddr.word, flow->daddr.word,
			flow->sport, flow->dport, flow->proto);
}

/** An error that is for a frontend, about an answer. */
static __always_inline int icmp_tunnel(struct pkt *p, const struct nat_icmp *i, bool explain)
{
	int err;

	p->proto = i->answer.proto;
	p->sport = i->answer.sport;
	p->dport = i->answer.dport;
	if (frontend_search(p) || service_lookup(p) || p->forward != FL_IPIP)
		return -FL_PASS_PROTOCOL;
	icmp_flow_hash(p, i);
	p->quoting = true;
	p->quote_ip = i->quote.icmp + sizeof(struct icmp_header);
	p->quote_l4 = i->quote.l4;
	err = endpoint_select(p, explain);
	if (err)
		return err;
	err = ipip_forward(p, explain);
	return err ? err : -FL_SENT_ICMP;
}

/** A packet that is neither TCP nor UDP: perhaps an error about one that was. */
static __always_inline int icmp_forward(struct pkt *p, bool explain)
{
	struct nat_icmp *i;
	int err;

	if (!icmp_is_plain(p))
		return -FL_PASS_PROTOCOL;
	i = icmp_scratch();
	if (!i)
		return -FL_DROP_INTERNAL;
	icmp_ask(p, i, explain);
	err = nat_icmp_find(p->ctx);
	if (err == -FL_PASS_PROTOCOL)
		return i->is_for_sender ? icmp_tunnel(p, i, explain) : err;
	p->service = i->service;
	p->frontend = i->frontend;
	p->endpoint = i->endpoint;
	p->pinned = i->endpoint != 0;
	if (err)
		return err;
	if (explain)
		return -FL_SENT_ICMP;
	err = nat_icmp_send(p->ctx);
	p->action = i->action;
	return err;
}
