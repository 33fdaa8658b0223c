/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/csum.h"
#include "lib/answers.h"
#include "lib/flow.h"
#include "lib/fwd_nat.h"
#include "lib/nat_table.h"
#include "lib/parse.h"
#include "lib/route.h"

/**
 * @file nat_icmp.h
 * ICMP errors about packets of nat flows: translated for the end that they are meant for, in
 * the header and in the packet that they quote (RFC 5508, 4; RFC 7915 has the same for IPv6).
 *
 * A client must learn that its packet was too big or its port is closed, and an endpoint that its
 * answer was: else path MTU discovery ends here. Both ways are one: the quoted packet turned
 * round is the key of the connection's other entry, which knows how the packet looked
 * before. The error comes from the frontend then, or from the source address of nat, whoever
 * sent it, as Linux' own NAT has it: addresses behind the balancer are nobody's business.
 *
 * An error can be forged by anybody who guesses a tuple. So it is passed on, and counts as one
 * opening that failed if nothing was answered yet; what is known of the flow does not change.
 * Errors that are fragments, or quote one without ports, options or extension headers
 * before ICMPv6, are left to the stack, as all other ICMP.
 */

#define ICMP_UNREACHABLE   3 /**< RFC 792 */
#define ICMP_TOO_BIG       4 /**< code of it */
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER     12
#define ICMPV6_UNREACHABLE 1 /**< RFC 4443 */
#define ICMPV6_PARAMETER   4

/** What all errors begin with; the packet that they quote follows. */
struct icmp_head {
	__u8 type;
	__u8 code;
	__u16 check;
	__be32 rest;
};

/** Of the quoted packet, so much is there at least (RFC 792). */
struct icmp_ports {
	__be16 sport;
	__be16 dport;
	__be16 length; /**< of UDP */
	__u16 udp_check;
};

#define ICMP_TCP_CHECK 16 /**< of the TCP header */

static __always_inline bool icmp_is_error(enum fl_family family, __u8 type)
{
	if (family == FL_IPV6)
		return type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER;
	return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER;
}

static __always_inline bool icmp_is_unreachable(enum fl_family family, const struct icmp_head *icmp)
{
	if (family == FL_IPV6)
		return icmp->type == ICMPV6_UNREACHABLE;
	return icmp->type == ICMP_UNREACHABLE && icmp->code != ICMP_TOO_BIG;
}

/** Addresses and protocol of a packet, the other way round. @return where its ports are, in
 * bytes from its header on; 0 = it has none */
static __always_inline __u32 icmp_read_quote(
	const void *quote, enum fl_family family, struct fl_flow *ret)
{
	if (family == FL_IPV4) {
		const struct iphdr *ip = quote;

		if (ip->version != 4 || ip->ihl < 5 || ip->frag_off & IPV4_OFFSET)
			return 0;
		ip_from_ipv4(&ret->saddr, ip->daddr);
		ip_from_ipv4(&ret->daddr, ip->saddr);
		ret->proto = ip->protocol;
		return ip->ihl * 4;
	} else {
		const struct ipv6hdr *ip = quote;

		if (ip->version != 6)
			return 0;
		ip_from_ipv6(&ret->saddr, &ip->daddr);
		ip_from_ipv6(&ret->daddr, &ip->saddr);
		ret->proto = ip->nexthdr;
		return sizeof(*ip);
	}
}

/** Whether the error went to who sent what it quotes, whole, with a hop to spare.
 * @param key  the quoted packet, turned round @return 0 or a negative reason */
static __always_inline int icmp_check_header(
	const void *header, enum fl_family family, const struct fl_flow *key)
{
	if (family == FL_IPV4) {
		const struct iphdr *ip = header;

		if (ip->frag_off & (IPV4_OFFSET | IPV4_MF) || ip->daddr != key->daddr.word[3])
			return -FL_PASS_PROTOCOL;
		return ip->ttl > 1 ? 0 : -FL_DROP_TTL;
	} else {
		const struct ipv6hdr *ip = header;
		int i;

		if (ip->nexthdr != IPPROTO_ICMPV6)
			return -FL_PASS_PROTOCOL;
#pragma unroll
		for (i = 0; i < 4; i++)
			if (ip->daddr.in6_u.u6_addr32[i] != key->daddr.word[i])
				return -FL_PASS_PROTOCOL;
		return ip->hop_limit > 1 ? 0 : -FL_DROP_TTL;
	}
}

