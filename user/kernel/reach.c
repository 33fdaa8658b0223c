/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/reach.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "kernel/devices.h"

/** Bursts of route changes end within this pause, and passes over all destinations
 * take a fifth of the time at most: the next one waits for four times what the last
 * one took. */
#define PAUSE_MS     10
#define PAUSE_FACTOR 4
/** Destinations resolved per turn of the loop. */
#define BATCH 256
/** Until the next turn. Not 0: libuv calls such a timer again at once. */
#define TURN_MS 1
/** When the kernel did not answer. */
#define TROUBLE_MS 5000
/** Changed prefixes kept apart before all destinations count as changed. */
#define PREFIXES_MAX 32

struct fl_reach {
	uv_loop_t *loop;
	struct fl_reach_hooks hooks;
	struct fl_netlink *netlink;
	struct fl_netlink_watch *watch;
	uv_timer_t work; /**< resolves what is dirty */
	struct fl_devices *devices;
	struct fl_nexts *nexts;
	struct fl_destination *destinations; /**< by address */
	struct fl_destination *dirty;        /**< queue */

	bool all_changed[FL_FAMILIES];
	struct fl_prefix changed[PREFIXES_MAX];
	size_t changed_count;
	uint64_t pass_ns; /**< spent on the pass that runs, or on the last one */
	bool passing;
};

/* ---------------------------------------------------------------- timers */

static void work_fire(uv_timer_t *timer);

/** Have the dirty ones resolved after a pause, or sooner if that was asked for. */
static void work_in(struct fl_reach *r, uint64_t pause_ms)
{
	if (!uv_is_active((uv_handle_t *)&r->work) || uv_timer_get_due_in(&r->work) > pause_ms)
		uv_timer_start(&r->work, work_fire, pause_ms, 0);
}

/* ---------------------------------------------------------- destinations */

static struct fl_destination *find(const struct fl_reach *r, const struct fl_ip *addr)
{
	struct fl_destination *d;

	HASH_FIND(hh, r->destinations, addr, sizeof(*addr), d);
	return d;
}

struct fl_destination *fl_reach_first(const struct fl_reach *r)
{
	return r->destinations;
}

const struct fl_link *fl_reach_device(const struct fl_reach *r, uint32_t ifindex)
{
	return fl_devices_find(r->devices, ifindex);
}

static void mark(struct fl_reach *r, struct fl_destination *d)
{
	if (d->dirty)
		return;
	d->dirty = true;
	DL_APPEND2(r->dirty, d, dirty_prev, dirty_next);
}

static void unmark(struct fl_reach *r, struct fl_destination *d)
{
	if (!d->dirty)
		return;
	d->dirty = false;
	DL_DELETE2(r->dirty, d, dirty_prev, dirty_next);
}

struct fl_destination *fl_reach_get(struct fl_reach *r, const struct fl_ip *addr)
{
	struct fl_destination *d = find(r, addr);

