/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/maps.h"
#include "lib/memo.h"
#include "lib/packet.h"

/**
 * @file service.h
 * Which frontend, and so which service, a packet is for.
 */

static __always_inline void frontend_key_ipv4(struct fl_frontend_key *key, __be32 addr)
{
	key->addr.word[0] = 0;
	key->addr.word[1] = 0;
	key->addr.word[2] = bpf_htonl(0xffff);
	key->addr.word[3] = addr;
}

static __always_inline void frontend_key_ipv6(struct fl_frontend_key *key, const void *addr)
{
	const __be32 *word = addr;

	key->addr.word[0] = word[0];
	key->addr.word[1] = word[1];
	key->addr.word[2] = word[2];
	key->addr.word[3] = word[3];
}

static __always_inline bool frontend_take(struct pkt *p, struct fl_frontend_key *key)
{
	struct fl_frontend_row *row = bpf_map_lookup_elem(&fl_frontends, key);

	if (!row)
		return false;
	p->service = row->service;
	p->frontend = row->frontend;
	return true;
}

static __always_inline void frontend_key(const struct pkt *p, struct fl_frontend_key *key)
{
	if (p->family == FL_IPV4)
		frontend_key_ipv4(key, ((struct iphdr *)p->ip)->daddr);
	else
		frontend_key_ipv6(key, &((struct ipv6hdr *)p->ip)->daddr);
	key->port = p->dport;
	key->proto = p->proto;
	key->pad = 0;
}

/* Exact port first, then port 0. */
static __always_inline int frontend_search(struct pkt *p)
{
	struct fl_frontend_key key;

	frontend_key(p, &key);
	if (likely(frontend_take(p, &key)))
		return 0;
	key.port = 0;
	return frontend_take(p, &key) ? 0 : -FL_PASS_NO_SERVICE;
}

/** The frontend of a packet with ports, if it is remembered. @param key  set, as ret_memo is */
static __always_inline bool frontend_recall(struct pkt *p, struct memo *key, struct memo **ret_memo)
{
	struct memo *memo;

	memo_key(p, key);
	*ret_memo = memo = memo_at(key);
	if (unlikely(!memo || !memo_is(memo, key, p->family)))
		return false;
	p->service = memo->row.service;
	p->frontend = memo->row.frontend;
	return true;
}

/**
 * The frontend of a packet with ports.
 * @param explain  constant: remember nothing
 */
static __always_inline int frontend_lookup(struct pkt *p, bool explain)
{
	struct memo *memo;
	struct memo key;
	int err;

	if (explain)
		return frontend_search(p);
	if (likely(frontend_recall(p, &key, &memo)))
		return 0;
	err = frontend_search(p);
	if (!err && memo && memo_may_be_kept(&key)) {
		memo->addr[0] = key.addr[0];
		memo->addr[1] = key.addr[1];
		memo->rest = key.rest;
		memo->row.service = p->service;
		memo->row.frontend = p->frontend;
	}
	return err;
}

/** Whether a packet is for one of our addresses, and the service that owns it alone. */
static __always_inline int frontend_lookup_address(struct pkt *p)
{
	struct fl_frontend_row *row;
	struct fl_frontend_key key;

	frontend_key(p, &key);
	row = bpf_map_lookup_elem(&fl_vips, &key.addr);
	if (!row)
		return -FL_PASS_NO_SERVICE;
	p->service = row->service;
	p->frontend = row->frontend;
	return 0;
}

/**
 * The service of a packet that is not whole. Every fragment of a datagram must go
 * one way, and only the first has ports; so fragments belong to the service
 * that owns the address alone, or to nobody. A header cut short is malformed,
 * when it is for an address of ours.
 */
static __always_inline int frontend_lookup_part(struct pkt *p, enum pkt_part part, bool explain)
{
	__u32 service = 0;
	int err;

	if (part == PART_FIRST) {
		err = frontend_lookup(p, explain);
		if (err)
			return err;
		service = p->service;
	}
	err = frontend_lookup_address(p);
	if (err)
		return err;
	if (part == PART_CUT || p->ip + p->ip_len > p->end)
		return -FL_DROP_MALFORMED;
	if (!p->service || (part == PART_FIRST && p->service != service))
		return -FL_DROP_FRAGMENT;
	p->sport = 0;
	p->dport = 0;
	p->fragment = true;
	return 0;
}

/** Do the lengths that the headers state agree with each other and the frame?
 * Of whole packets only. */
static __always_inline int check_lengths(struct pkt *p)
{
	__u32 l4_offset = p->l4 - p->ip;

	if (unlikely(p->ip + p->ip_len > p->end))
		return -FL_DROP_MALFORMED;
	if (p->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = p->l4;

		if (unlikely((void *)(tcp + 1) > p->end || tcp->doff < 5 ||
			     l4_offset + tcp->doff * 4 > p->ip_len))
			return -FL_DROP_MALFORMED;
		p->tcp_flags = ((__u8 *)tcp)[13];
		p->check = &tcp->check;
	} else {
		struct udphdr *udp = p->l4;

		if (unlikely((void *)(udp + 1) > p->end))
			return -FL_DROP_MALFORMED;
		if (unlikely(bpf_ntohs(udp->len) < sizeof(*udp) ||
			     l4_offset + bpf_ntohs(udp->len) > p->ip_len))
			return -FL_DROP_MALFORMED;
		p->check = &udp->check;
	}
	return 0;
}
