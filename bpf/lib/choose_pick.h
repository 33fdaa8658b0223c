/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/hash.h"
#include "lib/choose_load.h"
#include "lib/choose_pool.h"

/**
 * @file choose_pick.h
 * One endpoint of one tier, by each algorithm.
 *
 * Ejected endpoints are passed over: others are drawn, or looked for one by one. One whose
 * ejection is over is tried by the first connection that comes across it, whatever
 * its load.
 *
 * Functions that are called in several places or have a loop are global: the verifier looks at
 * each of them once, and takes what their `struct pick` holds for anything. Their
 * calls may be eight deep, with 512 bytes of stack in all.
 */

/** Draws until one is good. */
#define PICK_DRAWS 8
/** Draws for a second one that is not the first. */
#define PICK_SECOND_DRAWS 4
/** Members of which the best is looked for; of more, so many from a random one on. */
#define PICK_SCAN 128
/** Slots that a key goes along. */
#define PICK_SLOTS 64

/** No holes, since Linux 6.1 wants all of it to have been written; small, since it stands on
 * the stack of whoever has everything else there, too. */
struct pick {
	__u64 now; /**< nanosecond */
	fl_region region;
	__u64 netns; /**< cookie of the client's network namespace */
	__u32 pool;  /**< place of its head */
	__u32 service;
	__u32 hash;  /**< of the key */
	__u8 family; /**< of the frontend */
	__u8 only;   /**< family that endpoints must have; FL_FAMILIES = any */
	__u8 tcp;
	__u8 keyed; /**< FL_MAGLEV: `hash` decides, not chance */

	/* The tier that is looked at. */
	__u32 first; /**< member of the tier */
	__u32 count; /**< never 0 */
	__u8 tier;
	__u8 is_all; /**< there is no other */

	/* Results. */
	__u8 trial;        /**< it was taken, so it must be used */
	__u8 is_any;       /**< of a search: the first good one will do */
	__u32 endpoint;    /**< 0 = none */
	__u32 number;      /**< of the member; not known of FL_MAGLEV */
	__u32 last_resort; /**< one that is ejected */

	/* Of a search for the best. */
	__u32 start;  /**< within the tier, or the table */
	__u32 load;   /**< of the best so far */
	__u32 weight; /**< of the best so far; 0 = there is none */
	__u32 tied;   /**< weights of all that are as good */
};
_Static_assert(sizeof(struct pick) == 80, "no hole");

static __always_inline __u32 pick_member(const struct pick *p, __u32 number)
{
	return pool_endpoint(pool_members_row(p->pool), number);
}

static __always_inline __u32 pick_member_weight(const struct pick *p, __u32 number)
{
	return pool_weight(pool_members_row(p->pool), p->first, number);
}

/** Take a candidate if it can be. @return whether it is chosen, and the search over */
static __always_inline bool pick_take(struct pick *p, __u32 number, __u32 endpoint)
{
	__u32 found = candidate_check(endpoint, p->service, p->only, p->tcp, p->now);

	if (found == CANDIDATE_EJECTED)
		p->last_resort = endpoint;
	if (found == CANDIDATE_TRIAL)
		p->trial = candidate_try(endpoint, p->now);
	if (found != CANDIDATE_GOOD && !(found == CANDIDATE_TRIAL && p->trial))
		return false;
	p->number = number;
	p->endpoint = endpoint;
	return true;
}

static __always_inline __u32 pick_draw(const struct pick *p)
{
	return pool_draw(pool_members_row(p->pool), p->first, p->count, bpf_get_prandom_u32());
}

/* ------------------------------------------------------------- random, and p2c */

/** What steps of a loop share; see choose_pool.h about loops. */
struct picking {
	struct pick *p;
	__u32 number, endpoint; /* of a second one */
};

static long random_step(__u32 i, struct picking *ctx)
{
	__u32 number = pick_draw(ctx->p);

	(void)i;
	return step_ends(pick_take(ctx->p, number, pick_member(ctx->p, number)));
}

__noinline int pick_random(struct pick *p)
{
	struct picking ctx = { .p = p };

	if (!p)
		return 0;
	bpf_loop(PICK_DRAWS, random_step, &ctx, 0);
	return p->endpoint != 0;
}

static long second_step(__u32 i, struct picking *ctx)
{
	const struct pick *p = ctx->p;
	__u32 number = pick_draw(p);
	__u32 endpoint = pick_member(p, number);

	(void)i;
	if (number == p->number ||
		candidate_check(endpoint, p->service, p->only, p->tcp, p->now) != CANDIDATE_GOOD)
		return step_ends(0);
	ctx->number = number;
	ctx->endpoint = endpoint;
	return step_ends(1);
}

static __always_inline __u64 pick_mean_weight(const struct pick *p)
{
	const struct fl_member *last =
		pool_member(pool_members_row(p->pool), p->first + p->count - 1);
	__u64 mean = last && p->count ? last->upto / p->count : 1;

	return mean ? mean : 1;
}

/**
 * Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (1996): the
 * better of two is nearly as good as the best of all, and connections that begin at
 * the same time do not all go to one. The two are not the same one: of four endpoints it
 * would be alone in every sixteenth draw, however bad it is.
 */
static __always_inline int pick_p2c(struct pick *p)
{
	struct picking ctx = { .p = p };
	struct load first, second;

	if (!p || !pick_random(p))
		return 0;
	if (!p->trial)
		bpf_loop(PICK_SECOND_DRAWS, second_step, &ctx, 0);
	if (!ctx.endpoint)
		return 1;
	load_take(&first, p->endpoint, pick_member_weight(p, p->number), p->now);
	load_take(&second, ctx.endpoint, pick_member_weight(p, ctx.number), p->now);
	if (load_is_better(&second, &first, pick_mean_weight(p))) {
		p->number = ctx.number;
		p->endpoint = ctx.endpoint;
	}
	return 1;
}

