/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/addr.h"
#include "kernel/netlink.h"

/**
 * @file fib.h
 * Questions to the kernel's routing and neighbour tables, and what its
 * notifications of them say.
 */
enum fl_route_kind {
	FL_ROUTE_NONE,  /**< there is no way; `why` says which kind of none */
	FL_ROUTE_LOCAL, /**< an address of this node */
	FL_ROUTE_VIA,   /**< out of `ifindex`, to `gateway` or to the address itself */
};

struct fl_route {
	enum fl_route_kind kind;
	uint32_t ifindex;
	bool has_gateway;
	struct fl_ip gateway; /**< may be IPv6 for an IPv4 address (RFC 5549) */
	struct fl_ip source;  /**< that the route prefers; unspecified = it has none */
	uint32_t mtu;         /**< of the route; 0 = the interface's */
	const char *why;      /**< constant text for FL_ROUTE_NONE */
};

/** How the kernel would send to an address. @return 0 (also for "not at all"), -errno
 * when the question itself failed */
int fl_fib_route(struct fl_netlink *netlink, const struct fl_ip *addr, struct fl_route *ret);

/** The entry of a neighbour.
 * @param ret_nud      NUD_*; 0 = there is no entry
 * @param ret_has_mac  whether it has an Ethernet address
 * @return 0, -errno when the question itself failed */
int fl_fib_neighbour(struct fl_netlink *netlink, uint32_t ifindex, const struct fl_ip *addr,
	uint16_t *ret_nud, bool *ret_has_mac, uint8_t ret_mac[6]);

/** Make the kernel resolve a neighbour, or confirm it, as if the stack had sent
 * it a packet. Not for permanent entries: the kernel would make them ordinary ones.
 * @return 0, -errno */
int fl_fib_probe(struct fl_netlink *netlink, uint32_t ifindex, const struct fl_ip *addr);

/** A gateway that a route names. */
struct fl_gateway {
	uint32_t ifindex;
	struct fl_ip addr;
};
#define FL_GATEWAYS_MAX 16 /**< of one route; more are left out */

/** The gateways in RTM_NEWROUTE. @return how many; 0 for any other message */
size_t fl_fib_gateways(const struct nlmsghdr *message, struct fl_gateway ret[FL_GATEWAYS_MAX]);

/** Call `each` with RTM_NEWROUTE of every route there is. @return 0, -errno */
int fl_fib_routes(struct fl_netlink *netlink, mnl_cb_t each, void *context);

/** What a notification is about. */
enum fl_fib_news {
	FL_NEWS_NONE,      /**< nothing that could change a route or a neighbour of ours */
	FL_NEWS_PREFIX,    /**< routes to `prefix` */
	FL_NEWS_FAMILY,    /**< anything of `family` */
	FL_NEWS_ALL,       /**< anything at all */
	FL_NEWS_NEIGHBOUR, /**< `neighbour` on `ifindex` */
};

struct fl_fib_change {
	struct fl_prefix prefix;
	enum fl_family family;
	struct fl_ip neighbour;
	uint32_t ifindex;
};

/** Read a notification about routes, rules, addresses, next hops or neighbours. */
enum fl_fib_news fl_fib_parse(const struct nlmsghdr *message, struct fl_fib_change *ret);
