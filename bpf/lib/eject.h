/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/eject.h"
#include "lib/live.h"
#include "lib/sock.h"

/**
 * @file eject.h
 * Leaving endpoints out that connects fail to, and taking them back.
 *
 * max_fails failures within fail_timeout eject; then one connection at a time tries
 * (live_take_trial), and what becomes of it decides. Results of connections that
 * were begun before the trial say nothing about it: a SYN may time out minutes later.
 */
#define EJECT_NS 1000000000ull

/** One failed connect. */
struct eject {
	__u32 service;
	__u32 family; /**< enum fl_family of the frontend */
	__u32 endpoint;
	__u32 fault; /**< enum fl_fault */
	__u64 begun;
	__u64 now;
};

static __always_inline void eject_tell(const struct eject *e, const struct fl_live_row *row,
	enum fl_node_event_kind kind, __u64 until)
{
	struct fl_node_event event = {
		.at = e->now,
		.until = until,
		.service = e->service,
		.endpoint = e->endpoint,
		.fails = READ_ONCE(row->fails),
		.kind = kind,
		.fault = e->fault,
	};

	bpf_ringbuf_output(&fl_events, &event, sizeof(event), 0);
}

/* ---------------------------------------------------------------------- share */

struct eject_scan {
	__u32 place; /**< of the pool's first member */
	__u32 ejected;
};

static long eject_look(__u32 i, void *context)
{
	struct eject_scan *scan = context;
	__u32 place = scan->place + i / FL_MEMBERS_PER_ROW;
	union fl_pool_row *pool = bpf_map_lookup_elem(&fl_pools, &place);
	struct fl_live_row *row;

	if (!pool)
		return 1;
	row = live_row(pool->member[i % FL_MEMBERS_PER_ROW].endpoint);
	if (row && READ_ONCE(row->ejected))
		scan->ejected++;
	return 0;
}

/* Those that wait for their trial are as good as ejected. The one in question is
 * among them, unless it is no member any more: then nobody misses it. */
static __always_inline bool eject_is_too_many(__u32 place, const struct fl_pool_head *head)
{
	struct eject_scan scan = { .place = place + 1 };
	__u32 members = 0;

	for (int tier = 0; tier < FL_TIERS; tier++)
		members += head->tier[tier].count;
	bpf_loop(members, eject_look, &scan, 0);
	return scan.ejected && !fl_eject_is_allowed(head, members, scan.ejected - 1);
}

/* ---------------------------------------------------------------------- eject */

static __always_inline const struct fl_pool_head *eject_head(
	const struct eject *e, __u32 *ret_place)
{
	__u32 service_id = e->service;
	struct fl_node_service_row *service = bpf_map_lookup_elem(&fl_node_services, &service_id);
	union fl_pool_row *pool;
	__u32 place;

	if (!service || e->family >= FL_FAMILIES)
		return NULL;
	place = (__u32)READ_ONCE(service->pool[e->family]);
	pool = place ? bpf_map_lookup_elem(&fl_pools, &place) : NULL;
	*ret_place = place;
	return pool ? &pool->head : NULL;
}

/* It goes on failing: that is told once in fail_timeout. */
static __always_inline void eject_spare(
	const struct eject *e, struct fl_live_row *row, __u32 base_s)
{
	__u32 now_s = e->now / EJECT_NS;

	if (!row->spared_s || now_s - row->spared_s >= base_s) {
		WRITE_ONCE(row->spared_s, now_s);
		eject_tell(e, row, FL_EVENT_SPARED, 0);
	}
	WRITE_ONCE(row->fails, 0);
}

/* Marked first and counted then: of CPUs that eject at the same moment each sees
 * the others, so that too few are ejected rather than too many. */