/* ---------------------------------------------------------------- round robin */

/* @param i  turns that were passed over */
static __always_inline __u32 pick_next_turn(const struct pick *p, __u32 i)
{
	__u32 service = p->service, turn;
	struct fl_node_service_row *row = bpf_map_lookup_elem(&fl_node_services, &service);
	const struct fl_pool_head *head = pool_head(p->pool);
	const struct fl_pool_tier *tier;

	if (!row || !head || p->tier >= FL_TIERS)
		return p->first;
	tier = &head->tier[p->tier];
	turn = CHOOSE_ONLY_ASKS ? READ_ONCE(row->turn[p->family == FL_IPV6]) + i
				: __sync_fetch_and_add(&row->turn[p->family == FL_IPV6], 1);
	turn = tier->turns ? tier->first_turn + turn % tier->turns : 0;
	return p->first + pool_turn(pool_turns_row(p->pool, head), turn);
}

static long turn_step(__u32 i, struct picking *ctx)
{
	__u32 number = pick_next_turn(ctx->p, i);

	return step_ends(pick_take(ctx->p, number, pick_member(ctx->p, number)));
}

/** Of an endpoint that is passed over, the next in turn gets the connection. */
static __always_inline int pick_round_robin(struct pick *p)
{
	struct picking ctx = { .p = p };

	if (!p)
		return 0;
	bpf_loop(PICK_DRAWS, turn_step, &ctx, 0);
	return p->endpoint != 0;
}

/* -------------------------------------------------------------- one after the other */

/* Of equally good ones each gets its part by weight, though none is seen twice
 * (reservoir sampling; Vitter, ACM TOMS 11, 1985). */
static __always_inline bool scan_prefers(struct pick *p, __u32 load, __u32 weight)
{
	__u64 a = (__u64)p->load * weight, b = (__u64)load * p->weight;

	if (!p->weight || b < a) {
		p->tied = weight;
		return true;
	}
	if (b > a)
		return false;
	p->tied += weight;
	return (__u64)bpf_get_prandom_u32() * p->tied >> 32 < weight;
}

static __always_inline bool scan_see(struct pick *p, __u32 number, __u32 endpoint)
{
	__u32 load = load_get(endpoint, p->now);
	__u32 weight = pick_member_weight(p, number);

	if (!scan_prefers(p, load, weight))
		return false;
	p->number = number;
	p->endpoint = endpoint;
	p->load = load;
	p->weight = weight;
	return p->is_any;
}

static long scan_step(__u32 i, struct pick **ctx)
{
	struct pick *p = *ctx;
	__u32 number = p->first + (p->count ? (p->start + i) % p->count : 0);
	__u32 endpoint = pick_member(p, number);
	__u32 found = candidate_check(endpoint, p->service, p->only, p->tcp, p->now);

	if (found == CANDIDATE_EJECTED)
		p->last_resort = endpoint;
	if (found == CANDIDATE_GOOD)
		return step_ends(scan_see(p, number, endpoint));
	if (found != CANDIDATE_TRIAL || !candidate_try(endpoint, p->now))
		return step_ends(0);
	p->trial = 1;
	p->number = number;
	p->endpoint = endpoint;
	return step_ends(1);
}

__noinline int pick_scan(struct pick *p, __u32 any, __u32 random)
{
	if (!p)
		return 0;
	p->start = (__u64)random * p->count >> 32;
	p->is_any = any;
	p->weight = 0;
	bpf_loop(p->count < PICK_SCAN ? p->count : PICK_SCAN, scan_step, &p, 0);
	return p->endpoint != 0;
}

/** The one with the fewest connections by weight, failures counted as such: weighted
 * least-connection scheduling of the Linux Virtual Server (Zhang, 2000). */
static __always_inline int pick_least(struct pick *p)
{
	return pick_scan(p, false, bpf_get_prandom_u32());
}

/** What drawing did not find: the first good one there is. With a key it is always
 * the same. */
static __always_inline int pick_any(struct pick *p)
{
	return pick_scan(p, true, p->keyed ? p->hash : bpf_get_prandom_u32());
}

/* --------------------------------------------------------------------- maglev */

static long walk_step(__u32 i, struct pick **ctx)
{
	struct pick *p = *ctx;
	__u32 size = region_size(p->region);
	__u32 index = FL_REGION_BASE(p->region) + (size ? (p->start + i) % size : 0);
	fl_slot *slot = bpf_map_lookup_elem(&fl_slots, &index);
	__u32 endpoint = slot ? fl_slot_now(READ_ONCE(*slot)) : 0;

	if (!p->is_all && !pool_find(pool_members_row(p->pool), p->first, p->count, endpoint))
		return step_ends(0);
	return step_ends(pick_take(p, p->first, endpoint));
}

/**
 * The slot of the key, in the table of the edge path: `now`, for there are no pins here.
 * Where its endpoint will not do, it is the next slot's that does, so that a key keeps its
 * substitute, and what one endpoint has is spread over all others.
 */
__noinline int pick_maglev(struct pick *p)
{
	__u32 size = p ? region_size(p->region) : 0;

	if (!p || !size)
		return 0;
	p->start = fl_hash_slot(p->keyed ? p->hash : bpf_get_prandom_u32(), size);
	bpf_loop(PICK_SLOTS, walk_step, &p, 0);
	return p->endpoint != 0;
}
