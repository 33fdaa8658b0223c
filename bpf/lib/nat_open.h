/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/errno.h>

#include "lib/conf.h"
#include "lib/nat_table.h"

/**
 * @file nat_open.h
 * A new nat connection: a source port for it and its two entries.
 *
 * The reply entry owns the pair of source address and port. It is inserted first
 * and with BPF_NOEXIST, so of two packets that want the same pair one gets it,
 * without a lock. The forward entry follows; until it is there the client's next
 * packet may come here too, and loses at that insert.
 *
 * All pairs towards an endpoint are walked, starting at one given by the flow's
 * hash: index × odd modulo a power of two reaches every number below that power
 * once, and numbers that are no pair are skipped. `nat_used` says beforehand
 * when there is none left, so that a flood does not walk in vain.
 */
struct nat_open {
	struct fl_flow reply; /**< key: as the endpoint answers */
	struct fl_nat_entry entry;
	__u32 hash;
	__u32 pairs;
	__s16 err;   /**< 0 = no pair found yet, 1 = found, else -errno of the insert */
	__u8 family; /**< enum fl_family */
	__u8 pad;
};

static __always_inline __u32 nat_ports(void)
{
	return (__u32)fl_conf.nat_port_max - fl_conf.nat_port_min + 1;
}

/** Put pair `n` into the key that replies will have; without a list of sources
 * there is one, which is in the key already. */
static __always_inline void nat_pair(struct nat_open *o, __u32 n)
{
	__u32 family = o->family == FL_IPV4 ? FL_IPV4 : FL_IPV6;
	const volatile struct fl_ip *ip;
	__u64 source = n / nat_ports();

	o->reply.dport = bpf_htons(fl_conf.nat_port_min + n % nat_ports());
	if (!fl_conf.nat_sources[family])
		return;
	/* The verifier takes a 32-bit quotient for any 64-bit number (6.18: "math between
	 * map_value pointer and register with unbounded min value"), and the compiler
	 * drops a test that cannot fail. */
#ifdef __bpf__
	asm volatile("%0 &= %1" : "+r"(source) : "i"(FL_NAT_SOURCES_MAX - 1));
#endif
	ip = &fl_conf.nat_source[family][source];
	o->reply.daddr.word[0] = ip->word[0];
	o->reply.daddr.word[1] = ip->word[1];
	o->reply.daddr.word[2] = ip->word[2];
	o->reply.daddr.word[3] = ip->word[3];
}

/** The power of two that is no less than `pairs`, less 1. */
static __always_inline __u32 nat_mask(__u32 pairs)
{
	__u32 mask = pairs - 1;

	mask |= mask >> 1;
	mask |= mask >> 2;
	mask |= mask >> 4;
	mask |= mask >> 8;
	return mask | mask >> 16;
}

/** One step of the walk. @return 1 to stop */
static long nat_try(__u32 index, struct nat_open *o)
{
	__u32 n = (o->hash + index * (o->hash >> 16 | 1)) & nat_mask(o->pairs);
	void *table;
	int err;

	if (n >= o->pairs)
		return 0;
	nat_pair(o, n);

	table = nat_generation(0);
	if (!table) {
		o->err = -ENOENT;
		return 1;
	}
	err = map_update(table, &o->reply, &o->entry, BPF_NOEXIST);
	if (err == -EEXIST)
		return 0;
	if (err) {
		o->err = err;
		return 1;
	}
	/* Looked at after the insert: a table that became an older one meanwhile
	 * cannot hide the pair's owner then. */
	if (nat_find_from(1, &o->reply, &n)) {
		bpf_map_delete_elem(table, &o->reply);
		return 0;
	}
	o->err = 1;
	return 1;
}

/**
 * Insert the forward entry of a connection that has its port. Keys take turns in
 * o->reply: the stack has no room for two, and `forward` may lie where Linux 6.1
 * does not look keys up.
 */
static __always_inline int nat_open_forward(
	struct nat_open *o, const struct fl_flow *forward, __u8 seen)
{
	void *table = nat_generation(0);
	struct fl_nat_entry *other;
	int err;

	fl_flow_reverse(&o->reply, &o->entry.to);
	o->entry.dir = 0;
	o->entry.flags = seen;
	o->reply = *forward;
	err = table ? map_update(table, &o->reply, &o->entry, BPF_NOEXIST) : -ENOENT;
	if (!err)
		return 0;

	fl_flow_reverse(&o->entry.to, &o->reply);
	if (nat_remove(&o->reply))
		nat_used_put(o->entry.endpoint, o->reply.proto);
	if (err != -EEXIST)
		return -FL_DROP_TABLE_FULL;
	/* Another packet of this flow was faster: what it chose is the answer. */
	o->reply = *forward;
	other = nat_find(&o->reply);
	if (!other)
		return -FL_DROP_NO_FLOW;
	o->entry.to = other->to;
	o->entry.endpoint = other->endpoint;
	return 0;
}

/**
 * Open a connection.
 *
 * @param o        family, hash, entry.{endpoint,frontend,service,seen} and reply (the
 *                 endpoint; the source too, where no list is configured) are filled
 *                 in; entry.to is what packets of the client must leave with, on success
 * @param forward  as the client sends; copied where it is a key
 * @param seen     FL_NAT_SEEN_* of the packet at hand
 * @param bounded  whether `nat_used` counts what the pairs are taken by: not for an
 *                 endpoint of all ports, of which each has all pairs
 * @return 0 or a negative reason
 */
static __always_inline int nat_open(
	struct nat_open *o, const struct fl_flow *forward, __u8 seen, bool bounded)
{
	__u32 family = o->family == FL_IPV4 ? FL_IPV4 : FL_IPV6;
	__u32 sources = fl_conf.nat_sources[family];
	__u32 *used = nat_used(o->entry.endpoint, forward->proto);

	if (!used)
		return -FL_DROP_INTERNAL;
	o->pairs = nat_ports() * (sources ? sources : 1);

	if ((__s32)__sync_fetch_and_add(used, 1) >= (__s32)o->pairs && bounded) {
		__sync_fetch_and_add(used, -1);
		return -FL_DROP_NO_PORT;
	}

	o->reply.proto = forward->proto;
	fl_flow_reverse(forward, &o->entry.to);
	o->entry.dir = FL_NAT_REPLY;
	o->entry.flags = 0;
	o->err = 0;
	bpf_loop(nat_mask(o->pairs) + 1, nat_try, o, 0);
	if (o->err != 1) {
		__sync_fetch_and_add(used, -1);
		return o->err ? -FL_DROP_TABLE_FULL : -FL_DROP_NO_PORT;
	}
	return nat_open_forward(o, forward, seen);
}
