/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/icmp.h"
#include "lib/answers.h"
#include "lib/fwd_nat.h"
#include "lib/nat_quote.h"

/**
 * @file nat_icmp.h
 * ICMP errors about packets that nat sent, from whichever side, for whom they concern.
 *
 * An error quotes the packet that it is about, and goes to where that came from. Turned
 * round, the quoted tuple is that of an answer, so the flow is found as an answer's is: an
 * error from the endpoint's side quotes nat's source and is the client's affair, one from the
 * client's side quotes the frontend and is the endpoint's.
 *
 * Both sides of nat are hidden from each other, so the error leaves with the addresses that
 * an answer would leave with, whoever sent it (RFC 5508, REQ-5 c: "in all other cases" the
 * translator's own public address, which is the frontend's here, as addresses of routers
 * behind it mean nothing to clients and are often filtered); the quote is put back into
 * what its reader sent (REQ-4 a, REQ-5 a).
 *
 * Anybody can forge an error. So none changes, refreshes or ends a flow (RFC 4787, REQ-12;
 * RFC 5382, REQ-10); at most it is counted once for each opening that nobody has answered.
 */

/** Question and answer. Offsets are from the start of the frame. */
struct nat_icmp {
	struct fl_flow answer; /**< the quoted tuple turned round */
	struct fl_flow to;     /**< the tuple that an answer leaves with */
	struct quote quote;
	struct hop hop;
	__u32 ip;      /**< of the IP header */
	__u32 ip_len;  /**< the length it states, which is within the frame */
	__u32 service; /**< set, as are the next ones; 0 = the error is about no flow of nat */
	__u32 frontend;
	__u32 endpoint;
	int action;         /**< XDP action when it is sent */
	__u8 family;        /**< enum fl_family */
	__u8 tags;          /**< VLAN tags before it */
	__u8 explain;       /**< decide, but change nothing */
	__u8 is_reply;      /**< set: it comes from the endpoint's side */
	__u8 is_for_sender; /**< set: it quotes a packet, and is for whoever sent that */
	__u8 pad[3];
};

/* Each CPU has one, since the stack has no room for it. A CPU runs one program at a time. */
MAP_PERCPU(nat_icmps, struct nat_icmp, 1);

static __always_inline struct nat_icmp *icmp_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&nat_icmps, &zero);
}

/** The IP header, if `length` bytes are there; a constant, for the verifier. */
static __always_inline void *icmp_ip(struct xdp_md *ctx, const struct nat_icmp *i, __u32 length)
{
	void *ip = quote_at(ctx, i->ip);

	return ip + length <= (void *)(long)ctx->data_end ? ip : NULL;
}

/**
 * Is the error for whoever sent the quoted packet, and has it a hop left, as any packet
 * needs that nat sends on?
 * @return 0 or a negative reason
 */
static __always_inline int icmp_check_outer(struct xdp_md *ctx, const struct nat_icmp *i)
{
	const __be32 *sender = i->answer.daddr.word, *to;
	const struct ipv6hdr *ip6;
	const struct iphdr *ip;

	if (i->family == FL_IPV4) {
		ip = icmp_ip(ctx, i, sizeof(*ip));
		if (!ip || ip->daddr != sender[3])
			return -FL_PASS_PROTOCOL;
		return ip->ttl > 1 ? 0 : -FL_DROP_TTL;
	}
	ip6 = icmp_ip(ctx, i, sizeof(*ip6));
	if (!ip6)
		return -FL_PASS_PROTOCOL;
	to = ip6->daddr.in6_u.u6_addr32;
	if ((to[0] ^ sender[0]) | (to[1] ^ sender[1]) | (to[2] ^ sender[2]) | (to[3] ^ sender[3]))
		return -FL_PASS_PROTOCOL;
	return ip6->hop_limit > 1 ? 0 : -FL_DROP_TTL;
}

/**
 * An opening that nobody has answered is refused by this, as by RST. Counted once for each:
 * clients repeat their openings. Two CPUs that see two errors at the same moment may
 * both count.
 */
static __always_inline void icmp_signal(
	const struct nat_icmp *i, struct fl_nat_entry *entry, __u8 type, __u8 code)
{
	if (!i->is_reply || entry->flags || entry->refused ||
		!fl_icmp_is_unreachable(i->family, type, code))
		return;
	entry->refused = 1;
	answers_count(
		i->endpoint, i->answer.proto == IPPROTO_TCP ? ANSWER_REFUSED : ANSWER_UDP_REFUSED);
}

/**
 * Find the flow of nat that the quoted packet belongs to. A global function, as nat_icmp_send
 * is, so that the verifier walks through each once. Question and answer are this CPU's struct
 * nat_icmp; the packet stays as it is.
 * @return 0 or a negative reason; FL_PASS_PROTOCOL: it is about none
 */
