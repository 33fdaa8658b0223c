/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "kernel/kernel.h"

/**
 * @file routes.h
 * Next hops of endpoints, by netlink: which interface, which MAC, which source
 * address. Writes rows of `nexthops` and swings `endpoints[].nexthop` over;
 * keeps both current when routes, addresses, links or neighbours change, and
 * the neighbours fresh, since XDP's traffic confirms none.
 */
struct fl_routes;

int fl_routes_start(struct fl_kernel *kernel, const struct fl_config *config, uv_loop_t *loop,
	struct fl_failure *failure, struct fl_routes **ret);
/** Another list of sources or tunnel source after a reload: resolve all anew. */
int fl_routes_configure(struct fl_routes *routes, const struct fl_config *config);
void fl_routes_stop(struct fl_routes *routes);

/** Follow the endpoint with this id; resolved soon after. Again with the same
 * id is a no-op. @param forward chooses the source address (nat or tunnel).
 * @return 0, -ENOMEM */
int fl_routes_watch(
	struct fl_routes *routes, uint32_t id, const struct fl_ip *addr, enum fl_forward forward);
void fl_routes_unwatch(struct fl_routes *routes, uint32_t id);

/** How an endpoint is reached, in words: "via 192.0.2.1 dev eth0", "no route",
 * "neighbour 192.0.2.9 does not answer". @return `buffer` */
char *fl_routes_explain(struct fl_routes *routes, uint32_t id, char *buffer, size_t size);
