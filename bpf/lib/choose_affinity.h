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

static __always_inline __u32 affinity_second(void)
{
	return bpf_ktime_get_boot_ns() / 1000000000ull;
}

static __always_inline struct fl_affinity *affinity_find(
	const struct pick *p, struct fl_affinity_key *key)
{
	key->netns = p->netns;
	key->service = p->service;
	key->family = p->family;
	return bpf_map_lookup_elem(&fl_affinity, key);
}

/* Whether what is kept is not too old, and can be had. */
static __always_inline bool affinity_is_good(
	struct pick *p, const union affinity *kept, __u32 now_s, __u32 timeout_s)
{
	return (__s32)(now_s - kept->is.seen) < (__s32)timeout_s &&
	       affinity_obey(p, kept->is.endpoint);
}

/*
 * What is done before and after picking are functions of their own, so that their
 * variables are not on the stack while one is picked.
 */

/** The endpoint that the client had last. @return 0 = none, or it cannot be had */
__noinline __u32 affinity_recall(struct pick *p, __u32 timeout_s)
{
	struct fl_affinity_key key = { 0 };
	struct fl_affinity *kept = p ? affinity_find(p, &key) : NULL;
	union affinity old, new;

	if (!p || !kept)
		return 0;
	old.word = READ_ONCE(*(__u64 *)kept);
	new.is.endpoint = old.is.endpoint;
	new.is.seen = affinity_second();
	if (!affinity_is_good(p, &old, new.is.seen, timeout_s))
		return 0;
	if (new.word != old.word && !CHOOSE_ONLY_ASKS)
		__sync_val_compare_and_swap((__u64 *)kept, old.word, new.word);
	return old.is.endpoint;
}

/** Keep an endpoint that was picked for the client. @return who is to be used: of connections that begin at the
 * same time, what the first one kept counts */
__noinline __u32 affinity_keep(struct pick *p, __u32 endpoint, __u32 timeout_s)
{
	struct fl_affinity_key key = { 0 };
	union affinity old, new = { .word = 0 };
	struct fl_affinity *kept;

	if (!p || CHOOSE_ONLY_ASKS)
		return endpoint;
	new.is.endpoint = endpoint;
	new.is.seen = affinity_second();
	kept = affinity_find(p, &key);
	if (!kept && map_update(&fl_affinity, &key, &new.is, BPF_NOEXIST) == 0)
		return endpoint;
	if (!kept)
		kept = bpf_map_lookup_elem(&fl_affinity, &key);
	if (!kept)
		return endpoint;
	old.word = READ_ONCE(*(__u64 *)kept);
	if (!p->trial && affinity_is_good(p, &old, new.is.seen, timeout_s))
		return old.is.endpoint;
	__sync_val_compare_and_swap((__u64 *)kept, old.word, new.word);
	return endpoint;
}

/** The endpoint that the client had last, else a new one. @return 0 = there is none */
static __always_inline __u32 affinity_pick(struct pick *p, __u32 timeout_s)
{
	__u32 endpoint = affinity_recall(p, timeout_s);

	if (endpoint)
		return endpoint;
	endpoint = pick_from_pool(p);
	return endpoint ? affinity_keep(p, endpoint, timeout_s) : 0;
}
