/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/choose_affinity.h"
#include "lib/choose_key.h"

/**
 * @file choose.h
 * Which endpoint a connection of this node gets, at the moment it begins.
 *
 * The service's pool says how (choose_pool.h reads it, choose_pick.h has the algorithms,
 * choose_tier.h begins with near endpoints); without one, slots of the service's table are
 * drawn.
 */

struct choice {
	__u32 service;
	__u32 frontend;
	__u32 endpoint;
	struct fl_ip addr; /**< of the endpoint */
	__be16 port;       /**< where it listens */
	__u8 trial;        /**< this connection tries it, see live.h */
};

/** Draws until one is up: slots name endpoints that are, but for moments of a change. */
#define CHOOSE_DRAWS 8

static __always_inline bool choose_frontend(
	const struct fl_ip *addr, __be16 port, __u8 proto, struct choice *c)
{
	struct fl_frontend_key key = { .addr = *addr, .port = port, .proto = proto };
	struct fl_frontend_row *row = bpf_map_lookup_elem(&fl_frontends, &key);

	if (!row) {
		key.port = 0;
		row = bpf_map_lookup_elem(&fl_frontends, &key);
	}
	if (!row)
		return false;
	c->service = row->service;
	c->frontend = row->frontend;
	return true;
}

/**
 * Slots are as many as weights ask for: an even draw among them is a weighted one among
 * endpoints. For services that have no pool. @return an endpoint, 0 = none
 */
static __always_inline __u32 choose_slot(struct pick *p)
{
	for (int draw = 0; draw < CHOOSE_DRAWS; draw++) {
		__u32 slot, index, endpoint, found;
		fl_slot value;

		if (slot_lookup(p->region, bpf_get_prandom_u32(), &slot, &index, &value))
			return 0;
		endpoint = fl_slot_now(value);
		found = candidate_check(endpoint, p->service, p->only, false, p->now);
		if (found == CANDIDATE_GOOD)
			return endpoint;
		if (found == CANDIDATE_EJECTED)
			p->last_resort = endpoint;
	}
	return p->last_resort;
}

static __always_inline __u32 choose_by(struct bpf_sock_addr *ctx, enum fl_family socket_family,
	const struct fl_pool_head *head, struct pick *p)
{
	p->netns = bpf_get_netns_cookie(ctx);
	p->keyed = head->balance == FL_MAGLEV && head->key != FL_KEY_RANDOM;
	if (p->keyed)
		p->hash = key_hash(ctx, socket_family, head->key, p->netns);
	return head->affinity_s ? affinity_pick(p, head->affinity_s) : pick_from_pool(p);
}

/** What a service chooses by. @param ret  its pool's head; NULL = slots are drawn
 * @return 0 or a negative reason */
static __always_inline int choose_begin(
	struct pick *p, enum fl_family family, const struct fl_pool_head **ret)
{
	struct fl_service_row *service = service_row(p->service);
	struct fl_node_service_row *row = bpf_map_lookup_elem(&fl_node_services, &p->service);

	if (!service || !row)
		return -FL_DROP_INTERNAL;
	p->now = bpf_ktime_get_ns();
	p->family = family;
	p->region = READ_ONCE(service->region[family]);
	p->pool = READ_ONCE(row->pool[family]);
	*ret = p->pool ? pool_head(p->pool) : NULL;
	return *ret || region_size(p->region) ? 0 : -FL_DROP_NO_TABLE;
}

/** Where the endpoint that was chosen is. @return 0 or a negative reason */
static __always_inline int choose_take(struct choice *c, __be16 port)
{
	struct fl_endpoint_row *endpoint = endpoint_row(c->endpoint);

	if (!c->endpoint || !endpoint)
		return -FL_DROP_NO_ENDPOINT;
	c->addr = endpoint->addr;
	c->port = endpoint->port ? endpoint->port : port;
	return 0;
}

/**
 * @param socket_family  constant. A socket of IPv4 can speak to no endpoint of IPv6; one of
 *                       IPv6 can to both
 * @param family         of the frontend
 * @return 0 or a negative reason
 */
static __always_inline int choose_endpoint(struct bpf_sock_addr *ctx, enum fl_family socket_family,
	enum fl_family family, __be16 port, struct choice *c)
{
	struct pick p = { .service = c->service,
		.only = socket_family == FL_IPV4 ? FL_IPV4 : FL_FAMILIES,
		.tcp = ctx->protocol == IPPROTO_TCP };
	const struct fl_pool_head *head = NULL;
	int err = choose_begin(&p, family, &head);

	if (err)
		return err;
	c->endpoint = head ? choose_by(ctx, socket_family, head, &p) : choose_slot(&p);
	c->trial = p.trial;
	return choose_take(c, port);
}

/** No connection is made of it: somebody else may try. */
static __always_inline void choose_give_back(const struct choice *c)
{
	struct fl_live_row *live = c->trial ? live_row(c->endpoint) : NULL;

	if (live)
		live_leave_trial(live);
}

static __always_inline void choose_count(const struct choice *c)
{
	struct fl_frontend_stats *frontend = bpf_map_lookup_elem(&fl_frontend_stats, &c->frontend);
	struct fl_endpoint_stats *endpoint = bpf_map_lookup_elem(&fl_endpoint_stats, &c->endpoint);

	if (frontend)
		frontend->new_flows++;
	if (endpoint)
		endpoint->new_flows++;
}
