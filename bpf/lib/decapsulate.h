/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/csum.h"
#include "lib/maps_target.h"
#include "lib/packet.h"
#include "lib/parse.h"

/**
 * @file decapsulate.h
 * Stages of the target path: is it a tunnel of ours, and the packet inside.
 *
 * Other tunnels may pass through or end at this node, so only what meets all of
 * this is ours: it ends at an address of this node, and holds a packet for an
 * address that this node serves. Ours from a host that is no balancer is dropped;
 * all else is the stack's.
 */
struct tunnel {
	struct xdp_md *ctx;
	void *end;
	void *outer;
	void *inner;
	__u32 outer_len;
	__u8 inner_family; /**< enum fl_family */
	__u8 ecn;          /**< of the outer header */
};

#define ECN_MASK 3
#define ECN_CE   3 /**< congestion experienced */
#define ECN_ECT1 1
#define ECN_ECT0 2

/** @param inner  where the header of protocol `proto` begins */
static __always_inline int tunnel_inner(struct tunnel *t, void *inner, __u8 proto)
{
	t->outer_len = inner - t->outer;
	t->inner = inner;
	if (proto == IPPROTO_IPIP)
		t->inner_family = FL_IPV4;
	else if (proto == IPPROTO_IPV6)
		t->inner_family = FL_IPV6;
	else
		return -FL_PASS_NO_SERVICE;
	return 0;
}

static __always_inline int tunnel_parse_ipv4(struct tunnel *t)
{
	struct iphdr *ip = t->outer;

	if ((void *)(ip + 1) > t->end || ip->version != 4 || ip->ihl < 5)
		return -FL_PASS_UNREADABLE;
	/* A fragment can only be put together by the stack. */
	if (ip->frag_off & (IPV4_MF | IPV4_OFFSET))
		return -FL_PASS_NO_SERVICE;
	t->ecn = ip->tos & ECN_MASK;
	return tunnel_inner(t, t->outer + ip->ihl * 4, ip->protocol);
}

static __always_inline int tunnel_parse_ipv6(struct tunnel *t)
{
	struct ipv6hdr *ip = t->outer;
	void *data = (void *)(long)t->ctx->data;
	__u64 chain;

	if ((void *)(ip + 1) > t->end || ip->version != 6)
		return -FL_PASS_UNREADABLE;
	t->ecn = bpf_ntohs(*(__be16 *)ip) >> 4 & ECN_MASK;
	if (!is_extension(ip->nexthdr))
		return tunnel_inner(t, ip + 1, ip->nexthdr);

	chain = parse_extensions(t->ctx, (void *)(ip + 1) - data, ip->nexthdr);
	if (CHAIN_PART(chain) != PART_WHOLE)
		return -FL_PASS_NO_SERVICE;
	return tunnel_inner(t, data + (CHAIN_OFFSET(chain) & 0x1fff), CHAIN_PROTO(chain));
}

static __always_inline void ip_load(struct fl_ip *ip, enum fl_family family, const __be32 *word)
{
	ip->word[0] = family == FL_IPV4 ? 0 : word[0];
	ip->word[1] = family == FL_IPV4 ? 0 : word[1];
	ip->word[2] = family == FL_IPV4 ? bpf_htonl(0xffff) : word[2];
	ip->word[3] = family == FL_IPV4 ? word[0] : word[3];
}

/** Does this node have the address, for all that `bits` ask? */
static __always_inline bool address_is(const struct fl_ip *ip, __u32 bits)
{
	__u32 *found = bpf_map_lookup_elem(&fl_addresses, ip);

	return found && (*found & bits) == bits;
}

