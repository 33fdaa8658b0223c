/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/routes.h"

#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "kernel/hops.h"
#include "kernel/links.h"
#include "kernel/reach.h"

/** After this pause a row is looked for again by those that found none. */
#define STARVED_MS 5000
/** An endpoint. */
struct watcher {
	uint32_t hop; /**< reference into `hops` that endpoints[].nexthop holds */
	enum fl_forward forward;
	struct fl_destination *destination; /**< NULL = not watched, maybe adopted */
	struct watcher *prev, *next;        /**< of the same destination */
};

/** What hangs on a destination. */
struct party {
	struct watcher *watchers;
	bool unroutable; /**< counted in `unroutable` */
};

/** What the configuration says about source addresses. */
struct sources {
	bool has_nat[FL_FAMILIES];
	bool has_tunnel[FL_FAMILIES];
	struct fl_ip tunnel[FL_FAMILIES];
};

struct fl_routes {
	struct fl_kernel *kernel;
	uv_loop_t *loop;
	struct sources sources;
	struct fl_reach *reach;
	struct fl_hops *hops;
	struct watcher *watchers;           /**< by endpoint id */
	uint32_t limit;                     /**< of ids */
	uv_timer_t starved;                 /**< runs while somebody found no free row */
	size_t unroutable, unroutable_said; /**< destinations without route */
};

/* ------------------------------------------------------------------ rows */

/** The source address of what is sent to an endpoint; unspecified = there is none. */
static struct fl_ip source_of(
	const struct fl_routes *r, const struct fl_destination *d, enum fl_forward forward)
{
	enum fl_family family = fl_ip_family(&d->addr);

	if ((forward == FL_IPIP || forward == FL_GUE) && r->sources.has_tunnel[family])
		return r->sources.tunnel[family];
	return d->route.source;
}

static bool needs_source(
	const struct fl_routes *r, const struct fl_destination *d, enum fl_forward forward)
{
	switch (forward) {
	case FL_NAT:
		return !r->sources.has_nat[fl_ip_family(&d->addr)];
	case FL_IPIP:
	case FL_GUE:
		return true;
	default:
		return false;
	}
}

static uint16_t mtu_of(const struct fl_link *device, const struct fl_route *route)
{
	uint32_t mtu = device->mtu;

	if (route->mtu && route->mtu < mtu)
		mtu = route->mtu;
	return mtu > UINT16_MAX ? UINT16_MAX : mtu;
}

static const char *why_no_frames(const struct fl_destination *d, const struct fl_link *device)
{
	if (device->type != ARPHRD_ETHER || !device->has_mac)
		return "not reachable for XDP: the interface carries no Ethernet frames";
	if (!d->next)
		return "out of memory";
	if (d->next->state.belief == FL_NEIGHBOUR_LOST)
		return "does not answer";
	return fl_neighbour_is_usable(&d->next->state) ? NULL : "is being asked for";
}

/**
 * The row that says how packets for an endpoint leave.
 * @return NULL with *ret set; else why there is none
 */
static const char *row_of(const struct fl_routes *r, const struct fl_destination *d,
	enum fl_forward forward, struct fl_nexthop_row *ret)
{
	const struct fl_link *device = fl_reach_device(r->reach, d->route.ifindex);
	struct fl_nexthop_row row = { .ifindex = d->route.ifindex };
	const char *why;

	if (!d->resolved)
		return "is being resolved";
	if (d->route.kind == FL_ROUTE_NONE)
		return d->route.why;
	if (!device)
		return "no route: its interface is gone";
	row.src = source_of(r, d, forward);
	row.mtu = mtu_of(device, &d->route);
	if (d->route.kind == FL_ROUTE_LOCAL) {
		row.flags = FL_NEXTHOP_LOCAL;
		*ret = row;
		return NULL;
	}
	why = why_no_frames(d, device);
	if (why)
		return why;
	if (fl_ip_is_unspecified(&row.src) && needs_source(r, d, forward))
		return "no source address: the interface has none for the route to prefer";
	memcpy(row.smac, device->mac, sizeof(row.smac));
	memcpy(row.dmac, d->next->state.mac, sizeof(row.dmac));
	*ret = row;
	return NULL;
}

/** Give an endpoint another next hop. Takes over the reference to `hop`. */
static void swing(struct fl_routes *r, struct watcher *w, uint32_t hop)
{
	struct fl_endpoint_row *row = &r->kernel->maps.endpoints[w - r->watchers];
	uint32_t old = w->hop;

	/* A row that is not in use may not even be mapped for writing. Release: the next
	 * hop is complete before its index shows. */
	if (row->service && __atomic_load_n(&row->nexthop, __ATOMIC_RELAXED) != hop)
		__atomic_store_n(&row->nexthop, hop, __ATOMIC_RELEASE);
	w->hop = hop;
	fl_hops_release(r->hops, old, uv_now(r->loop));
}

static void starved_fire(uv_timer_t *timer);