/** The tuple of the quoted packet as its sender knows it. @return what changed in the addresses */
static __always_inline __u64 icmp_rewrite_addresses(
	void *quote, enum fl_family family, const struct fl_flow *reverse, __u64 *ret_icmp_delta)
{
	__u64 delta = 0;

	if (family == FL_IPV4) {
		struct iphdr *ip = quote;
		__u16 before = ip->check;

		delta = fl_csum_replace(delta, ip->saddr, reverse->daddr.word[3]);
		delta = fl_csum_replace(delta, ip->daddr, reverse->saddr.word[3]);
		ip->saddr = reverse->daddr.word[3];
		ip->daddr = reverse->saddr.word[3];
		ip->check = fl_csum_update(before, delta);
		*ret_icmp_delta = fl_csum_replace(delta, before, ip->check);
	} else {
		struct ipv6hdr *ip = quote;
		__be32 *saddr = ip->saddr.in6_u.u6_addr32, *daddr = ip->daddr.in6_u.u6_addr32;
		int i;

#pragma clang loop unroll(disable) /* all words at once would take more stack than there is */
		for (i = 0; i < 4; i++) {
			delta = fl_csum_replace(delta, saddr[i], reverse->daddr.word[i]);
			delta = fl_csum_replace(delta, daddr[i], reverse->saddr.word[i]);
			saddr[i] = reverse->daddr.word[i];
			daddr[i] = reverse->saddr.word[i];
		}
		*ret_icmp_delta = delta;
	}
	return delta;
}

/** Ports and, as far as it is quoted, the checksum. @param delta  of the addresses
 * @return what changed in all that */
static __always_inline __u64 icmp_rewrite_ports(
	struct icmp_ports *ports, const void *end, const struct fl_flow *reverse, __u64 delta)
{
	__u16 *tcp_check = (void *)ports + ICMP_TCP_CHECK;
	__u64 icmp_delta = 0;
	__u16 before;

	icmp_delta = fl_csum_replace(icmp_delta, ports->sport, reverse->dport);
	icmp_delta = fl_csum_replace(icmp_delta, ports->dport, reverse->sport);
	ports->sport = reverse->dport;
	ports->dport = reverse->sport;
	delta += icmp_delta;
	if (reverse->proto == IPPROTO_UDP) {
		before = ports->udp_check;
		if (before)
			ports->udp_check = fl_csum_update_udp(before, delta);
		return fl_csum_replace(icmp_delta, before, ports->udp_check);
	}
	if ((const void *)(tcp_check + 1) > end)
		return icmp_delta;
	before = *tcp_check;
	*tcp_check = fl_csum_update(before, delta);
	return fl_csum_replace(icmp_delta, before, *tcp_check);
}

/** @param from, to  of the error itself. @return what that changes in the checksum of ICMP */
static __always_inline __u64 icmp_rewrite_header(
	void *header, enum fl_family family, const struct fl_flow *to)
{
	__u64 delta = 0;

	if (family == FL_IPV4) {
		struct iphdr *ip = header;
		__be16 *ttl_proto = (__be16 *)&ip->ttl, before = *ttl_proto;

		delta = fl_csum_replace(delta, ip->saddr, to->saddr.word[3]);
		delta = fl_csum_replace(delta, ip->daddr, to->daddr.word[3]);
		ip->saddr = to->saddr.word[3];
		ip->daddr = to->daddr.word[3];
		ip->ttl--;
		ip->check = fl_csum_update(ip->check, fl_csum_replace(delta, before, *ttl_proto));
		return 0; /* ICMP has no pseudo header */
	} else {
		struct ipv6hdr *ip = header;
		__be32 *saddr = ip->saddr.in6_u.u6_addr32, *daddr = ip->daddr.in6_u.u6_addr32;
		int i;

#pragma clang loop unroll(disable)
		for (i = 0; i < 4; i++) {
			delta = fl_csum_replace(delta, saddr[i], to->saddr.word[i]);
			delta = fl_csum_replace(delta, daddr[i], to->daddr.word[i]);
			saddr[i] = to->saddr.word[i];
			daddr[i] = to->daddr.word[i];
		}
		ip->hop_limit--;
		return delta;
	}
}

static __always_inline __u32 icmp_ip_len(const void *header, enum fl_family family)
{
	return family == FL_IPV4 ? bpf_ntohs(((const struct iphdr *)header)->tot_len)
				 : bpf_ntohs(((const struct ipv6hdr *)header)->payload_len) +
					   sizeof(struct ipv6hdr);
}

/** The first news of an opening that nobody answered: as good as a refusal. */
static __always_inline void icmp_count(struct fl_nat_entry *entry)
{
	if (entry->dir != FL_NAT_REPLY || entry->flags || entry->failed)
		return;
	entry->failed = 1;
	answers_count(entry->endpoint, ANSWER_REFUSED);
}

static __always_inline int icmp_rewrite(void *ip, struct icmp_head *icmp, struct icmp_ports *ports,
	const void *end, const struct fl_flow *to, enum fl_family family)
{
	__u64 icmp_delta = 0;
	__u64 delta = icmp_rewrite_addresses(icmp + 1, family, to, &icmp_delta);

	icmp_delta += icmp_rewrite_ports(ports, end, to, delta);
	icmp_delta += icmp_rewrite_header(ip, family, to);
	icmp->check = fl_csum_update(icmp->check, icmp_delta);
	return 0;
}

