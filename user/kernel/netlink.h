/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/**
 * @file netlink.h
 * What links.c, routes.c and doctor.c share of rtnetlink: questions, which the
 * kernel answers within the call, and a subscription that lives on the loop.
 *
 * Notifications may be lost (ENOBUFS) and are only hints here: whoever hears one
 * asks for the present state and acts on that. So a loss, a reordering or an
 * interface that went and came back between two events needs no special case.
 */

/* ------------------------------------------------------------- questions */

struct fl_netlink;

/** @param protocol  NETLINK_ROUTE, NETLINK_GENERIC @return 0, -errno */
int fl_netlink_open(int protocol, struct fl_netlink **ret);
/** NULL is welcome. */
void fl_netlink_close(struct fl_netlink *netlink);

/** Begin a request in a buffer that belongs to `netlink` and holds 4 KiB. */
struct nlmsghdr *fl_netlink_request(struct fl_netlink *netlink, uint16_t type, uint16_t flags);

/**
 * Send what fl_netlink_request() began and hand every message of the answer to
 * `each` (NULL: only success matters) until the kernel says that it is complete.
 * `each` must not ask anything itself.
 * @return 0, -errno as the kernel says (-EINTR: a dump was overtaken by a
 *         change and may be asked again), -ETIMEDOUT
 */
int fl_netlink_ask(struct fl_netlink *netlink, mnl_cb_t each, void *context);

/** An interface. */
struct fl_link {
	uint32_t ifindex;
	char name[16];
	char kind[16]; /**< "veth", "bridge", "vlan"; "" = a plain device */
	uint32_t mtu;
	uint32_t flags; /**< IFF_* */
	uint16_t type;  /**< ARPHRD_* */
	bool has_mac;
	uint8_t mac[6];
	uint8_t xdp_mode;    /**< XDP_ATTACHED_*: what sits in the XDP slot */
	uint32_t xdp_prog;   /**< and its program id; 0 = none (or several modes) */
	uint32_t peer;       /**< ifindex of a veth's peer, or of what a vlan lies on; 0 = none */
	bool peer_elsewhere; /**< which is an index of another network namespace */
};

/** Read RTM_NEWLINK or RTM_DELLINK. @return false when it is no such message */
bool fl_link_parse(const struct nlmsghdr *message, struct fl_link *ret);

/** Whether it is up and has a carrier. */
bool fl_link_works(const struct fl_link *link);

/** Ask for one interface, by name, or by index when `name` is NULL.
 * @return 0, -ENODEV, -errno */
int fl_netlink_link(
	struct fl_netlink *netlink, const char *name, uint32_t ifindex, struct fl_link *ret);

/** Call `each` for every interface. @return 0, -errno */
int fl_netlink_links(struct fl_netlink *netlink,
	void (*each)(void *context, const struct fl_link *link), void *context);

/* ---------------------------------------------------------- subscription */

struct fl_netlink_watch;

struct fl_netlink_hooks {
	/** One notification. NULL = not wanted. */
	void (*message)(void *context, const struct nlmsghdr *message);
	/** All that had come was handed over: the moment to act. */
	void (*settled)(void *context);
	/** Notifications were lost: look at everything again. `settled` follows. */
	void (*lost)(void *context);
	void *context;
};

/**
 * Join multicast groups (RTNLGRP_*) and report on the loop.
 * @return 0, -errno
 */
int fl_netlink_watch(uv_loop_t *loop, const unsigned *groups, size_t count,
	const struct fl_netlink_hooks *hooks, struct fl_netlink_watch **ret);
/** No hook is called any more; memory goes when the loop has run once more.
 * NULL is welcome. */
void fl_netlink_unwatch(struct fl_netlink_watch *watch);
