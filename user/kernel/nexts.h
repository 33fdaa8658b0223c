/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "core/addr.h"
#include "kernel/hash.h"
#include "kernel/neighbour.h"
#include "kernel/netlink.h"

/**
 * @file nexts.h
 * The neighbours that frames are sent to, each kept resolved and fresh in the
 * kernel's table by the rules of neighbour.h.
 *
 * Two kinds are followed: those that some destination is reached by (reach.c), and
 * gateways of any route, since answers to clients go by bpf_fib_lookup: it neither
 * resolves a neighbour nor keeps one fresh.
 */
struct fl_nexts;
struct fl_destination;

struct fl_next {
	struct fl_next_key {
		uint32_t ifindex;
		struct fl_ip addr; /**< a gateway, or the destination itself */
	} key;
	struct fl_neighbour state;
	struct fl_destination *destinations; /**< reach.c's list */
	/* Private to nexts.c. */
	bool kept;
	bool touched;
	struct fl_next *prev, *next; /**< among the touched */
	UT_hash_handle hh;
};

struct fl_nexts_hooks {
	/** Its MAC, or whether it can be used, changed. Nexts may not be put here. */
	void (*changed)(void *context, struct fl_next *next);
	/** The first frames will leave by this interface. */
	void (*added)(void *context, uint32_t ifindex);
	void *context;
};

/** Gateways followed at most; more are left to the kernel. */
#define FL_NEXTS_GATEWAYS_MAX 64

/** @param netlink  borrowed, for questions
 * @return NULL when out of memory */
struct fl_nexts *fl_nexts_new(
	uv_loop_t *loop, struct fl_netlink *netlink, const struct fl_nexts_hooks *hooks);
/** No hook is called any more; memory goes when the loop has run once more. */
void fl_nexts_close(struct fl_nexts *nexts);

/** Find or add, and look at once. @return NULL when out of memory */
struct fl_next *fl_nexts_get(struct fl_nexts *nexts, uint32_t ifindex, const struct fl_ip *addr);
/** Free it unless it has destinations or is kept. */
void fl_nexts_put(struct fl_nexts *nexts, struct fl_next *next);

/** Follow the gateway of a route until its device goes. */
void fl_nexts_keep(struct fl_nexts *nexts, uint32_t ifindex, const struct fl_ip *addr);
/** A device is no more: its gateways need not be kept. */
void fl_nexts_device_gone(struct fl_nexts *nexts, uint32_t ifindex);

/** A notification named a neighbour, followed or not: fl_nexts_look() looks at it. */
void fl_nexts_touch(struct fl_nexts *nexts, uint32_t ifindex, const struct fl_ip *addr);
void fl_nexts_touch_all(struct fl_nexts *nexts);
/** Read what was touched and call `changed`. */
void fl_nexts_look(struct fl_nexts *nexts);
