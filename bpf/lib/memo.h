/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/slots.h"

/**
 * @file memo.h
 * What each CPU remembers of `frontends`: the rows that it found last, by what
 * was looked for.
 *
 * A lookup in a hash map is the dearest thing on the settled path; most packets
 * are for few frontends. A memo is right as long as `frontends_epoch` is what it
 * was when the row was looked up, see struct fl_meta_row. Not pinned: it begins
 * empty with each load. A CPU runs one program at a time, so nobody else writes
 * its memos.
 */
#define MEMO_BITS 8

struct memo {
	__u64 addr[2]; /**< struct fl_ip, as two words */
	__u64 rest;    /**< port, protocol, family, epoch */
	struct fl_frontend_row row;
	fl_region region; /**< of the service, when a packet last came by */
	__u32 size;       /**< and the number of its slots */
	__u32 pad;
};

struct memos {
	struct memo memo[1 << MEMO_BITS];
};

MAP_PERCPU(frontend_memos, struct memos, 1);

/** What to look for. Its epoch is read here, before the row is. */
static __always_inline void memo_key(const struct pkt *p, struct memo *key)
{
	__u32 zero = 0;
	const struct fl_meta_row *meta = bpf_map_lookup_elem(&fl_meta, &zero);
	__u32 epoch = meta ? READ_ONCE(meta->frontends_epoch) : 1;

	if (p->family == FL_IPV4) {
		const struct iphdr *ip = p->ip;

		key->addr[0] = 0;
		key->addr[1] = (__u64)ip->daddr << 32 | bpf_htonl(0xffff);
	} else {
		const struct ipv6hdr *ip = p->ip;
		const __be32 *word = ip->daddr.in6_u.u6_addr32;

		key->addr[0] = (__u64)word[1] << 32 | word[0];
		key->addr[1] = (__u64)word[3] << 32 | word[2];
	}
	key->rest = (__u64)epoch << 32 | (__u32)p->family << 24 | (__u32)p->proto << 16 | p->dport;
}

/** Where it would be remembered. */
static __always_inline struct memo *memo_at(const struct memo *key)
{
	__u64 hash = (key->addr[0] ^ (key->addr[1] + (key->rest << 32))) * 0x9e3779b97f4a7c15ull;
	__u32 zero = 0;
	struct memos *memos = bpf_map_lookup_elem(&frontend_memos, &zero);

	return memos ? &memos->memo[hash >> (64 - MEMO_BITS)] : NULL;
}

/** @param family  of the key; the upper half of IPv4 addresses is always the same */
static __always_inline bool memo_is(
	const struct memo *memo, const struct memo *key, enum fl_family family)
{
	return memo->rest == key->rest && memo->addr[1] == key->addr[1] &&
	       (family == FL_IPV4 || memo->addr[0] == key->addr[0]);
}

/**
 * Where the slots are, told before the service's row is there: by the memo, for as long
 * as p->region, which is that row's, says the same. A processor goes on with what the
 * memo says while it waits for the row, and so comes to the slot earlier.
 */
static __always_inline void memo_region(struct memo *memo, struct pkt *p)
{
	if (likely(READ_ONCE(memo->region) == p->region)) {
		/* Read once more, or the compiler would take p->region for it. */
		p->region = READ_ONCE(memo->region);
		p->size = memo->size;
		return;
	}
	p->size = region_size(p->region);
	memo->region = p->region;
	memo->size = p->size;
}

/** Not while `frontends` is changing: the row may be of before as well as of after. */
static __always_inline bool memo_may_be_kept(const struct memo *key)
{
	return !(key->rest >> 32 & 1);
}
