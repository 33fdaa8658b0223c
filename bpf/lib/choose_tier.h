/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/choose_pick.h"

/**
 * @file choose_tier.h
 * Which tier a connection gets its endpoint from: the nearest that may have it, unless
 * what is there has too much to do.
 */

static __always_inline bool pick_enter(struct pick *p, const struct fl_pool_head *head, __u32 tier)
{
	const struct fl_pool_tier *t = &head->tier[tier];

	p->tier = tier;
	p->first = t->first;
	p->count = t->count;
	p->is_all = t->count == head->tier[0].count + head->tier[1].count + head->tier[2].count;
	p->endpoint = 0;
	p->trial = 0;
	return t->count > 0;
}

static __always_inline int pick_by(struct pick *p, __u32 balance)
{
	switch (balance) {
	case FL_MAGLEV: /* without a key it is a draw by weight, which a tier does better */
		return p->keyed || p->is_all ? pick_maglev(p) : pick_random(p);
	case FL_ROUND_ROBIN:
		return pick_round_robin(p);
	case FL_LEAST_CONNECTIONS:
		return pick_least(p);
	case FL_P2C:
		return pick_p2c(p);
	default:
		return pick_random(p);
	}
}

/** @return whether p->endpoint was chosen */
__noinline int pick_in_tier(struct pick *p, __u32 tier)
{
	const struct fl_pool_head *head = p ? pool_head(p->pool) : NULL;

	if (!p || !head || tier >= FL_TIERS || !pick_enter(p, head, tier))
		return 0;
	return pick_by(p, head->balance) || pick_any(p);
}

/* Only while its own tier is looked at. */
static __always_inline __u32 pick_weight(const struct pick *p)
{
	__u32 found = pool_find(pool_members_row(p->pool), p->first, p->count, p->endpoint);

	return found ? pick_member_weight(p, found - 1) : 1;
}

/**
 * The near endpoint that was picked is passed over if its load is too large beside that
 * of a farther one, drawn: load / weight >= spill % of (farther load + 1) / its weight.
 * @param near  where it was picked
 * @param far   which tier to look into; the next one first
 */
__noinline int pick_spill(struct pick *p, __u32 near, __u32 far)
{
	const struct fl_pool_head *head = p ? pool_head(p->pool) : NULL;
	__u32 endpoint, far_weight;
	__u64 load;

	if (!p || !head || far >= FL_TIERS || !head->spill)
		return 0;
	endpoint = p->endpoint;
	load = load_get(endpoint, p->now);
	if (p->tier == near)
		p->weight = pick_weight(p);
	if (!pick_enter(p, head, far) || !pick_random(p)) {
		p->endpoint = endpoint;
		return 0;
	}
	far_weight = pick_member_weight(p, p->number);
	if (!p->trial && load * 100 * far_weight <
				 head->spill * (load_get(p->endpoint, p->now) + 1) * p->weight) {
		p->endpoint = endpoint;
		return 0;
	}
	p->weight = far_weight;
	return 1;
}

/* Whether a choice stays in a tier, as far as shares go. */
static __always_inline bool pick_stays(const struct fl_pool_head *head, __u32 tier, __u32 roll)
{
	if (tier == 0)
		return (roll & 0xffff) % 100 < head->share[0];
	if (tier == 1)
		return (roll >> 16) % 100 < head->share[1];
	return true;
}

/** Pick from the nearest tier that may have it. @return an endpoint, 0 = there is none */
__noinline __u32 pick_from_pool(struct pick *p)
{
	const struct fl_pool_head *head = p ? pool_head(p->pool) : NULL;
	__u32 roll;

	if (!p || !head)
		return 0;
	roll = p->keyed ? fl_hash_end(fl_hash_mix(p->hash, 1)) : bpf_get_prandom_u32();
	for (__u32 tier = 0; tier < FL_TIERS; tier++) {
		if (!pick_stays(head, tier, roll) || !pick_in_tier(p, tier))
			continue;
		for (__u32 far = tier + 1; far < FL_TIERS && !p->trial; far++)
			pick_spill(p, tier, far);
		return p->endpoint;
	}
	for (__u32 tier = 0; tier < FL_TIERS; tier++)
		if (pick_in_tier(p, tier))
			return p->endpoint;
	return p->last_resort;
}
