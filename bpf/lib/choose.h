/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/slots.h"

/**
 * @file choose.h
 * Which endpoint a connection of this node gets, at the moment it begins.
 */

struct choice {
	__u32 service;
	__u32 frontend;
	__u32 endpoint;
	struct fl_ip addr; /**< of the endpoint */
	__be16 port;       /**< where it listens */
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

/** Slots are as many as weights ask for: an even draw among them is a weighted one among
 * endpoints. @return an id; 0 = none */
static __always_inline __u32 choose_draw(fl_region region)
{
	__u32 slot, index;
	fl_slot value;

	if (slot_lookup(region, bpf_get_prandom_u32(), &slot, &index, &value))
		return 0;
	return fl_slot_now(value);
}

/**
 * @param family  of the frontend
 * @param only    constant; FL_FAMILIES = an endpoint of any family will do
 * @return 0 or a negative reason
 */
static __always_inline int choose_endpoint(
	enum fl_family family, enum fl_family only, __be16 port, struct choice *c)
{
	struct fl_service_row *service = service_row(c->service);
	fl_region region;

	if (!service)
		return -FL_DROP_INTERNAL;
	region = READ_ONCE(service->region[family]);
	if (!region_size(region))
		return -FL_DROP_NO_TABLE;
	for (int draw = 0; draw < CHOOSE_DRAWS; draw++) {
		__u32 id = choose_draw(region);
		struct fl_endpoint_row *endpoint = endpoint_row(id);

		if (!id || !endpoint || endpoint->state != FL_UP)
			continue;
		if (only != FL_FAMILIES && endpoint->family != only)
			continue;
		c->endpoint = id;
		c->addr = endpoint->addr;
		c->port = endpoint->port ? endpoint->port : port;
		return 0;
	}
	return -FL_DROP_NO_ENDPOINT;
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
