/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/clock.h"
#include "lib/flow.h"
#include "lib/nat_table.h"

/**
 * @file nat_sweep.h
 * Forgetting connections that have been silent for too long.
 *
 * The program `sweep` walks all generations once. The agent runs it every
 * FL_NAT_SWEEP_S seconds, where it may be interrupted by packets; when no agent did
 * for some time, a timer in the kernel does the same, so that the table cannot
 * fill up without one. A walk over a large table takes long for a timer, hence
 * it is the second choice.
 *
 * A connection is judged at its reply entry, with the flags and times of both
 * directions; see nat_forget for the order. What a packet does meanwhile:
 * - it found the forward entry before that went: it leaves with the old port, as
 *   if it had come a moment earlier;
 * - a SYN restarts the connection between judgement and removal: both entries go,
 *   the endpoint's answer is lost, and the client's second SYN opens it again;
 * - it opens a new connection with the client's tuple between the two removals:
 *   the old pair is still taken, so it gets another.
 * An entry without its twin is either about to get one (a connection opens by
 * two inserts) or an orphan, and an orphan that is silent goes.
 */

#define NAT_ORPHAN_S   10
#define CLOCK_BOOTTIME 7
#define START_TRIES    100

struct nat_sweep {
	__u32 now_s;
	__u32 freed;
};

static __always_inline __u32 silent_s(__u32 now_s, __u32 seen)
{
	/* Another CPU's packet may be a moment ahead of us. */
	return (__s32)(now_s - seen) > 0 ? now_s - seen : 0;
}

static __always_inline bool flow_equal(const struct fl_flow *a, const struct fl_flow *b)
{
	const __u64 *x = (const void *)a, *y = (const void *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

/** The entry of the other direction, if it is that of the same connection. */
static __always_inline struct fl_nat_entry *nat_twin(
	const struct fl_flow *key, const struct fl_flow *twin_key)
{
	struct fl_nat_entry *twin = nat_find(twin_key);
	struct fl_flow back;

	if (!twin)
		return 0;
	fl_flow_reverse(&twin->to, &back);
	return flow_equal(&back, key) ? twin : 0;
}

static long nat_sweep_entry(
	void *table, struct fl_flow *key, struct fl_nat_entry *entry, struct nat_sweep *s)
{
	__u32 silent = silent_s(s->now_s, entry->seen), twin_silent;
	struct fl_flow own, twin_key;
	struct fl_nat_entry *twin;

	(void)table;
	/* No timeout is shorter, and most entries are not even silent for this long. */
	if (silent <= NAT_ORPHAN_S - 1)
		return 0;
	own = *key;
	fl_flow_reverse(&entry->to, &twin_key);
	twin = nat_twin(&own, &twin_key);

	if (entry->dir != FL_NAT_REPLY) {
		if (!twin && nat_remove(&own))
			s->freed++;
		return 0;
	}
	if (twin) {
		twin_silent = silent_s(s->now_s, twin->seen);
		if (twin_silent < silent)
			silent = twin_silent;
		if (silent <= fl_nat_timeout_s(own.proto, twin->flags, entry->flags))
			return 0;
		nat_remove(&twin_key);
	}
	if (nat_remove(&own)) {
		nat_used_put(entry->endpoint, own.proto);
		s->freed++;
	}
	return 0;
}

static __always_inline __u32 nat_sweep_all(__u32 now_s)
{
	struct nat_sweep s = { .now_s = now_s };
	__u32 i;

#pragma unroll
	for (i = 0; i < FL_NAT_GENERATIONS; i++) {
		void *table = nat_generation(i);

		if (!table)
			break;
		bpf_for_each_map_elem(table, nat_sweep_entry, &s, 0);
	}
	return s.freed;
}

static int nat_sweep_tick(void *map, __u32 *key, struct fl_timer *timer)
{
	__u32 now_s = clock_boot_s();

	(void)map;
	(void)key;
	if (now_s - timer->swept >= 2 * FL_NAT_SWEEP_S) {
		timer->swept = now_s;
		nat_sweep_all(now_s);
	}
	bpf_timer_start(&timer->timer, FL_NAT_SWEEP_S * 1000000000ull, 0);
	return 0;
}
