/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/packet.h"

/**
 * @file parse.h
 * First stages: from the frame to addresses, protocol and ports.
 *
 * Only what is needed to tell whether the packet is ours is looked at here; the
 * rest is checked once it is known to be (check_lengths), since what is not ours
 * belongs to the stack, sound or not. Up to two VLAN tags, IPv4 options and IPv6
 * extension headers are followed.
 */

#define EXTENSIONS_MAX 8

#define IPV4_MF     bpf_htons(0x2000)
#define IPV4_OFFSET bpf_htons(0x1fff)
#define IPV6_MF     bpf_htons(0x0001)
#define IPV6_OFFSET bpf_htons(0xfff8)

/**
 * Read the ports, which are where TCP and UDP both have them.
 * @param part  constant, so that each answer has its own way through the program
 */
static __always_inline int parse_ports(struct pkt *p, enum pkt_part part)
{
	__be16 *ports = p->l4;

	if (unlikely((void *)(ports + 2) > p->end))
		return PART_CUT;
	p->sport = ports[0];
	p->dport = ports[1];
	return part;
}

static __always_inline int parse_ipv4(struct pkt *p)
{
	struct iphdr *ip = p->ip;

	if (unlikely((void *)(ip + 1) > p->end || ip->version != 4 || ip->ihl < 5))
		return -FL_PASS_UNREADABLE;

	p->proto = ip->protocol;
	p->ip_len = bpf_ntohs(ip->tot_len);
	p->l4 = p->ip + ip->ihl * 4;
	if (unlikely(p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP))
		return -FL_PASS_PROTOCOL;
	if (likely(!(ip->frag_off & (IPV4_OFFSET | IPV4_MF))))
		return parse_ports(p, PART_WHOLE);
	if (ip->frag_off & IPV4_OFFSET)
		return PART_LATER;
	return parse_ports(p, PART_FIRST);
}

/** What parse_extensions found, in one word: protocol, part, offset of its header. */
#define CHAIN(proto, part, offset) ((__u64)(proto) << 40 | (__u64)(part) << 32 | (offset))
#define CHAIN_PROTO(c)             ((__u8)((c) >> 40))
#define CHAIN_PART(c)              ((__u8)((c) >> 32))
#define CHAIN_OFFSET(c)            ((__u32)(c))

/**
 * Follow IPv6 extension headers that start `offset` bytes into the frame.
 * A function of its own, so that the verifier walks through it once, whatever
 * way the packet came here, and the fast path does not pay for it.
 */
__noinline __u64 parse_extensions(struct xdp_md *ctx, __u32 offset, __u32 proto)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 part = PART_WHOLE;
	int i;

	for (i = 0; i < EXTENSIONS_MAX; i++) {
		__u8 *header;

		if (offset > 4096)
			break;
		header = data + offset;
		switch (proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if ((void *)(header + 8) > end)
				return CHAIN(proto, PART_CUT, offset);
			/* More hops to go: its destination is not the one it shows. */
			if (proto == IPPROTO_ROUTING && header[3])
				return CHAIN(proto, part, offset);
			proto = header[0];
			offset += (header[1] + 1) * 8;
			break;
		case IPPROTO_FRAGMENT:
			if ((void *)(header + 8) > end)
				return CHAIN(proto, PART_CUT, offset);
			proto = header[0];
			offset += 8;
			if (*(__be16 *)(header + 2) & IPV6_OFFSET)
				return CHAIN(proto, PART_LATER, offset);
			/* One that is neither followed nor preceded is whole (RFC 6946). */
			if (*(__be16 *)(header + 2) & IPV6_MF)
				part = PART_FIRST;
			break;
		default:
			return CHAIN(proto, part, offset);
		}
	}
	return CHAIN(proto, PART_CUT, offset);
}

static __always_inline bool is_extension(__u8 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_FRAGMENT;
}

static __always_inline int parse_ipv6(struct pkt *p)
{
	struct ipv6hdr *ip = p->ip;
	__u64 chain;

	if (unlikely((void *)(ip + 1) > p->end || ip->version != 6))
		return -FL_PASS_UNREADABLE;

	p->proto = ip->nexthdr;
	p->ip_len = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	p->l4 = ip + 1;
	if (likely(p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP))
		return parse_ports(p, PART_WHOLE);
	if (!is_extension(p->proto))
		return -FL_PASS_PROTOCOL;

	chain = parse_extensions(p->ctx, p->l4 - (void *)(long)p->ctx->data, p->proto);
	p->proto = CHAIN_PROTO(chain);
	if (CHAIN_PART(chain) == PART_CUT)
		return PART_CUT;
	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return -FL_PASS_PROTOCOL;
	if (CHAIN_PART(chain) == PART_LATER)
		return PART_LATER;
	p->l4 = (void *)(long)p->ctx->data + (CHAIN_OFFSET(chain) & 0x1fff);
	if (CHAIN_PART(chain) == PART_FIRST)
		return parse_ports(p, PART_FIRST);
	return parse_ports(p, PART_WHOLE);
}

static __always_inline bool is_vlan(__be16 ethertype)
{
	return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD);
}

/** Everything before the IP header; p->ip is set, and p->ethertype says what it is. */
static __always_inline int parse_link(struct pkt *p)
{
	struct ethhdr *eth = (void *)(long)p->ctx->data;
	__be16 *next = (void *)eth + 2 * ETH_ALEN; /* of a tag, or of what follows the last */
	int i;

	if (unlikely((void *)(eth + 1) > p->end))
		return -FL_PASS_UNREADABLE;
#pragma unroll
	for (i = 0; i < VLAN_TAGS_MAX; i++) {
		if (likely(!is_vlan(next[0])))
			break;
		if ((void *)(next + 3) > p->end)
			return -FL_PASS_UNREADABLE;
		p->tags = i + 1;
		next += 2;
	}
	p->ethertype = next[0];
	p->ip = next + 1;
	return 0;
}

/** Addresses, protocol and ports. @return enum pkt_part, or a negative reason */
static __always_inline int parse_ip(struct pkt *p)
{
	return p->family == FL_IPV4 ? parse_ipv4(p) : parse_ipv6(p);
}

/**
 * Is this a frame as nearly all are: of `family`, without tags, IP options and
 * extension headers, and long enough for a TCP header? Where that is known, the
 * compiler has constants for offsets and one comparison for all lengths.
 */
static __always_inline bool parse_is_plain(const struct pkt *p, enum fl_family family)
{
	void *data = (void *)(long)p->ctx->data, *ip = data + ETH_HLEN;
	__be16 *ethertype = data + 2 * ETH_ALEN;

	if (family == FL_IPV4)
		return ip + sizeof(struct iphdr) + sizeof(struct tcphdr) <= p->end &&
		       *ethertype == bpf_htons(ETH_P_IP) && *(__u8 *)ip == 0x45;
	return ip + sizeof(struct ipv6hdr) + sizeof(struct tcphdr) <= p->end &&
	       *ethertype == bpf_htons(ETH_P_IPV6) &&
	       !is_extension(((struct ipv6hdr *)ip)->nexthdr);
}
