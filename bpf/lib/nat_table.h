/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/nat.h"
#include "lib/maps.h"
#include "lib/packet.h"

/**
 * @file nat_table.h
 * The tables of nat flows: generations from the newest to the oldest. New
 * entries go to the newest; the two entries of a connection may lie in different
 * ones, so every look-up and every removal goes through all.
 *
 * A flow that began before the table grew would pay for a miss in each newer one,
 * packet after packet. So each CPU remembers, by a few bits of the key, in which
 * generation it found a flow last, and begins there; it is a hint, which may be wrong.
 */
#define NAT_HINT_BITS 12

struct nat_hints {
	__u8 position[1 << NAT_HINT_BITS];
};

MAP_PERCPU(nat_hints, struct nat_hints, 1);

static __always_inline void *nat_generation(__u32 position)
{
	return bpf_map_lookup_elem(&fl_nat, &position);
}

/** NULL = no hints are kept. */
static __always_inline __u8 *nat_hint(const struct fl_flow *key)
{
	__u32 zero = 0, hash = key->saddr.word[3] + key->daddr.word[3];
	struct nat_hints *hints = bpf_map_lookup_elem(&nat_hints, &zero);

	hash = (hash + ((__u32)key->sport << 16 | key->dport)) * 0x9e3779b9u;
	return hints ? &hints->position[hash >> (32 - NAT_HINT_BITS)] : NULL;
}

static __always_inline struct fl_nat_entry *nat_find_at(__u32 position, const struct fl_flow *key)
{
	void *table = nat_generation(position);

	return table ? bpf_map_lookup_elem(table, key) : NULL;
}

/** From generation `first` on. @param ret_position  of the entry, if there is one */
static __always_inline struct fl_nat_entry *nat_find_from(
	__u32 first, const struct fl_flow *key, __u32 *ret_position)
{
	struct fl_nat_entry *entry;
	__u32 i;

#pragma unroll
	for (i = 0; i < FL_NAT_GENERATIONS; i++) {
		void *table;

		if (i < first)
			continue;
		table = nat_generation(i);
		if (!table)
			return NULL;
		entry = bpf_map_lookup_elem(table, key);
		if (entry) {
			*ret_position = i;
			return entry;
		}
	}
	return NULL;
}

/** The entry of a tuple, or NULL. Not inlined: six look-ups are a lot of code. */
static __noinline struct fl_nat_entry *nat_find(const struct fl_flow *key)
{
	__u8 *hint = nat_hint(key);
	struct fl_nat_entry *entry = NULL;
	__u32 position = 0;

	if (hint && *hint)
		entry = nat_find_at(*hint, key);
	if (entry)
		return entry;
	entry = nat_find_from(0, key, &position);
	if (entry && hint && *hint != position)
		*hint = position;
	return entry;
}

/** Remove an entry from whatever generation holds it.
 * @return whether this call removed it: true for one caller only */
static __always_inline bool nat_remove(const struct fl_flow *key)
{
	__u32 i;

#pragma unroll
	for (i = 0; i < FL_NAT_GENERATIONS; i++) {
		void *table = nat_generation(i);

		if (!table)
			return false;
		if (!bpf_map_delete_elem(table, key))
			return true;
	}
	return false;
}

/** The count of ports in use towards an endpoint, for one protocol. */
static __always_inline __u32 *nat_used(__u32 endpoint, __u8 proto)
{
	struct fl_nat_used_row *row = bpf_map_lookup_elem(&fl_nat_used, &endpoint);

	if (!row)
		return 0;
	return proto == IPPROTO_TCP ? &row->tcp : &row->udp;
}

static __always_inline void nat_used_put(__u32 endpoint, __u8 proto)
{
	__u32 *used = nat_used(endpoint, proto);

	if (used)
		__sync_fetch_and_add(used, -1);
}

/**
 * Forget a connection. The forward entry goes first, so that no packet of the
 * client is translated to a port that somebody else may own already; whoever
 * removes the reply entry gives the port back.
 */
static __always_inline void nat_forget(
	const struct fl_flow *forward, const struct fl_flow *reply, __u32 endpoint)
{
	nat_remove(forward);
	if (nat_remove(reply))
		nat_used_put(endpoint, reply->proto);
}
