/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "kernel/fib.h"
#include "kernel/hash.h"
#include "kernel/nexts.h"

/**
 * @file reach.h
 * How addresses are reached: route, device and neighbour of each, kept current.
 *
 *     next (interface, address) ◄── destination (address) ◄── who asked (routes.c)
 *
 * Ten thousand endpoints behind one gateway are ten thousand destinations of one
 * next. A notification never carries an answer: it marks destinations as dirty, or
 * nexts as touched, and these are asked for anew. Neighbours are looked at as
 * soon as all notifications that wait were read, since traffic follows a MAC;
 * routes after a pause that lets a burst of changes end.
 */
struct fl_reach;

struct fl_destination {
	struct fl_ip addr;
	bool resolved; /**< `route` holds an answer */
	struct fl_route route;
	struct fl_next *next; /**< of FL_ROUTE_VIA; NULL also when out of memory */
	void *data;           /**< the asker's own */
	/* Private to reach.c. */
	unsigned references;
	bool dirty;
	struct fl_destination *next_prev, *next_next;   /**< of the same `next` */
	struct fl_destination *dirty_prev, *dirty_next; /**< queue */
	UT_hash_handle hh;
};

struct fl_reach_hooks {
	/** Route, device or neighbour of a destination changed; also the first answer.
	 * Destinations may be got here, but not put. */
	void (*changed)(void *context, struct fl_destination *destination);
	/** A next is new: frames will leave by its interface. */
	void (*added)(void *context, uint32_t ifindex);
	/** The last reference was put: `data` goes. */
	void (*gone)(void *context, struct fl_destination *destination);
	/** Nothing is dirty any more. */
	void (*settled)(void *context);
	void *context;
};

/** @return 0, -errno when netlink does not work, -ENOMEM */
int fl_reach_start(uv_loop_t *loop, const struct fl_reach_hooks *hooks, struct fl_reach **ret);
/** No hook is called any more; memory, destinations too, goes when the loop has
 * run once more. NULL is welcome. */
void fl_reach_stop(struct fl_reach *reach);

/** One reference to the destination of an address; new ones are resolved soon.
 * @return NULL when out of memory */
struct fl_destination *fl_reach_get(struct fl_reach *reach, const struct fl_ip *addr);
/** Ask about it anew soon; `changed` follows. */
void fl_reach_refresh(struct fl_reach *reach, struct fl_destination *destination);
/** Give a reference back. */
void fl_reach_put(struct fl_reach *reach, struct fl_destination *destination);
/** A device by index. @return borrowed until the loop runs on, or NULL */
const struct fl_link *fl_reach_device(const struct fl_reach *reach, uint32_t ifindex);

/** Walk over all destinations: `for (d = first; d; d = d->hh.next)`. */
struct fl_destination *fl_reach_first(const struct fl_reach *reach);
