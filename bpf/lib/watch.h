/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/eject.h"

/**
 * @file watch.h
 * What becomes of a connection, from what its socket remembers (struct fl_sock).
 *
 * A stream is counted from its SYN until its state is CLOSE, whoever closed it; a
 * datagram socket from connect(2) until it connects elsewhere or is released. A stream
 * for which connect(2) failed before there was a SYN (no route, no port left, forbidden
 * by somebody) is seen at the socket's next connect or its release: it was `begun`,
 * but never `counted`. From here the endpoint could not be reached; why is not known.
 */

/** From now on it counts in the `open` of this endpoint, 0 = of none, and of no other. Each
 * count is taken off by whoever gets it out of `counted`, also when threads race. */
static __always_inline void watch_count(struct fl_sock *kept, __u32 endpoint)
{
	struct fl_live_row *row = endpoint ? live_row(endpoint) : NULL;
	__u32 before;

	if (row)
		__sync_fetch_and_add(&row->open, 1);
	before = __sync_lock_test_and_set(&kept->counted, row ? endpoint : 0);
	row = before ? live_row(before) : NULL;
	if (row)
		__sync_fetch_and_add(&row->open, -1);
}

static __always_inline void watch_fill(
	struct eject *e, const struct fl_sock *kept, enum fl_fault fault)
{
	e->service = kept->service_id;
	e->family = sock_ip_family(&kept->frontend);
	e->endpoint = kept->endpoint_id;
	e->fault = fault;
	e->begun = kept->begun;
	e->now = bpf_ktime_get_ns();
}

/** It was not made. @param fault  FL_FAULT_NONE = the caller gave it up */
static __always_inline void watch_fault(
	const struct fl_sock *kept, struct fl_live_row *row, enum fl_fault fault)
{
	struct eject e;

	watch_fill(&e, kept, fault);
	__sync_fetch_and_add(&row->faults[fault], 1);
	if (fault == FL_FAULT_NONE)
		eject_given_up(row, e.begun, e.now);
	else
		eject_failed(&e);
}

/** What the socket remembers ends: it connects elsewhere, or is released. */
static __always_inline void watch_forget(struct fl_sock *kept)
{
	struct fl_live_row *row = live_row(kept->endpoint_id);

	if (row && kept->begun && !kept->counted) {
		__sync_fetch_and_add(&row->connects, 1);
		watch_fault(kept, row, FL_FAULT_UNREACHABLE);
	}
	kept->begun = 0;
	watch_count(kept, 0);
}

/** connect(2) was given an endpoint: all else in `kept` is written. */
static __always_inline void watch_connect(struct fl_sock *kept)
{
	if (kept->proto == IPPROTO_TCP)
		kept->begun = bpf_ktime_get_ns();
	else
		watch_count(kept, kept->endpoint_id);
}
