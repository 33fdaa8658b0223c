/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/live.h"
#include "lib/slots.h"

/**
 * @file choose_load.h
 * Whether an endpoint can be chosen, and which of two is the better.
 */

/** Defined as 1 where choices are explained: nothing is taken, counted or kept. */
#ifndef CHOOSE_ONLY_ASKS
#define CHOOSE_ONLY_ASKS 0
#endif

/** What can become of a candidate. */
enum candidate {
	CANDIDATE_NONE = 0, /**< cannot be used: down, gone, of a family that the socket cannot */
	CANDIDATE_EJECTED = 1, /**< only if there is no other: refusing all is worse */
	CANDIDATE_TRIAL = 2,   /**< its ejection is over: live_take_trial, or pass it over */
	CANDIDATE_GOOD = 3,
};

/**
 * @param service  that it has to belong to
 * @param only     enum fl_family; FL_FAMILIES = any
 * @param tcp      datagrams take part in no trial: nobody sees what becomes of them
 */
__noinline __u32 candidate_check(__u32 endpoint, __u32 service, __u32 only, __u32 tcp, __u64 now)
{
	struct fl_endpoint_row *row = endpoint_row(endpoint);
	struct fl_live_row *live = live_row(endpoint);

	if (!endpoint || !row || row->state != FL_UP || row->service != service)
		return CANDIDATE_NONE;
	if (only != FL_FAMILIES && row->family != only)
		return CANDIDATE_NONE;
	if (!live)
		return CANDIDATE_GOOD;
	if (live_is_ejected(live, now))
		return CANDIDATE_EJECTED;
	return tcp && live_needs_trial(live, now) ? CANDIDATE_TRIAL : CANDIDATE_GOOD;
}

static __always_inline bool candidate_try(__u32 endpoint, __u64 now)
{
	struct fl_live_row *live = live_row(endpoint);

	if (CHOOSE_ONLY_ASKS)
		return live && live_needs_trial(live, now);
	return live && live_take_trial(live, now);
}

/* ------------------------------------------------------------------------ load */

#define LOAD_MAX         (1u << 20)
#define LOAD_LATENCY_MAX 1023

/** Open connections, and the penalty for failures as such. */
static __always_inline __u64 load_of(const struct fl_live_row *live, __u64 now)
{
	__u32 open = READ_ONCE(live->open);
	__u64 load = ((__s32)open > 0 ? open : 0) + (__u64)live_penalty(live, now);

	return load < LOAD_MAX ? load : LOAD_MAX;
}

/** Load of an endpoint of which nothing is known: 0. */
__noinline __u64 load_get(__u32 endpoint, __u64 now)
{
	struct fl_live_row *live = live_row(endpoint);

	return live ? load_of(live, now) : 0;
}

/** A candidate of FL_P2C. */
struct load {
	__u32 load;
	__u32 latency; /* milliseconds that a connect takes, begun ones counted; 0 = not known */
	__u32 weight;
};

static __always_inline void load_take(struct load *ret, __u32 endpoint, __u32 weight, __u64 now)
{
	struct fl_live_row *live = live_row(endpoint);
	__u64 us = live ? READ_ONCE(live->connect_us) : 0;
	__u64 latency = us ? 1 + us / 1024 : 0;

	ret->load = live ? load_of(live, now) : 0;
	ret->latency = latency < LOAD_LATENCY_MAX ? latency : LOAD_LATENCY_MAX;
	ret->weight = weight;
}

/**
 * Whether `b` is better than `a`. What one costs is
 *
 *     latency × (1 + load × mean / weight)
 *
 * with the mean of the tier's weights: Finagle's peak EWMA (latency × (pending + 1)),
 * by weight. An idle one costs its latency whatever its weight, so that ties go to the one
 * that was drawn first, and drawing obeys weights. Latency is in whole milliseconds: below,
 * what differs is noise, and one endpoint would win every time. Both times weight, since
 * there is no division: at most 2^(10 + 36 + 16).
 */
static __always_inline bool load_is_better(const struct load *b, const struct load *a, __u64 mean)
{
	bool known = a->latency && b->latency;
	__u64 cost_a = (a->weight + mean * a->load) * (known ? a->latency : 1) * b->weight;
	__u64 cost_b = (b->weight + mean * b->load) * (known ? b->latency : 1) * a->weight;

	return cost_b < cost_a;
}
