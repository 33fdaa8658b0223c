/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/maps.h"
#include "lib/packet.h"

/**
 * @file route.h
 * Where a frame leaves: next hop, and the Ethernet header that takes it there.
 *
 * The agent keeps next hops of endpoints in `nexthops`; the kernel's own table
 * is asked for clients, and for endpoints that the agent has not resolved yet.
 */

#ifndef AF_INET
#define AF_INET  2
#define AF_INET6 10
#endif

struct hop {
	__u32 macs[3]; /**< of who gets the frame and of who sends it, as a frame has them */
	__u32 ifindex;
	__u32 mtu; /**< 0 = checked already */
};

static __always_inline void hop_from_row(struct hop *hop, const struct fl_nexthop_row *row)
{
	const __u32 *macs = (const __u32 *)row->dmac;

	hop->macs[0] = macs[0];
	hop->macs[1] = macs[1];
	hop->macs[2] = macs[2];
	hop->ifindex = row->ifindex;
	hop->mtu = row->mtu;
}

/**
 * Ask the kernel for the way from `saddr` to `daddr`, both of `family`.
 * Not inlined: its 64 bytes of stack are not the fast path's.
 *
 * @param ip_len  of the packet as it will leave, for the MTU
 * @return 0 or a negative reason; -FL_PASS_NEIGHBOUR when only the MAC is unknown
 */
static __noinline int hop_ask(
	struct xdp_md *ctx, const struct fl_flow *to, __u32 family, __u32 ip_len, struct hop *ret)
{
	struct bpf_fib_lookup fib = {
		.family = family == FL_IPV4 ? AF_INET : AF_INET6,
		.l4_protocol = to->proto,
		.sport = to->sport,
		.dport = to->dport,
		.tot_len = ip_len,
		.ifindex = ctx->ingress_ifindex,
	};
	long answer;

	if (family == FL_IPV4) {
		fib.ipv4_src = to->saddr.word[3];
		fib.ipv4_dst = to->daddr.word[3];
	} else {
		__builtin_memcpy(fib.ipv6_src, &to->saddr, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, &to->daddr, sizeof(fib.ipv6_dst));
	}

	answer = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (answer == BPF_FIB_LKUP_RET_NO_NEIGH)
		return -FL_PASS_NEIGHBOUR;
	if (answer == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return -FL_DROP_TOO_BIG;
	if (answer != BPF_FIB_LKUP_RET_SUCCESS)
		return -FL_DROP_NO_ROUTE;

	__builtin_memcpy(ret->macs, fib.dmac, ETH_ALEN);
	__builtin_memcpy((__u8 *)ret->macs + ETH_ALEN, fib.smac, ETH_ALEN);
	ret->ifindex = fib.ifindex;
	ret->mtu = 0;
	return 0;
}

/**
 * How many VLAN tags a frame keeps: all when it leaves where it came in; none
 * towards another interface, since they belong to the segment it came from.
 */
static __always_inline __u32 frame_tags_kept(const struct pkt *p, __u32 ifindex)
{
	return ifindex == p->ctx->ingress_ifindex ? p->tags : 0;
}

/** Length of the Ethernet header and `tags` VLAN tags. */
static __always_inline __u32 frame_l2_len(__u32 tags)
{
	return ETH_HLEN + tags * VLAN_TAG_LEN;
}

/** The VLAN tags of a frame, while its start is moved. */
struct frame_tags {
	__u32 tag[VLAN_TAGS_MAX];
};

/** Read them; of a frame with fewer tags what follows those. */
static __always_inline int frame_tags_read(const struct pkt *p, struct frame_tags *ret)
{
	__u32 *word = (void *)(long)p->ctx->data;

	if ((void *)(word + 3 + VLAN_TAGS_MAX) > (void *)(long)p->ctx->data_end)
		return -FL_DROP_INTERNAL;
	ret->tag[0] = word[3];
	ret->tag[1] = word[4];
	return 0;
}

/** Both MACs by words: the compiler copies arrays of bytes byte by byte. */
static __always_inline void frame_write_macs(void *eth, const __u32 *macs)
{
	__u32 *word = eth;

	word[0] = macs[0];
	word[1] = macs[1];
	word[2] = macs[2];
}

/**
 * Write the Ethernet header and the tags that are kept.
 * @param eth   start of the frame, in which there is room for all tags
 * @param macs  as struct hop has them
 * @param type  EtherType of the IP header that follows
 */
static __always_inline void frame_write(struct ethhdr *eth, const __u32 *macs, __u32 count,
	const struct frame_tags *tags, __be16 type)
{
	__u32 *word = (void *)eth;

	frame_write_macs(eth, macs);
	if (likely(!count)) {
		eth->h_proto = type;
		return;
	}
	word[3] = tags->tag[0];
	if (count > 1)
		word[4] = tags->tag[1];
	*(__be16 *)(word + 3 + (count & 3)) = type;
}

/** Out of which interface, and so how. */
static __always_inline int frame_leave(struct pkt *p, __u32 ifindex)
{
	if (likely(ifindex == p->ctx->ingress_ifindex)) {
		p->action = XDP_TX;
		return 0;
	}
	p->action = XDP_REDIRECT;
	return bpf_redirect_map(&fl_tx_ports, ifindex, 0) == XDP_REDIRECT ? 0 : -FL_DROP_NO_ROUTE;
}

/** Send a frame whose IP packet kept its length. */
static __always_inline int frame_send(struct pkt *p, const struct hop *hop)
{
	struct ethhdr *eth;

	if (unlikely(p->tags && !frame_tags_kept(p, hop->ifindex))) {
		if (bpf_xdp_adjust_head(p->ctx, p->tags * VLAN_TAG_LEN))
			return -FL_DROP_INTERNAL;
		eth = (void *)(long)p->ctx->data;
		if ((void *)(eth + 1) > (void *)(long)p->ctx->data_end)
			return -FL_DROP_INTERNAL;
		eth->h_proto = p->family == FL_IPV4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	}
	eth = (void *)(long)p->ctx->data;
	if (unlikely((void *)(eth + 1) > (void *)(long)p->ctx->data_end))
		return -FL_DROP_INTERNAL;
	frame_write_macs(eth, hop->macs);
	return frame_leave(p, hop->ifindex);
}