/** Whether the rows are at hand that a next hop may be written to. */
static bool rows_are_mapped(struct fl_routes *r)
{
	return fl_maps_reach(&r->kernel->maps, FL_MAP_nexthops, fl_hops_bound(r->hops)) != -ENOMEM;
}

/** Bring an endpoint to what is known of its destination now. */
static void watcher_publish(struct fl_routes *r, struct watcher *w)
{
	struct fl_nexthop_row row;
	uint32_t hop = 0;

	if (!row_of(r, w->destination, w->forward, &row) && rows_are_mapped(r) &&
		fl_hops_take(r->hops, &row, uv_now(r->loop), &hop) < 0 &&
		!uv_is_active((uv_handle_t *)&r->starved))
		uv_timer_start(&r->starved, starved_fire, STARVED_MS, 0);
	swing(r, w, hop);
}

/* -------------------------------------------------------- hooks of reach */

static void party_count(struct fl_routes *r, struct fl_destination *d)
{
	struct party *party = d->data;
	bool unroutable = party->watchers && d->resolved && d->route.kind == FL_ROUTE_NONE;

	r->unroutable += unroutable;
	r->unroutable -= party->unroutable;
	party->unroutable = unroutable;
}

static void reach_changed(void *context, struct fl_destination *d)
{
	struct party *party = d->data;
	struct watcher *w;

	party_count(context, d);
	DL_FOREACH(party->watchers, w) {
		watcher_publish(context, w);
	}
}

/** Packets will leave by an interface that may be none of the edge's own. */
static void reach_added(void *context, uint32_t ifindex)
{
	const struct fl_routes *r = context;
	int code = fl_links_add_port(r->kernel->maps.fd[FL_MAP_tx_ports], ifindex);

	if (code < 0 && code != -ENODEV)
		fl_log(FL_LOG_WARNING, "routes", "packets cannot be redirected to an interface",
			FL_UINT("ifindex", ifindex), FL_ERR(code));
}

static void reach_gone(void *context, struct fl_destination *d)
{
	(void)context;
	free(d->data);
}

static void reach_settled(void *context)
{
	struct fl_routes *r = context;

	if (r->unroutable == r->unroutable_said)
		return;
	r->unroutable_said = r->unroutable;
	fl_log(r->unroutable ? FL_LOG_WARNING : FL_LOG_INFO, "routes",
		"endpoint addresses without a route", FL_UINT("count", r->unroutable));
}

static void starved_fire(uv_timer_t *timer)
{
	struct fl_routes *r = timer->data;
	struct fl_destination *d;
	struct watcher *w;

	for (d = fl_reach_first(r->reach); d; d = d->hh.next) {
		DL_FOREACH(((struct party *)d->data)->watchers, w) {
			if (!w->hop)
				watcher_publish(r, w);
		}
	}
}

/* ----------------------------------------------------------- start, stop */

static void take_sources(struct fl_routes *r, const struct fl_config *config)
{
	r->sources = (struct sources){ 0 };
	for (size_t i = 0; i < config->nat_source_count; i++)
		r->sources.has_nat[fl_ip_family(&config->nat_sources[i])] = true;
	for (int family = 0; family < FL_FAMILIES; family++) {
		r->sources.has_tunnel[family] = config->has_tunnel_source[family];
		r->sources.tunnel[family] = config->tunnel_source[family].addr;
	}
}

static void routes_closed(uv_handle_t *handle)
{
	struct fl_routes *r = handle->data;

	fl_hops_free(r->hops);
	free(r->watchers);
	free(r);
}

void fl_routes_stop(struct fl_routes *r)
{
	struct fl_destination *d;

	if (!r)
		return;
	if (r->reach) {
		for (d = fl_reach_first(r->reach); d; d = d->hh.next)
			free(d->data);
	}
	fl_reach_stop(r->reach);
	uv_close((uv_handle_t *)&r->starved, routes_closed);
}

/** What the pinned endpoints name stays named until they are watched again. */
static void adopt(struct fl_routes *r)
{
	for (uint32_t id = 1; id < r->limit; id++) {
		uint32_t hop = r->kernel->maps.endpoints[id].nexthop;

		if (hop && fl_hops_adopt(r->hops, hop) == 0)
			r->watchers[id].hop = hop;
	}
}

int fl_routes_start(struct fl_kernel *kernel, const struct fl_config *config, uv_loop_t *loop,
	struct fl_failure *failure, struct fl_routes **ret)
{
	struct fl_routes *r = calloc(1, sizeof(*r));
	const struct fl_reach_hooks hooks = { .changed = reach_changed,
		.added = reach_added,
		.gone = reach_gone,
		.settled = reach_settled,
		.context = r };
	int code = -ENOMEM;

