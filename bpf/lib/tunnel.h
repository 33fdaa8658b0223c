/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/csum.h"
#include "lib/packet.h"

/**
 * @file tunnel.h
 * The outer header of a packet in another of IPv4 or IPv6 (RFC 2003, 2473, 4213): the same for
 * flows and for probes.
 *
 * The traffic class is the inner one's, ECN included (RFC 6040, normal mode); hop limit 64;
 * don't-fragment is set, so that a path with a smaller MTU says so.
 */
#define TUNNEL_HOPS 64

/** Of the packet inside. */
struct inner {
	__u8 proto; /**< as a next header */
	__u8 class; /**< traffic class */
	__u32 length;
};

static __always_inline void outer_ipv4(
	struct iphdr *ip, const struct inner *inner, __be32 saddr, __be32 daddr)
{
	__u32 *word = (__u32 *)ip;
	__u64 sum;

	/* Word by word: as many stores as there are sums. */
	word[0] =
		bpf_htonl(0x45000000u | (__u32)inner->class << 16 | (inner->length + sizeof(*ip)));
	word[1] = bpf_htonl(0x4000); /* no identification; don't fragment */
	word[2] = bpf_htonl((__u32)TUNNEL_HOPS << 24 | (__u32)inner->proto << 16);
	word[3] = saddr;
	word[4] = daddr;
	sum = (__u64)word[0] + word[1] + word[2] + saddr + daddr;
	ip->check = (__u16)~fl_csum_fold(sum);
}

/** @param low  the last word of the source, in place of its own @param label  20 bits */
static __always_inline void outer_ipv6(struct ipv6hdr *ip, const struct inner *inner,
	const struct fl_ip *saddr, __be32 low, const struct fl_ip *daddr, __u32 label)
{
	__u32 *word = (__u32 *)ip;

	word[0] = bpf_htonl(0x60000000u | (__u32)inner->class << 20 | label);
	word[1] = bpf_htonl(inner->length << 16 | (__u32)inner->proto << 8 | TUNNEL_HOPS);
	word[2] = saddr->word[0];
	word[3] = saddr->word[1];
	word[4] = saddr->word[2];
	word[5] = low;
	word[6] = daddr->word[0];
	word[7] = daddr->word[1];
	word[8] = daddr->word[2];
	word[9] = daddr->word[3];
}