/* Not inlined, since together with what else is on the way here their stack would be too much. */
static __noinline int icmp_rewrite4(void *ip, struct icmp_head *icmp, struct icmp_ports *ports,
	const void *end, const struct fl_flow *to)
{
	return icmp_rewrite(ip, icmp, ports, end, to, FL_IPV4);
}

static __noinline int icmp_rewrite6(void *ip, struct icmp_head *icmp, struct icmp_ports *ports,
	const void *end, const struct fl_flow *to)
{
	return icmp_rewrite(ip, icmp, ports, end, to, FL_IPV6);
}

/** Where to, and how it gets there; what both families have on the stack once. */
struct icmp_way {
	struct fl_flow key;
	struct hop hop;
};

/** Find the flow. @param key  set: the quoted packet, turned round
 * @return NULL = the error is about none of ours */
static __always_inline struct fl_nat_entry *icmp_find(
	void *icmp, void *end, enum fl_family family, struct fl_flow *key, struct icmp_ports **ret)
{
	__u32 quote_len = family == FL_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	void *quote = icmp + sizeof(struct icmp_head);
	struct icmp_ports *ports;
	__u32 ports_at;

	if (quote + quote_len > end || !icmp_is_error(family, ((struct icmp_head *)icmp)->type))
		return NULL;
	ports_at = icmp_read_quote(quote, family, key);
	if (!ports_at || (key->proto != IPPROTO_TCP && key->proto != IPPROTO_UDP))
		return NULL;
	*ret = ports = quote + (ports_at & 0x3c);
	if ((void *)(ports + 1) > end)
		return NULL;
	key->sport = ports->dport;
	key->dport = ports->sport;
	return nat_find(key);
}

/** @param p  with ctx, family, ip and l4 @return an XDP action when it is sent on, or a
 * negative reason */
static __always_inline int icmp_translate(
	struct pkt *p, enum fl_family family, struct icmp_way *way)
{
	void *end = (void *)(long)p->ctx->data_end;
	struct icmp_head *icmp = p->l4;
	struct fl_nat_entry *entry;
	struct icmp_ports *ports;
	int err, asked;

	entry = icmp_find(icmp, end, family, &way->key, &ports);
	if (!entry)
		return -FL_PASS_PROTOCOL;
	err = icmp_check_header(p->ip, family, &way->key);
	if (err)
		return err;

	way->key = entry->to;
	p->endpoint = entry->endpoint;
	p->ip_len = icmp_ip_len(p->ip, family);
	if (entry->dir == FL_NAT_REPLY)
		asked = hop_ask(p->ctx, &way->key, family, p->ip_len, &way->hop);
	else
		asked = nat_hop(p, &way->key, &way->hop);
	if (asked && asked != -FL_PASS_NEIGHBOUR)
		return asked;
	if (icmp_is_unreachable(family, icmp))
		icmp_count(entry);

	if (family == FL_IPV4)
		icmp_rewrite4(p->ip, icmp, ports, end, &way->key);
	else
		icmp_rewrite6(p->ip, icmp, ports, end, &way->key);
	if (asked)
		return asked;
	err = frame_send(p, &way->hop);
	return err ? err : p->action;
}

/**
 * A packet that is neither TCP nor UDP: perhaps news for one of our flows. A global function that
 * begins with the frame, so that the verifier walks through it once, and packets that are
 * forwarded keep nothing for it.
 * @return an XDP action when it is sent on, or a negative reason
 */
__noinline int nat_icmp(struct xdp_md *ctx)
{
	struct icmp_way way = { 0 };
	struct pkt p = { .ctx = ctx, .action = XDP_TX };

	if (!ctx)
		return -FL_PASS_PROTOCOL;
	p.end = (void *)(long)ctx->data_end;
	if (parse_link(&p))
		return -FL_PASS_PROTOCOL;
	if (p.ethertype == bpf_htons(ETH_P_IP)) {
		p.family = FL_IPV4;
		if (parse_ip(&p) != -FL_PASS_PROTOCOL || p.proto != IPPROTO_ICMP)
			return -FL_PASS_PROTOCOL;
		return icmp_translate(&p, FL_IPV4, &way);
	}
	p.family = FL_IPV6;
	p.l4 = p.ip + sizeof(struct ipv6hdr);
	if (p.l4 > p.end || ((struct ipv6hdr *)p.ip)->nexthdr != IPPROTO_ICMPV6)
		return -FL_PASS_PROTOCOL;
	return icmp_translate(&p, FL_IPV6, &way);
}