	if (d) {
		d->references++;
		return d;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->addr = *addr;
	d->references = 1;
	HASH_ADD(hh, r->destinations, addr, sizeof(d->addr), d);
	if (!d->hh.tbl) {
		free(d);
		return NULL;
	}
	fl_reach_refresh(r, d);
	return d;
}

void fl_reach_refresh(struct fl_reach *r, struct fl_destination *d)
{
	mark(r, d);
	work_in(r, 0);
}

static void destination_join(struct fl_reach *r, struct fl_destination *d, struct fl_next *n)
{
	struct fl_next *old = d->next;

	if (old == n)
		return;
	if (old) {
		DL_DELETE2(old->destinations, d, next_prev, next_next);
		fl_nexts_put(r->nexts, old);
	}
	if (n)
		DL_APPEND2(n->destinations, d, next_prev, next_next);
	d->next = n;
}

static void destination_free(struct fl_reach *r, struct fl_destination *d)
{
	unmark(r, d);
	destination_join(r, d, NULL);
	HASH_DELETE(hh, r->destinations, d);
	free(d);
}

void fl_reach_put(struct fl_reach *r, struct fl_destination *d)
{
	if (--d->references)
		return;
	r->hooks.gone(r->hooks.context, d);
	destination_free(r, d);
}

/** Ask the kernel how to reach a destination. @return 0, -errno when it gave no answer */
static int resolve(struct fl_reach *r, struct fl_destination *d)
{
	struct fl_route route;
	struct fl_next *n = NULL;
	int code = fl_fib_route(r->netlink, &d->addr, &route);

	if (code < 0)
		return code;
	if (route.kind == FL_ROUTE_VIA)
		n = fl_nexts_get(
			r->nexts, route.ifindex, route.has_gateway ? &route.gateway : &d->addr);
	destination_join(r, d, n);
	d->route = route;
	d->resolved = true;
	r->hooks.changed(r->hooks.context, d);
	return 0;
}

/* --------------------------------------------------------------- changes */

static void mark_changed(struct fl_reach *r)
{
	struct fl_destination *d;

	if (!r->all_changed[FL_IPV4] && !r->all_changed[FL_IPV6] && !r->changed_count)
		return;
	for (d = r->destinations; d; d = d->hh.next) {
		bool hit = r->all_changed[fl_ip_family(&d->addr)];

		for (size_t i = 0; i < r->changed_count && !hit; i++)
			hit = fl_prefix_contains(&r->changed[i], &d->addr);
		if (hit)
			mark(r, d);
	}
	r->all_changed[FL_IPV4] = r->all_changed[FL_IPV6] = false;
	r->changed_count = 0;
}

/** Resolve some of the dirty ones. @return when to go on, in ms */
static uint64_t work(struct fl_reach *r)
{
	for (int i = 0; i < BATCH && r->dirty; i++) {
		struct fl_destination *d = r->dirty;
		int code;

		unmark(r, d);
		code = resolve(r, d);
		if (code < 0) { /* what we had stays meanwhile */
			fl_log(FL_LOG_WARNING, "routes",
				"the kernel did not answer for a route, trying again",
				FL_ERR(code));
			mark(r, d);
			return TROUBLE_MS;
		}
	}
	return TURN_MS;
}

static void work_fire(uv_timer_t *timer)
{
	struct fl_reach *r = timer->data;
	uint64_t begin = uv_hrtime(), pause;

	if (!r->passing)
		r->pass_ns = 0;
	r->passing = true;
	mark_changed(r);
	pause = work(r);
	r->pass_ns += uv_hrtime() - begin;
	if (r->dirty) {
		work_in(r, pause);
		return;
	}
	r->passing = false;
	r->hooks.settled(r->hooks.context);
}

/** Something was noted that work_fire() is to look into. */
static void work_later(struct fl_reach *r)
{
	uint64_t rest = r->pass_ns / 1000000 * PAUSE_FACTOR;

	work_in(r, rest > PAUSE_MS ? rest : PAUSE_MS);
}

static void note_family(struct fl_reach *r, enum fl_family family)
{
	r->all_changed[family] = true;
	work_later(r);
}

static void note_all(struct fl_reach *r)
{
	note_family(r, FL_IPV4);
	note_family(r, FL_IPV6);
}

static void note_prefix(struct fl_reach *r, const struct fl_prefix *prefix)
{
	if (r->changed_count == PREFIXES_MAX) {
		note_family(r, fl_ip_family(&prefix->addr));
		return;
	}
	r->changed[r->changed_count++] = *prefix;
	work_later(r);
}

static void note_device(struct fl_reach *r, uint32_t ifindex)
{
	struct fl_destination *d;

	for (d = r->destinations; d; d = d->hh.next) {
		if (d->route.ifindex == ifindex)
			mark(r, d);
	}
	work_later(r);
}

/** Answers to clients may go by any gateway there is. */
static void keep_gateways(struct fl_reach *r, const struct nlmsghdr *message)
{
	struct fl_gateway gateways[FL_GATEWAYS_MAX];
	size_t count = fl_fib_gateways(message, gateways);

	for (size_t i = 0; i < count; i++)
		fl_nexts_keep(r->nexts, gateways[i].ifindex, &gateways[i].addr);
}

static void netlink_message(void *context, const struct nlmsghdr *message)
{
	struct fl_fib_change change;
	struct fl_reach *r = context;
	uint32_t ifindex;

	switch (fl_devices_feed(r->devices, message, &ifindex)) {
	case FL_DEVICE_CHANGED:
		note_device(r, ifindex);
		if (!fl_devices_find(r->devices, ifindex))
			fl_nexts_device_gone(r->nexts, ifindex);
		return;
	case FL_DEVICE_UP:
		note_all(r);
		return;
	case FL_DEVICE_SAME:
		break;
	}
	keep_gateways(r, message);
	switch (fl_fib_parse(message, &change)) {
	case FL_NEWS_PREFIX:
		note_prefix(r, &change.prefix);
		break;
	case FL_NEWS_FAMILY:
		note_family(r, change.family);
		break;
	case FL_NEWS_ALL:
		note_all(r);
		break;
	case FL_NEWS_NEIGHBOUR:
		fl_nexts_touch(r->nexts, change.ifindex, &change.neighbour);
		break;
	case FL_NEWS_NONE:
		break;
	}
}

static void netlink_settled(void *context)
{
	fl_nexts_look(((struct fl_reach *)context)->nexts);
}

static void next_changed(void *context, struct fl_next *next)
{
	struct fl_reach *r = context;
	struct fl_destination *d;

	DL_FOREACH2(next->destinations, d, next_next) {
		if (d->resolved)
			r->hooks.changed(r->hooks.context, d);
	}
}

static void next_added(void *context, uint32_t ifindex)
{
	struct fl_reach *r = context;

	r->hooks.added(r->hooks.context, ifindex);
}

/** Distinct gateways found by a dump, which no other question may interrupt. */
struct gateways {
	struct fl_gateway items[FL_NEXTS_GATEWAYS_MAX];
	size_t count;
};

static int collect_gateways(const struct nlmsghdr *message, void *context)
{
	struct gateways *list = context;
	struct fl_gateway found[FL_GATEWAYS_MAX];
	size_t count = fl_fib_gateways(message, found);

	for (size_t i = 0; i < count && list->count < FL_NEXTS_GATEWAYS_MAX; i++) {
		size_t j = 0;

		while (j < list->count && memcmp(&list->items[j], &found[i], sizeof(found[i])) != 0)
			j++;
		if (j == list->count)
			list->items[list->count++] = found[i];
	}
	return MNL_CB_OK;
}

/** Everything that notifications would have told. @return 0, -errno */
static int look_at_all(struct fl_reach *r)
{
	struct gateways gateways = { .count = 0 };
	int code = fl_devices_load(r->devices, r->netlink);

	if (code == 0)
		code = fl_fib_routes(r->netlink, collect_gateways, &gateways);
	for (size_t i = 0; i < gateways.count; i++)
		fl_nexts_keep(r->nexts, gateways.items[i].ifindex, &gateways.items[i].addr);
	fl_nexts_touch_all(r->nexts);
	note_all(r);
	return code;
}

static void netlink_lost(void *context)
{
	int code = look_at_all(context);

	fl_log(FL_LOG_WARNING, "routes", "notifications were lost, looked at everything again",
		FL_STR("result", fl_log_errno(code)));
}

/* ----------------------------------------------------------- start, stop */

static void reach_free(struct fl_reach *r)
{
	struct fl_destination *d, *next;

	HASH_ITER(hh, r->destinations, d, next) {
		destination_free(r, d);
	}
	fl_nexts_close(r->nexts);
	fl_devices_free(r->devices);
	fl_netlink_close(r->netlink);
	free(r);
}

static void work_closed(uv_handle_t *handle)
{
	reach_free(handle->data);
}

void fl_reach_stop(struct fl_reach *r)
{
	if (!r)
		return;
	fl_netlink_unwatch(r->watch);
	r->watch = NULL;
	uv_close((uv_handle_t *)&r->work, work_closed);
}

static int subscribe(struct fl_reach *r)
{
	static const unsigned groups[] = { RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE,
		RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_RULE,
		RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP };
	const struct fl_netlink_hooks hooks = { .message = netlink_message,
		.settled = netlink_settled,
		.lost = netlink_lost,
		.context = r };
	const struct fl_nexts_hooks next_hooks = {
		.changed = next_changed, .added = next_added, .context = r
	};
	int code = fl_netlink_open(NETLINK_ROUTE, &r->netlink);

	if (code < 0)
		return code;
	r->nexts = fl_nexts_new(r->loop, r->netlink, &next_hooks);
	r->devices = fl_devices_new();
	if (!r->nexts || !r->devices)
		return -ENOMEM;
	code = fl_netlink_watch(
		r->loop, groups, sizeof(groups) / sizeof(groups[0]), &hooks, &r->watch);
	return code < 0 ? code : look_at_all(r);
}

int fl_reach_start(uv_loop_t *loop, const struct fl_reach_hooks *hooks, struct fl_reach **ret)
{
	struct fl_reach *r = calloc(1, sizeof(*r));
	int code;

	if (!r)
		return -ENOMEM;
	r->loop = loop;
	r->hooks = *hooks;
	uv_timer_init(loop, &r->work);
	r->work.data = r;
	code = subscribe(r);
	if (code < 0) {
		fl_reach_stop(r);
		return code;
	}
	*ret = r;
	return 0;
}
