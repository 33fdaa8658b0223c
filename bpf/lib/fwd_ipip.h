/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/conf.h"
#include "lib/count.h"
#include "lib/flow.h"
#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/route.h"
#include "lib/tunnel.h"

/**
 * @file fwd_ipip.h
 * Forward mode `ipip`: the packet travels as it is inside another (tunnel.h), by the family of
 * the endpoint.
 *
 * The flow label of an outer IPv6 header is the flow's hash. The inner packet is not
 * touched: to the client the tunnel is no hop, as with other balancers that
 * answer from the endpoint. A packet that has no hop left is not sent on.
 */

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

/** Wrap the packet in a header of `family`, a constant. */
static __always_inline int ipip_wrap(
	struct pkt *p, const struct fl_nexthop_row *hop, enum fl_family family)
{
	const int header = family == FL_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	__u32 ifindex = hop->ifindex, tags = frame_tags_kept(p, ifindex);
	const struct inner inner = { inner_proto(p), inner_class(p), p->ip_len };
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
		outer_ipv4(outer, &inner, outer_source(p, hop->src.word[3], FL_IPV4),
			p->to->addr.word[3]);
	else
		outer_ipv6(outer, &inner, &hop->src, outer_source(p, hop->src.word[3], FL_IPV6),
			&p->to->addr, p->hash & 0xfffff);
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
