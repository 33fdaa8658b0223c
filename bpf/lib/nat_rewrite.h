/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/csum.h"
#include "lib/packet.h"

/**
 * @file nat_rewrite.h
 * Give a packet another tuple, and account for it in its checksums.
 */

/** Like a router: one hop less. Call it before anything is changed. */
static __always_inline int hops_check(const struct pkt *p)
{
	__u8 left = p->family == FL_IPV4 ? ((struct iphdr *)p->ip)->ttl
					 : ((struct ipv6hdr *)p->ip)->hop_limit;

	return left > 1 ? 0 : -FL_DROP_TTL;
}

/* Give a header other addresses.
 * @return what checksums over the old ones have to account for */

static __always_inline __u64 readdress_ipv4(struct iphdr *ip, __be32 saddr, __be32 daddr)
{
	__u64 delta = fl_csum_replace(0, ip->saddr, saddr);

	delta = fl_csum_replace(delta, ip->daddr, daddr);
	ip->saddr = saddr;
	ip->daddr = daddr;
	return delta;
}

static __always_inline __u64 readdress_ipv6(
	struct ipv6hdr *ip, const struct fl_ip *from, const struct fl_ip *to)
{
	__be32 *saddr = ip->saddr.in6_u.u6_addr32, *daddr = ip->daddr.in6_u.u6_addr32;
	__u64 delta = 0;
	int i;

#pragma unroll
	for (i = 0; i < 4; i++) {
		delta = fl_csum_replace(delta, saddr[i], from->word[i]);
		delta = fl_csum_replace(delta, daddr[i], to->word[i]);
		saddr[i] = from->word[i];
		daddr[i] = to->word[i];
	}
	return delta;
}

static __always_inline __u64 rewrite_ipv4(struct iphdr *ip, const struct fl_flow *to)
{
	__be16 *ttl_proto = (__be16 *)&ip->ttl, before = *ttl_proto;
	__u64 delta = readdress_ipv4(ip, to->saddr.word[3], to->daddr.word[3]);

	ip->ttl--;
	ip->check = fl_csum_update(ip->check, fl_csum_replace(delta, before, *ttl_proto));
	return delta;
}

static __always_inline __u64 rewrite_ipv6(struct ipv6hdr *ip, const struct fl_flow *to)
{
	ip->hop_limit--;
	return readdress_ipv6(ip, &to->saddr, &to->daddr);
}

/** Addresses, ports, hop limit and checksums. Call it after check_lengths. */
static __always_inline void rewrite(struct pkt *p, const struct fl_flow *to)
{
	__u64 delta = p->family == FL_IPV4 ? rewrite_ipv4(p->ip, to) : rewrite_ipv6(p->ip, to);
	__be16 *ports = p->l4;

	delta = fl_csum_replace(delta, ports[0], to->sport);
	delta = fl_csum_replace(delta, ports[1], to->dport);
	ports[0] = to->sport;
	ports[1] = to->dport;

	if (p->proto == IPPROTO_TCP)
		*p->check = fl_csum_update(*p->check, delta);
	else if (*p->check) /* 0 = the sender computed none. It stays so. */
		*p->check = fl_csum_update_udp(*p->check, delta);
}
