/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/csum.h"
#include "lib/flow.h"
#include "lib/nat_rewrite.h"
#include "lib/packet.h"
#include "lib/parse.h"

/**
 * @file nat_quote.h
 * The packet that an ICMP error quotes: its tuple is read, and replaced.
 *
 * At least its IP header and 8 bytes more are there (RFC 792), so the ports of both
 * protocols and the checksum of UDP; that of TCP only perhaps. Options and extension headers are
 * followed (RFC 5508, REQ-3 b). What is quoted of a later fragment has no ports, and what of an
 * ICMP message has none either: these concern no flow of ours.
 *
 * Checksums are updated, never verified: a wrong one stays wrong, for its receiver to see. The
 * transport's checksum cannot be verified anyway, since most of what it is over is missing.
 */
#define QUOTE_OFFSET_MASK 0x1fff /**< of a frame: so the verifier knows what offsets may be */
#define QUOTE_L4_MIN      8

struct icmp_header {
	__u8 type;
	__u8 code;
	__u16 check;
	__be32 rest; /**< an MTU, a pointer, or nothing: it stays as it is */
};

/** Offsets from the start of the frame. */
struct quote {
	__u32 icmp; /**< of the ICMP header */
	__u32 end; /**< where the packet ends, no farther than the frame; what follows is padding */
	__u32 l4;  /**< of the quoted TCP or UDP header; set by quote_read, as is: */
	__u8 proto; /**< IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad[3];
};

/** A place in the frame, not checked yet. */
static __always_inline void *quote_at(struct xdp_md *ctx, __u32 offset)
{
	return (void *)(long)ctx->data + (offset & QUOTE_OFFSET_MASK);
}

/** Protocol and place of its header. @return whether there are ports */
static __always_inline bool quote_parse_ipv4(const struct iphdr *ip, struct quote *q)
{
	if (ip->version != 4 || ip->ihl < 5 || ip->frag_off & IPV4_OFFSET)
		return false;
	q->proto = ip->protocol;
	q->l4 = q->icmp + sizeof(struct icmp_header) + ip->ihl * 4;
	return true;
}

static __always_inline bool quote_parse_ipv6(
	struct xdp_md *ctx, const struct ipv6hdr *ip, struct quote *q)
{
	__u64 chain;

	if (ip->version != 6)
		return false;
	q->proto = ip->nexthdr;
	q->l4 = q->icmp + sizeof(struct icmp_header) + sizeof(*ip);
	if (!is_extension(q->proto))
		return true;
	chain = parse_extensions(ctx, q->l4, q->proto);
	q->proto = CHAIN_PROTO(chain);
	q->l4 = CHAIN_OFFSET(chain);
	return CHAIN_PART(chain) == PART_WHOLE || CHAIN_PART(chain) == PART_FIRST;
}

/**
 * Read the quoted tuple.
 * @param q       icmp and end are filled in
 * @param answer  set: the tuple turned round, as answers to the quoted packet have it
 * @return whether there is one
 */
static __always_inline bool quote_read(
	struct xdp_md *ctx, struct quote *q, __u32 family, struct fl_flow *answer)
{
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = quote_at(ctx, q->icmp + sizeof(struct icmp_header));
	struct ipv6hdr *ip6 = (void *)ip;
	__be16 *ports;

	if (family == FL_IPV4) {
		if ((void *)(ip + 1) > end || !quote_parse_ipv4(ip, q))
			return false;
		ip_from_ipv4(&answer->daddr, ip->saddr);
		ip_from_ipv4(&answer->saddr, ip->daddr);
	} else {
		if ((void *)(ip6 + 1) > end)
			return false;
		ip_from_ipv6(&answer->daddr, &ip6->saddr);
		ip_from_ipv6(&answer->saddr, &ip6->daddr);
		if (!quote_parse_ipv6(ctx, ip6, q))
			return false;
	}
	if ((q->proto != IPPROTO_TCP && q->proto != IPPROTO_UDP) ||
		q->l4 > QUOTE_OFFSET_MASK - QUOTE_L4_MIN || q->l4 + QUOTE_L4_MIN > q->end)
		return false;
	ports = quote_at(ctx, q->l4);
	if ((void *)(ports + 2) > end)
		return false;
	answer->dport = ports[0];
	answer->sport = ports[1];
	answer->proto = q->proto;
	answer->pad[0] = answer->pad[1] = answer->pad[2] = 0;
	return true;
}

/* The quoted addresses are those that an answer would leave with, turned round.
 * @return what the checksum of TCP and UDP has to account for */

static __always_inline __u64 quote_rewrite_ipv4(
	struct iphdr *ip, const struct fl_flow *to, __u64 *icmp_delta)
{
	__u64 delta = readdress_ipv4(ip, to->daddr.word[3], to->saddr.word[3]);
	__u16 before = ip->check;

	ip->check = fl_csum_update(before, delta);
	*icmp_delta += fl_csum_replace(delta, before, ip->check);
	return delta;
}

static __always_inline __u64 quote_rewrite_ipv6(
	struct ipv6hdr *ip, const struct fl_flow *to, __u64 *icmp_delta)
{
	__u64 delta = readdress_ipv6(ip, &to->daddr, &to->saddr);

	*icmp_delta += delta;
	return delta;
}

/** The ports, and the checksum where it is among what is quoted. */
static __always_inline bool quote_rewrite_l4(struct xdp_md *ctx, const struct quote *q,
	const struct fl_flow *to, __u64 delta, __u64 *icmp_delta)
{
	__u32 check_at = q->proto == IPPROTO_TCP ? 16 : 6;
	void *end = (void *)(long)ctx->data_end;
	__be16 *ports = quote_at(ctx, q->l4);
	__u16 *check = quote_at(ctx, q->l4 + check_at), before;
	__u64 changed;

	if ((void *)(ports + 2) > end)
		return false;
	changed = fl_csum_replace(0, ports[0], to->dport);
	changed = fl_csum_replace(changed, ports[1], to->sport);
	ports[0] = to->dport;
	ports[1] = to->sport;
	*icmp_delta += changed;
	if (q->l4 + check_at + sizeof(*check) > q->end || (void *)(check + 1) > end)
		return true;
	before = *check;
	if (q->proto == IPPROTO_TCP)
		*check = fl_csum_update(before, delta + changed);
	else if (before) /* 0 = the sender computed none */
		*check = fl_csum_update_udp(before, delta + changed);
	*icmp_delta += fl_csum_replace(0, before, *check);
	return true;
}

/**
 * Put the quoted packet back into what its sender sent.
 * @param q      as quote_read left it
 * @param to     how an answer to that packet would leave
 * @param delta  added: what the checksum of ICMP has to account for
 * @return false: it is not there, and nothing was changed
 */
static __always_inline bool quote_rewrite(struct xdp_md *ctx, const struct quote *q, __u32 family,
	const struct fl_flow *to, __u64 *delta)
{
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = quote_at(ctx, q->icmp + sizeof(struct icmp_header));
	struct ipv6hdr *ip6 = (void *)ip;
	__u64 addresses;

	if (family == FL_IPV4) {
		if ((void *)(ip + 1) > end)
			return false;
		addresses = quote_rewrite_ipv4(ip, to, delta);
	} else {
		if ((void *)(ip6 + 1) > end)
			return false;
		addresses = quote_rewrite_ipv6(ip6, to, delta);
	}
	return quote_rewrite_l4(ctx, q, to, addresses, delta);
}
