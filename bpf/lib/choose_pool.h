/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/maps_node.h"
#include "lib/packet.h"

/**
 * @file choose_pool.h
 * Reads pools as fairlead/node.h lays them out.
 *
 * Members are counted from the pool's first. What a pool says is taken as it is, since
 * nothing depends on it but which endpoint is looked at: places and numbers that make no
 * sense lead to no row, or to a row of somebody else's, and that shows there.
 */

#define POOL_SEARCH_STEPS 13 /* halvings of FL_ENDPOINTS_PER_SERVICE */

static __always_inline const struct fl_pool_head *pool_head(__u32 at)
{
	union fl_pool_row *found = bpf_map_lookup_elem(&fl_pools, &at);

	return found ? &found->head : NULL;
}

static __always_inline __u32 pool_members_row(__u32 at)
{
	return at + 1;
}

static __always_inline __u32 pool_turns_row(__u32 at, const struct fl_pool_head *head)
{
	__u32 members = head->tier[0].count + head->tier[1].count + head->tier[2].count;

	return at + 1 + (members + FL_MEMBERS_PER_ROW - 1) / FL_MEMBERS_PER_ROW;
}

/** @param row  of the pool's first member */
static __always_inline const struct fl_member *pool_member(__u32 row, __u32 number)
{
	union fl_pool_row *found;

	row += number / FL_MEMBERS_PER_ROW;
	found = bpf_map_lookup_elem(&fl_pools, &row);
	return found ? &found->member[number % FL_MEMBERS_PER_ROW] : NULL;
}

static __always_inline __u32 pool_endpoint(__u32 row, __u32 number)
{
	const struct fl_member *member = pool_member(row, number);

	return member ? member->endpoint : 0;
}

/** @param first  member of the tier @return at least 1 */
static __always_inline __u32 pool_weight(__u32 row, __u32 first, __u32 number)
{
	const struct fl_member *member = pool_member(row, number), *last;
	__u32 weight = member ? member->upto : 1;

	if (number > first) {
		last = pool_member(row, number - 1);
		weight -= last ? last->upto : 0;
	}
	weight &= 0xffff;
	return weight ? weight : 1;
}

/** @param row  of the pool's first turn @return a member's number within its tier */
static __always_inline __u32 pool_turn(__u32 row, __u32 turn)
{
	union fl_pool_row *found;

	row += turn / FL_TURNS_PER_ROW;
	found = bpf_map_lookup_elem(&fl_pools, &row);
	return found ? found->turn[turn % FL_TURNS_PER_ROW] : 0;
}

/* --------------------------------------------------------------------- search */

/** What a step of bpf_loop returns. Linux 6.1 must see that it is 0 or 1, which a compiler
 * that knows so itself does not show ("At callback return the register R0 has value (0x0;
 * 0xffffffff)"). */
static __always_inline long step_ends(long ends)
{
	asm volatile("" : "+r"(ends));
	return ends & 1;
}

/*
 * Loops are bpf_loop's, whose steps work on a struct that a global function was handed:
 * to the verifier such memory may hold anything, so that one step is like the other.
 * Of a struct on the stack it follows every value (seen on 6.18: a million
 * instructions), and of a plain loop it loses count where the compiler spills 32 bits
 * of the counter ("infinite loop detected").
 */
struct pool_search {
	__u32 row; /* of the pool's first member */
	__u32 low, high;
	__u32 wanted;
	__u32 by_endpoint;
	__u32 pad;
};

static long pool_search_step(__u32 i, struct pool_search **ctx)
{
	struct pool_search *s = *ctx;
	__u32 middle = (s->low + s->high) / 2;
	const struct fl_member *member;

	(void)i;
	if (s->low >= s->high)
		return 1;
	member = pool_member(s->row, middle);
	if (!member)
		return 1;
	if (s->by_endpoint ? member->endpoint >= s->wanted : member->upto > s->wanted)
		s->high = middle;
	else
		s->low = middle + 1;
	return 0;
}

/** @return the first number whose member is not below what is wanted, or the last one */
__noinline __u32 pool_search(struct pool_search *s)
{
	if (!s)
		return 0;
	bpf_loop(POOL_SEARCH_STEPS, pool_search_step, &s, 0);
	return s->low;
}

/** Draw a member of a tier by weight: the one in whose part of the sum the number
 * falls. @param random  of 32 bits @return its number */
static __always_inline __u32 pool_draw(__u32 row, __u32 first, __u32 count, __u32 random)
{
	struct pool_search s = { .row = row, .low = first, .high = first + count - 1 };
	const struct fl_member *last = pool_member(row, s.high);

	s.wanted = (__u64)random * (last ? last->upto : 0) >> 32;
	return pool_search(&s);
}

/** @return number + 1 of an endpoint in a tier; 0 = it is not there */
static __always_inline __u32 pool_find(__u32 row, __u32 first, __u32 count, __u32 endpoint)
{
	struct pool_search s = { .row = row,
		.low = first,
		.high = first + count - 1,
		.wanted = endpoint,
		.by_endpoint = 1 };
	__u32 number = count ? pool_search(&s) : 0;

	return count && pool_endpoint(row, number) == endpoint ? number + 1 : 0;
}