/** Is the packet inside for one of this node's services? Its header is checked on the way. */
static __always_inline int tunnel_check_inner(struct tunnel *t)
{
	struct fl_ip daddr;

	if (t->inner_family == FL_IPV4) {
		struct iphdr *ip = t->inner;

		if ((void *)(ip + 1) > t->end || ip->version != 4 || ip->ihl < 5)
			return -FL_DROP_MALFORMED;
		ip_load(&daddr, FL_IPV4, &ip->daddr);
	} else {
		struct ipv6hdr *ip = t->inner;

		if ((void *)(ip + 1) > t->end || ip->version != 6)
			return -FL_DROP_MALFORMED;
		ip_load(&daddr, FL_IPV6, ip->daddr.in6_u.u6_addr32);
	}
	return address_is(&daddr, FL_ADDRESS_SERVICE) ? 0 : -FL_PASS_NO_SERVICE;
}

/** Does the tunnel end here, and who sent it? @param family  of the outer header, constant */
static __always_inline int tunnel_check(struct tunnel *t, enum fl_family family)
{
	struct fl_prefix_key source = { .bits = 128 };
	struct fl_ip daddr;
	int err;

	if (family == FL_IPV4) {
		struct iphdr *ip = t->outer;

		ip_load(&source.addr, family, &ip->saddr);
		ip_load(&daddr, family, &ip->daddr);
	} else {
		struct ipv6hdr *ip = t->outer;

		ip_load(&source.addr, family, ip->saddr.in6_u.u6_addr32);
		ip_load(&daddr, family, ip->daddr.in6_u.u6_addr32);
	}
	if (!address_is(&daddr, FL_ADDRESS_LOCAL))
		return -FL_PASS_NO_SERVICE;
	err = tunnel_check_inner(t);
	if (err)
		return err;
	return bpf_map_lookup_elem(&fl_balancers, &source) ? 0 : -FL_DROP_NOT_ALLOWED;
}

/**
 * Carry what the outer header says of congestion over to the inner one (RFC 6040,
 * section 4.2). A packet of a transport that does not know ECN cannot carry it.
 */
static __always_inline int tunnel_congestion(struct tunnel *t)
{
	__be16 *word = t->inner, before = *word; /* version, length, class: both families */
	__u8 shift = t->inner_family == FL_IPV4 ? 0 : 4;
	__u8 ecn = bpf_ntohs(before) >> shift & ECN_MASK;

	if (likely(t->ecn != ECN_CE && !(t->ecn == ECN_ECT1 && ecn == ECN_ECT0)))
		return 0;
	if (!ecn)
		return -FL_DROP_CONGESTED;
	*word = bpf_htons((bpf_ntohs(before) & ~(ECN_MASK << shift)) | t->ecn << shift);
	if (t->inner_family == FL_IPV4) {
		struct iphdr *ip = t->inner;

		ip->check = fl_csum_update(ip->check, fl_csum_replace(0, before, *word));
	}
	return 0;
}

/** Cut the outer header out; what came before it stays, with another EtherType. */
static __always_inline int tunnel_unwrap(struct tunnel *t, __u32 tags)
{
	__be16 type = t->inner_family == FL_IPV4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	__u32 link[ETH_HLEN / 4 + VLAN_TAGS_MAX];
	__u32 *word;
	__u32 i;

	/* 12 bytes of addresses, then tags, then the EtherType. */
	word = (void *)(long)t->ctx->data;
	if ((void *)(word + 3 + VLAN_TAGS_MAX) > t->end)
		return -FL_DROP_INTERNAL;
#pragma unroll
	for (i = 0; i < 3 + VLAN_TAGS_MAX; i++)
		link[i] = word[i];
	if (bpf_xdp_adjust_head(t->ctx, (int)t->outer_len))
		return -FL_DROP_INTERNAL;
	word = (void *)(long)t->ctx->data;
	/* An IP header follows, so there is room for the most tags in any case. */
	if ((void *)(word + 4 + VLAN_TAGS_MAX) > (void *)(long)t->ctx->data_end)
		return -FL_DROP_INTERNAL;
#pragma unroll
	for (i = 0; i < 3; i++)
		word[i] = link[i];
	if (tags > 0)
		word[3] = link[3];
	if (tags > 1)
		word[4] = link[4];
	*(__be16 *)(word + 3 + (tags & 3)) = type;
	return -FL_PASS_DECAPSULATED;
}