__noinline int nat_icmp_find(struct xdp_md *ctx)
{
	struct nat_icmp *i = icmp_scratch();
	const struct icmp_header *icmp;
	struct fl_nat_entry *entry;
	__u8 type, code;
	int err;

	if (!i)
		return -FL_DROP_INTERNAL;
	icmp = quote_at(ctx, i->quote.icmp);
	if ((void *)(icmp + 1) > (void *)(long)ctx->data_end)
		return -FL_PASS_PROTOCOL;
	type = icmp->type;
	code = icmp->code;
	if (!fl_icmp_is_error(i->family, type) ||
		!quote_read(ctx, &i->quote, i->family, &i->answer))
		return -FL_PASS_PROTOCOL;
	err = icmp_check_outer(ctx, i);
	if (err == -FL_PASS_PROTOCOL)
		return err;
	i->is_for_sender = true;
	entry = nat_find(&i->answer);
	if (!entry)
		return -FL_PASS_PROTOCOL;
	i->to = entry->to;
	i->is_reply = entry->dir == FL_NAT_REPLY;
	i->service = entry->service;
	i->frontend = entry->frontend;
	i->endpoint = entry->endpoint;
	if (!err && !i->explain)
		icmp_signal(i, entry, type, code);
	return err;
}

/** Translate the packet. */
static __noinline int icmp_rewrite(struct xdp_md *ctx, const struct nat_icmp *i)
{
	struct icmp_header *icmp = quote_at(ctx, i->quote.icmp);
	__u64 delta = 0;
	void *ip;

	if ((void *)(icmp + 1) > (void *)(long)ctx->data_end ||
		!quote_rewrite(ctx, &i->quote, i->family, &i->to, &delta))
		return -FL_DROP_INTERNAL;
	if (i->family == FL_IPV4) {
		ip = icmp_ip(ctx, i, sizeof(struct iphdr));
		if (!ip)
			return -FL_DROP_INTERNAL;
		rewrite_ipv4(ip, &i->to);
	} else {
		ip = icmp_ip(ctx, i, sizeof(struct ipv6hdr));
		if (!ip)
			return -FL_DROP_INTERNAL;
		delta += rewrite_ipv6(ip, &i->to); /* in the sum by the pseudo header */
	}
	icmp->check = fl_csum_update(icmp->check, delta);
	return 0;
}

/** The way of an answer. @return as hop_ask and nat_hop */
static __always_inline int icmp_hop(const struct pkt *p, struct nat_icmp *i)
{
	if (i->is_reply)
		return hop_ask(p->ctx, &i->to, p->family, p->ip_len, &i->hop);
	return nat_hop(p, &i->to, &i->hop);
}

/**
 * Translate an error whose flow was found, and send it on. It may move the start of the frame:
 * nothing that pointed into that is of use afterwards.
 * @return a negative reason
 */
__noinline int nat_icmp_send(struct xdp_md *ctx)
{
	struct pkt p = { .ctx = ctx, .action = XDP_TX };
	struct nat_icmp *i = icmp_scratch();
	int err, sent;

	if (!i)
		return -FL_DROP_INTERNAL;
	p.family = i->family;
	p.tags = i->tags;
	p.ip_len = i->ip_len;
	p.endpoint = i->endpoint;
	err = icmp_hop(&p, i);
	if (err && err != -FL_PASS_NEIGHBOUR)
		return err;
	sent = icmp_rewrite(ctx, i);
	if (!sent && !err)
		sent = frame_send(&p, &i->hop);
	if (sent)
		return sent;
	i->action = p.action;
	return err ? err : -FL_SENT_ICMP;
}

/** Whether it is ICMP of its family, whole, and directly behind the IP header. */
static __always_inline bool icmp_is_plain(const struct pkt *p)
{
	const struct iphdr *ip = p->ip;

	if (p->ip + p->ip_len > p->end)
		return false;
	if (p->family == FL_IPV4)
		return ip->protocol == IPPROTO_ICMP && !(ip->frag_off & (IPV4_OFFSET | IPV4_MF));
	return ((const struct ipv6hdr *)p->ip)->nexthdr == IPPROTO_ICMPV6;
}

/** Put the question. */
static __always_inline void icmp_ask(const struct pkt *p, struct nat_icmp *i, bool explain)
{
	i->ip = p->ip - (void *)(long)p->ctx->data;
	i->ip_len = p->ip_len;
	i->quote.icmp = i->ip + (__u32)(p->l4 - p->ip);
	i->quote.end = i->ip + p->ip_len;
	i->family = p->family;
	i->tags = p->tags;
	i->explain = explain;
	i->is_for_sender = false;
	i->service = i->frontend = i->endpoint = 0;
}
