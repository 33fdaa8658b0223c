/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/hash.h"
#include "fairlead/nat.h"
#include "lib/conf.h"
#include "lib/packet.h"

/**
 * @file flow.h
 * The 5-tuple of a packet: as a hash for all, as a key for those few that are
 * looked up by it; and what its TCP header does to the connection.
 */

static __always_inline void flow_hash(struct pkt *p)
{
	if (p->family == FL_IPV4) {
		struct iphdr *ip = p->ip;

		p->hash = fl_hash_ipv4(
			fl_conf.hash_seed, ip->saddr, ip->daddr, p->sport, p->dport, p->proto);
	} else {
		struct ipv6hdr *ip = p->ip;

		p->hash = fl_hash_ipv6(fl_conf.hash_seed, ip->saddr.in6_u.u6_addr32,
			ip->daddr.in6_u.u6_addr32, p->sport, p->dport, p->proto);
	}
}

static __always_inline void ip_from_ipv4(struct fl_ip *ip, __be32 addr)
{
	ip->word[0] = 0;
	ip->word[1] = 0;
	ip->word[2] = bpf_htonl(0xffff);
	ip->word[3] = addr;
}

static __always_inline void ip_from_ipv6(struct fl_ip *ip, const struct in6_addr *addr)
{
	ip->word[0] = addr->in6_u.u6_addr32[0];
	ip->word[1] = addr->in6_u.u6_addr32[1];
	ip->word[2] = addr->in6_u.u6_addr32[2];
	ip->word[3] = addr->in6_u.u6_addr32[3];
}

static __always_inline void flow_key(const struct pkt *p, struct fl_flow *key)
{
	if (p->family == FL_IPV4) {
		const struct iphdr *ip = p->ip;

		ip_from_ipv4(&key->saddr, ip->saddr);
		ip_from_ipv4(&key->daddr, ip->daddr);
	} else {
		const struct ipv6hdr *ip = p->ip;

		ip_from_ipv6(&key->saddr, &ip->saddr);
		ip_from_ipv6(&key->daddr, &ip->daddr);
	}
	key->sport = p->sport;
	key->dport = p->dport;
	key->proto = p->proto;
	key->pad[0] = key->pad[1] = key->pad[2] = 0;
}

/** Does a segment with these flags open a connection? */
static __always_inline bool tcp_opens(__u8 flags)
{
	return (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}
