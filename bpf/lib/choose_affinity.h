/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/choose_tier.h"

/**
 * @file choose_affinity.h
 * A client keeps its endpoint for some time. On the node path a client is a network
 * namespace: its connections have no address of their own yet.
 */

union affinity {
	struct fl_affinity is;
	__u64 word; /* what is exchanged at once */
};

static __always_inline bool affinity_is_member(const struct pick *p, __u32 endpoint)
{
	const struct fl_pool_head *head = pool_head(p->pool);
	__u32 row = pool_members_row(p->pool);

	for (int tier = 0; head && tier < FL_TIERS; tier++)
		if (pool_find(row, head->tier[tier].first, head->tier[tier].count, endpoint))
			return true;
	return false;
}

/** Whether the endpoint can be had: it is up, takes connections, and is not ejected. */
__noinline int affinity_obey(struct pick *p, __u32 endpoint)
{
	__u32 found;

	if (!p || !endpoint || !affinity_is_member(p, endpoint))
		return 0;
	found = candidate_check(endpoint, p->service, p->only, p->tcp, p->now);
	if (found == CANDIDATE_TRIAL)
		p->trial = candidate_try(endpoint, p->now);
	return found == CANDIDATE_GOOD || (found == CANDIDATE_TRIAL && p->trial);
}

static __always_inline __u64 affinity_swap(struct fl_affinity *kept, __u64 old, __u64 new)
{
	return __sync_val_compare_and_swap((__u64 *)kept, old, new);
}

/* Another connection of this client was faster: where did that go? */
static __always_inline __u32 affinity_winner(const struct fl_affinity_key *key)
{
	struct fl_affinity *kept = bpf_map_lookup_elem(&fl_affinity, key);

	return kept ? READ_ONCE(kept->endpoint) : 0;
}

/** Keep what was picked. @return who is to be used: the first to be kept counts */
static __always_inline __u32 affinity_keep(struct pick *p, const struct fl_affinity_key *key,
	struct fl_affinity *kept, union affinity old, union affinity new)
{
	__u32 winner;

	if (kept && affinity_swap(kept, old.word, new.word) == old.word)
		return new.is.endpoint;
	if (!kept && map_update(&fl_affinity, key, &new.is, BPF_NOEXIST) == 0)
		return new.is.endpoint;
	winner = affinity_winner(key);
	return !p->trial && affinity_obey(p, winner) ? winner : new.is.endpoint;
}

/** The endpoint that the client had last, else a new one. @return 0 = there is none */
static __always_inline __u32 affinity_pick(struct pick *p, __u32 timeout_s)
{
	struct fl_affinity_key key = { 0 };
	union affinity old = { .word = 0 }, new = { .word = 0 };
	struct fl_affinity *kept;

	key.netns = p->netns;
	key.service = p->service;
	key.family = p->family;
	new.is.seen = bpf_ktime_get_boot_ns() / 1000000000ull;
	kept = bpf_map_lookup_elem(&fl_affinity, &key);
	if (kept) {
		old.word = READ_ONCE(*(__u64 *)kept);
		new.is.endpoint = old.is.endpoint;
		if ((__s32)(new.is.seen - old.is.seen) < (__s32)timeout_s &&
			affinity_obey(p, old.is.endpoint)) {
			if (new.word != old.word)
				affinity_swap(kept, old.word, new.word);
			return old.is.endpoint;
		}
	}
	new.is.endpoint = pick_from_pool(p);
	return new.is.endpoint ? affinity_keep(p, &key, kept, old, new) : 0;
}
