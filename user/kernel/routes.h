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
 *
 * Everything happens on the loop. An endpoint without a usable answer has next
 * hop 0: the program then asks bpf_fib_lookup itself.
 */
struct fl_routes;

/**
 * Adopts the next hops that the pinned endpoints have: they stay in force until
 * each endpoint is watched and resolved anew.
 * @return 0; -errno when netlink does not work
 */
int fl_routes_start(struct fl_kernel *kernel, const struct fl_config *config, uv_loop_t *loop,
	struct fl_failure *failure, struct fl_routes **ret);
/** Another list of sources or tunnel source after a reload: resolve all anew. */
int fl_routes_configure(struct fl_routes *routes, const struct fl_config *config);
/** Rows and indexes stay as they are. Memory goes when the loop has run once
 * more. NULL is welcome. */
void fl_routes_stop(struct fl_routes *routes);

/**
 * Follow the endpoint with this id; resolved when the loop runs on. Its row is written
 * in the same turn of the loop, before or after: `nexthop` is ours from then
 * on. Again with the same arguments is a no-op, with others it starts over.
 * @param forward  chooses the source address (nat or tunnel)
 * @return 0, -ERANGE (no such id), -ENOMEM
 */
int fl_routes_watch(
	struct fl_routes *routes, uint32_t id, const struct fl_ip *addr, enum fl_forward forward);
/** The endpoint's next hop becomes 0. An id that is not watched is welcome. */
void fl_routes_unwatch(struct fl_routes *routes, uint32_t id);

/** How an endpoint is reached, in words: "via 192.0.2.1 dev eth0", "no route",
 * "neighbour 192.0.2.9 on eth0 does not answer". @return `buffer` */
char *fl_routes_explain(struct fl_routes *routes, uint32_t id, char *buffer, size_t size);

/** Rows of `nexthops` in use. */
uint32_t fl_routes_hops(const struct fl_routes *routes);
