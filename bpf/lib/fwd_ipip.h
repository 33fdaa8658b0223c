/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/csum.h"
#include "lib/conf.h"
#include "lib/count.h"
#include "lib/flow.h"
#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/route.h"

/**
 * @file fwd_ipip.h
 * Forward mode `ipip`: the packet travels as it is inside another of IPv4 or
 * IPv6 (RFC 2003, 2473, 4213), by the family of the endpoint.
 *
 * Outer header: the traffic class is the inner one's, ECN included (RFC 6040,
 * normal mode); hop limit 64; don't-fragment is set, so that a path with a smaller
 * MTU says so; the flow label of IPv6 is the flow's hash. The inner packet is not
 * touched: to the client the tunnel is no hop, as with other balancers that
 * answer from the endpoint. A packet that has no hop left is not sent on.
 */
#define TUNNEL_HOPS 64

/** Traffic class, ECN included. */
static __always_inline __u8 inner_class(const struct pkt *p)
{
	if (p->family == FL_IPV4)
		return ((struct iphdr *)p->ip)->tos;
	return bpf_ntohs(*(__be16 *)p->ip) >> 4;
}

static __always_inline __u8 inner_hops(const struct pkt *p)
{
	return p->family == FL_IPV4 ? ((struct iphdr *)p->ip)->ttl
				    : ((struct ipv6hdr *)p->ip)->hop_limit;
}

/** Number of the inner family as a next header. */
static __always_inline __u8 inner_proto(const struct pkt *p)
{
	return p->family == FL_IPV4 ? IPPROTO_IPIP : IPPROTO_IPV6;
}

/**
 * The last word of the outer source. Where it is a prefix, its low bits come from
 * the flow, so that the endpoint's queues see many sources.
 */
static __always_inline __be32 outer_source(const struct pkt *p, __be32 word, enum fl_family family)
{
	__u8 bits = fl_conf.tunnel_hash_bits[family];

	if (!bits)
		return word;
	if (bits >= 32)
		return p->hash;
	return word ^ bpf_htonl(p->hash & ((1u << bits) - 1));
}

static __always_inline void outer_ipv4(
	const struct pkt *p, struct iphdr *ip, const struct fl_nexthop_row *hop, __u8 class)
{
	__be32 saddr = outer_source(p, hop->src.word[3], FL_IPV4), daddr = p->to->addr.word[3];
	__u32 *word = (__u32 *)ip;
	__u64 sum;

	/* Word by word: as many stores as there are sums. */
	word[0] = bpf_htonl(0x45000000u | (__u32) class << 16 | (p->ip_len + sizeof(*ip)));
	word[1] = bpf_htonl(0x4000); /* no identification; don't fragment */
	word[2] = bpf_htonl((__u32)TUNNEL_HOPS << 24 | (__u32)inner_proto(p) << 16);
	word[3] = saddr;
	word[4] = daddr;
	sum = (__u64)word[0] + word[1] + word[2] + saddr + daddr;
	ip->check = (__u16)~fl_csum_fold(sum);
}

static __always_inline void outer_ipv6(
	const struct pkt *p, struct ipv6hdr *ip, const struct fl_nexthop_row *hop, __u8 class)
{
	__u32 *word = (__u32 *)ip;

	word[0] = bpf_htonl(0x60000000u | (__u32) class << 20 | (p->hash & 0xfffff));
	word[1] = bpf_htonl(p->ip_len << 16 | (__u32)inner_proto(p) << 8 | TUNNEL_HOPS);
	word[2] = hop->src.word[0];
	word[3] = hop->src.word[1];
	word[4] = hop->src.word[2];
	word[5] = outer_source(p, hop->src.word[3], FL_IPV6);
	word[6] = p->to->addr.word[0];
	word[7] = p->to->addr.word[1];
	word[8] = p->to->addr.word[2];
	word[9] = p->to->addr.word[3];
}

/** Wrap the packet in a header of `family`, a constant. */
static __always_inline int ipip_wrap(
	struct pkt *p, const struct fl_nexthop_row *hop, enum fl_family family)
{
	const int header = family == FL_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	__u32 ifindex = hop->ifindex, tags = frame_tags_kept(p, ifindex);
	__u8 class = inner_class(p);
	struct frame_tags saved = { 0 };
	struct ethhdr *eth;
	void *outer;

	if (unlikely(p->ip_len + header > hop->mtu))
		return -FL_DROP_TOO_BIG;
	if (unlikely(tags) && frame_tags_read(p, &saved))
		return -FL_DROP_INTERNAL;
	if (unlikely(bpf_xdp_adjust_head(p->ctx, (int)((p->tags - tags) * VLAN_TAG_LEN) - header)))
		return -FL_DROP_HEADROOM;
	eth = (void *)(long)p->ctx->data;
	outer = (void *)eth + frame_l2_len(tags & 3);
	if (unlikely(outer + header > (void *)(long)p->ctx->data_end))
		return -FL_DROP_INTERNAL;

	frame_write(eth, (const __u32 *)hop->dmac, tags, &saved,
		family == FL_IPV4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6));
	if (family == FL_IPV4)
		outer_ipv4(p, outer, hop, class);
	else
		outer_ipv6(p, outer, hop, class);
	return frame_leave(p, ifindex);
}

/** A packet for p->to, of a service in mode `ipip`. */
static __always_inline int ipip_forward(struct pkt *p, bool explain)
{
	__u32 index = READ_ONCE(p->to->nexthop);
	const struct fl_nexthop_row *hop = bpf_map_lookup_elem(&fl_nexthops, &index);
	int err;

	if (unlikely(!index || !hop))
		return -FL_DROP_NO_ROUTE;
	if (unlikely(!inner_hops(p)))
		return -FL_DROP_TTL;
	if (unlikely(hop->flags & FL_NEXTHOP_LOCAL))
		err = -FL_PASS_LOCAL;
	else if (explain)
		return 0;
	else if (p->to->family == FL_IPV4)
		err = ipip_wrap(p, hop, FL_IPV4);
	else
		err = ipip_wrap(p, hop, FL_IPV6);

	if (!explain && !p->quoting && (likely(!err) || err == -FL_PASS_LOCAL))
		count_forward(p, tcp_opens(p->tcp_flags));
	return err;
}