static __always_inline void eject_now(const struct eject *e, struct fl_live_row *row,
	const struct fl_pool_head *head, __u32 place, __u64 before)
{
	__u32 base_s = head->fail_timeout_s, ejections = READ_ONCE(row->ejections);
	__u64 until, returned = READ_ONCE(row->returned);

	if (!before)
		ejections = fl_eject_remembered(
			ejections, base_s, e->now > returned ? (e->now - returned) / EJECT_NS : 0);
	if (ejections < 0xffff)
		ejections++;
	until = e->now + fl_eject_s(base_s, ejections) * EJECT_NS;
	if (__sync_val_compare_and_swap(&row->ejected, before, until) != before)
		return;
	WRITE_ONCE(row->trial, 0);
	if (eject_is_too_many(place, head)) {
		WRITE_ONCE(row->ejected, 0);
		eject_spare(e, row, base_s);
		return;
	}
	WRITE_ONCE(row->ejections, ejections);
	__sync_fetch_and_add(&row->ejected_times, 1);
	eject_tell(e, row, FL_EVENT_EJECTED, until);
}

/* @return failures within fail_timeout, with this one */
static __always_inline __u32 eject_count(
	const struct eject *e, struct fl_live_row *row, __u32 timeout_s)
{
	__u64 window = READ_ONCE(row->window);

	if (READ_ONCE(row->fails) && e->now < window + timeout_s * EJECT_NS)
		return __sync_fetch_and_add(&row->fails, 1) + 1;
	WRITE_ONCE(row->window, e->now);
	WRITE_ONCE(row->fails, 1);
	return 1;
}

/** Whether a connection begun at that time tells how the trial went. */
static __always_inline bool eject_is_trial(const struct fl_live_row *row, __u64 begun)
{
	return READ_ONCE(row->trial) && begun + LIVE_TRIAL_NS >= READ_ONCE(row->ejected);
}

static __always_inline void eject_stop(struct fl_live_row *row)
{
	WRITE_ONCE(row->trial, 0);
	WRITE_ONCE(row->ejected, 0);
}

/** A connect failed, by a fault of the endpoint's. Not inlined: its stack is not its callers'. */
static __noinline int eject_failed(const struct eject *e)
{
	struct fl_live_row *row = live_row(e->endpoint);
	const struct fl_pool_head *head;
	__u64 until;
	__u32 place = 0;

	if (!row)
		return 0;
	live_failed(row, e->now, e->fault);
	head = eject_head(e, &place);
	if (!head)
		return 0;
	if (!head->max_fails) {
		eject_stop(row); /* if it was ejected before that was switched off */
		return 0;
	}
	until = READ_ONCE(row->ejected);
	if (eject_is_trial(row, e->begun) || (until && until <= e->now && e->begun >= until)) {
		__sync_fetch_and_add(&row->fails, 1);
		eject_now(e, row, head, place, until);
	} else if (until <= e->now &&
		   eject_count(e, row, head->fail_timeout_s) >= head->max_fails) {
		eject_now(e, row, head, place, until);
	}
	return 0;
}

/* --------------------------------------------------------------------- return */

/** A connection was made that was begun at that time. */
static __always_inline void eject_succeeded(const struct eject *e, struct fl_live_row *row)
{
	__u64 until = READ_ONCE(row->ejected);

	if (!until || (!eject_is_trial(row, e->begun) && e->begun < READ_ONCE(row->failed)))
		return;
	if (__sync_val_compare_and_swap(&row->ejected, until, 0) != until)
		return;
	WRITE_ONCE(row->trial, 0);
	WRITE_ONCE(row->returned, e->now);
	live_forgive(row);
	eject_tell(e, row, FL_EVENT_RETURNED, 0);
	WRITE_ONCE(row->fails, 0);
}

/** The caller gave a connection up. If that was the trial, the next one tries. */
static __always_inline void eject_given_up(struct fl_live_row *row, __u64 begun, __u64 now)
{
	__u64 until = READ_ONCE(row->ejected);

	if (!eject_is_trial(row, begun))
		return;
	WRITE_ONCE(row->trial, 0);
	__sync_val_compare_and_swap(&row->ejected, until, now);
}
