/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/maps_node.h"
#include "lib/packet.h"

/**
 * @file live.h
 * What is known of an endpoint from connections to it: its penalty for failures, and
 * whether it is left out for a while.
 *
 * A service that looks at load needs the penalty: what refuses at once has no open
 * connections, so it looks idle, and would be given all of them (envoy#39737). Each
 * failure multiplies it, for it has to outgrow whatever others have open;
 * time halves it (the decay of Finagle's peak EWMA, com.twitter.finagle.loadbalancer),
 * and so does each success.
 *
 * Programs on all CPUs write these without a lock. Of two failures at the same moment
 * one may be lost, which the next one makes good.
 */

#define LIVE_HALF_NS      5000000000ull /**< in which a penalty halves */
#define LIVE_PENALTY_MIN  64            /**< of one failure, in connections */
#define LIVE_PENALTY_MAX  (1u << 20)
#define LIVE_PENALTY_GROW 4

/** An endpoint whose ejection is over is tried by one connection. Whether that worked is
 * known when it was made or failed; if nobody hears of it, another one tries so much
 * later. */
#define LIVE_TRIAL_NS 30000000000ull

static __always_inline struct fl_live_row *live_row(__u32 endpoint)
{
	return bpf_map_lookup_elem(&fl_live, &endpoint);
}

/** The penalty as it is now: halved for every LIVE_HALF_NS, in a straight line within one. */
static __always_inline __u32 live_penalty(const struct fl_live_row *row, __u64 now)
{
	__u64 penalty = READ_ONCE(row->penalty), failed = READ_ONCE(row->failed);
	__u64 age = now > failed ? now - failed : 0; /* clocks of CPUs differ a little */
	__u64 halvings = age / LIVE_HALF_NS;

	if (!penalty || halvings > 31)
		return 0;
	penalty >>= halvings;
	return penalty - penalty * (age % LIVE_HALF_NS) / (2 * LIVE_HALF_NS);
}

/** A connect failed. Giving up (FL_FAULT_NONE) is no fault of the endpoint. */
static __always_inline void live_failed(struct fl_live_row *row, __u64 now, enum fl_fault fault)
{
	__u64 penalty;

	if (fault == FL_FAULT_NONE)
		return;
	penalty = (__u64)live_penalty(row, now) * LIVE_PENALTY_GROW + LIVE_PENALTY_MIN;
	/* In between it is too large rather than too small. */
	WRITE_ONCE(row->failed, now);
	WRITE_ONCE(row->penalty, penalty < LIVE_PENALTY_MAX ? penalty : LIVE_PENALTY_MAX);
	WRITE_ONCE(row->fault, fault);
}

/** A connect succeeded. */
static __always_inline void live_succeeded(struct fl_live_row *row)
{
	__u32 penalty = READ_ONCE(row->penalty);

	if (penalty)
		WRITE_ONCE(row->penalty, penalty / 2);
}

/** It works again: otherwise it would wait for its penalty to fade, after all it waited for. */
static __always_inline void live_forgive(struct fl_live_row *row)
{
	WRITE_ONCE(row->penalty, 0);
}

/** Whether it is ejected now: as long as `ejected` says, and then until a trial succeeds. */
static __always_inline bool live_is_ejected(const struct fl_live_row *row, __u64 now)
{
	return READ_ONCE(row->ejected) > now;
}

/** Whether its ejection is over, but no connection has succeeded since. */
static __always_inline bool live_needs_trial(const struct fl_live_row *row, __u64 now)
{
	__u64 until = READ_ONCE(row->ejected);

	return until && until <= now;
}

/**
 * Be the one connection that tries. It moves `ejected` on by LIVE_TRIAL_NS, so that
 * others go on passing it over, and sets `trial`. Whoever sees how it went clears
 * both, or ejects anew; of a connection that was given up, it sets `ejected` to now.
 * @return false when another one does
 */
static __always_inline bool live_take_trial(struct fl_live_row *row, __u64 now)
{
	__u64 until = READ_ONCE(row->ejected);

	if (!until || until > now ||
		__sync_val_compare_and_swap(&row->ejected, until, now + LIVE_TRIAL_NS) != until)
		return false;
	WRITE_ONCE(row->trial, 1);
	return true;
}

/** Be it no more, before anything was tried. */
static __always_inline void live_leave_trial(struct fl_live_row *row)
{
	WRITE_ONCE(row->trial, 0);
	WRITE_ONCE(row->ejected, bpf_ktime_get_ns());
}