	if (!r)
		return fl_fail(failure, -ENOMEM, "out of memory");
	r->kernel = kernel;
	r->loop = loop;
	r->limit = fl_map_rows(FL_MAP_endpoints, &kernel->maps.limits);
	take_sources(r, config);
	uv_timer_init(loop, &r->starved);
	r->starved.data = r;
	r->hops =
		fl_hops_new(kernel->maps.nexthops, kernel->maps.shape[FL_MAP_nexthops].max_entries);
	r->watchers = calloc(r->limit, sizeof(*r->watchers));
	if (r->hops && r->watchers)
		code = fl_reach_start(loop, &hooks, &r->reach);
	if (code < 0) {
		fl_routes_stop(r);
		return fl_fail(
			failure, code, "cannot follow routes by netlink: %s", fl_log_errno(code));
	}
	adopt(r);
	*ret = r;
	return 0;
}

int fl_routes_configure(struct fl_routes *r, const struct fl_config *config)
{
	struct fl_destination *d;

	take_sources(r, config);
	for (d = fl_reach_first(r->reach); d; d = d->hh.next)
		reach_changed(r, d);
	return 0;
}

/* -------------------------------------------------------------- watching */

/** A destination with its party, and one reference. @return NULL when out of memory */
static struct fl_destination *destination_get(struct fl_routes *r, const struct fl_ip *addr)
{
	struct fl_destination *d = fl_reach_get(r->reach, addr);

	if (!d || d->data)
		return d;
	d->data = calloc(1, sizeof(struct party));
	if (d->data)
		return d;
	fl_reach_put(r->reach, d);
	return NULL;
}

static void watcher_leave(struct fl_routes *r, struct watcher *w)
{
	struct fl_destination *d = w->destination;

	if (!d)
		return;
	DL_DELETE(((struct party *)d->data)->watchers, w);
	party_count(r, d);
	w->destination = NULL;
	fl_reach_put(r->reach, d);
}

int fl_routes_watch(
	struct fl_routes *r, uint32_t id, const struct fl_ip *addr, enum fl_forward forward)
{
	struct fl_destination *d;
	struct watcher *w;

	if (id == 0 || id >= r->limit)
		return -ERANGE;
	w = &r->watchers[id];
	if (w->destination && fl_ip_equal(&w->destination->addr, addr) && w->forward == forward) {
		if (r->kernel->maps.endpoints[id].nexthop != w->hop) /* the row is a new one */
			fl_reach_refresh(r->reach, w->destination);
		return 0;
	}
	d = destination_get(r, addr);
	if (!d)
		return -ENOMEM;
	watcher_leave(r, w);
	DL_APPEND(((struct party *)d->data)->watchers, w);
	w->destination = d;
	w->forward = forward;
	/* Not at once: the endpoint's row may be written only after this call. */
	fl_reach_refresh(r->reach, d);
	return 0;
}

void fl_routes_unwatch(struct fl_routes *r, uint32_t id)
{
	struct watcher *w;

	if (id == 0 || id >= r->limit)
		return;
	w = &r->watchers[id];
	watcher_leave(r, w);
	/* The row may have been cleared, even given to another endpoint, before. */
	if (r->kernel->maps.endpoints[id].nexthop == w->hop) {
		swing(r, w, 0);
		return;
	}
	fl_hops_release(r->hops, w->hop, uv_now(r->loop));
	w->hop = 0;
}

/* ----------------------------------------------------------------- words */

static void explain_route(
	const struct fl_destination *d, const char *device, char *buffer, size_t size)
{
	char text[FL_IP_TEXT];

	if (d->route.kind == FL_ROUTE_LOCAL)
		snprintf(buffer, size, "this node itself");
	else if (d->route.has_gateway)
		snprintf(buffer, size, "via %s dev %s", fl_ip_format(&d->route.gateway, text),
			device);
	else
		snprintf(buffer, size, "dev %s", device);
}

static const struct watcher *watched(const struct fl_routes *r, uint32_t id)
{
	return id < r->limit && r->watchers[id].destination ? &r->watchers[id] : NULL;
}

char *fl_routes_explain(struct fl_routes *r, uint32_t id, char *buffer, size_t size)
{
	const struct watcher *w = watched(r, id);
	const struct fl_destination *d = w ? w->destination : NULL;
	const struct fl_link *device;
	struct fl_nexthop_row row;
	char text[FL_IP_TEXT];
	const char *why;

	if (!w) {
		snprintf(buffer, size, "not followed");
		return buffer;
	}
	device = fl_reach_device(r->reach, d->route.ifindex);
	why = row_of(r, d, w->forward, &row);
	if (!why && !w->hop)
		why = "no room for another next hop";
	if (!why)
		explain_route(d, device->name, buffer, size);
	else if (d->next && !fl_neighbour_is_usable(&d->next->state))
		snprintf(buffer, size, "neighbour %s on %s %s",
			fl_ip_format(&d->next->key.addr, text), device ? device->name : "?", why);
	else
		snprintf(buffer, size, "%s", why);
	return buffer;
}

uint32_t fl_routes_hops(const struct fl_routes *r)
{
	return fl_hops_in_use(r->hops);
}
