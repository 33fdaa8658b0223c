/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "balance/pool.h"
#include "core/failure.h"
#include "kernel/node_maps.h"
#include "model/snapshot.h"

/**
 * @file pools.h
 * Pools of the node path in the map `pools`: from whom its programs choose. Part of
 * the writer, where there is a node path.
 *
 * A pool never changes: another one is written somewhere else, and then the service's
 * row swings over in one store. The old place rests before it is used again, since a
 * connect may have read it just before. Without room a service has no pool, its
 * connections get slots that are drawn, and it is tried again when a place is free.
 */
struct fl_pools;

/**
 * Takes over the pools that the rows of services name. Damaged ones are no reason to
 * fail: then all of them are forgotten, and written anew by the next plan.
 * @param maps  mapped; to be kept while it lives
 * @param here  where this node is; copied
 * @return 0, -ENOMEM
 */
int fl_pools_new(
	struct fl_node_maps *maps, const struct fl_place_of_node *here, struct fl_pools **ret);
/** NULL is welcome. */
void fl_pools_free(struct fl_pools *pools);

/**
 * The node is elsewhere now: pools that exist are as near as they were until they are put again.
 * @return 1 = that is another place; 0, -ENOMEM (nothing changed)
 */
int fl_pools_move(struct fl_pools *pools, const struct fl_place_of_node *here);

/**
 * Make the pool of one family what the service says; nothing is written where it is
 * that already. No room is no failure.
 * @return 1 = written, 0, -ENOMEM
 */
int fl_pools_put(struct fl_pools *pools, const struct fl_service *service, enum fl_family family,
	uint32_t now_s);
/** The service has no frontend of that family any more. Without effect if it has no pool. */
void fl_pools_drop(struct fl_pools *pools, uint32_t service, enum fl_family family, uint32_t now_s);

/** Whether connections are open that were made to the endpoint of that number: it
 * must not become another's, for they would count there. */
bool fl_pools_has_connections(const struct fl_pools *pools, uint32_t endpoint);

/** An endpoint has a number that was perhaps another's: nothing is known of it. */
void fl_pools_forget_live(struct fl_pools *pools, uint32_t endpoint);

/** About once a second: places that have rested are free, and services without a pool
 * get one, if there is room by now. @param snapshot  in force; may be NULL */
void fl_pools_tick(struct fl_pools *pools, const struct fl_snapshot *snapshot, uint32_t now_s);

/** Pools written since fl_pools_new. */
uint64_t fl_pools_written(const struct fl_pools *pools);
/** Services and families that have none, for lack of room. */
uint32_t fl_pools_waiting(const struct fl_pools *pools);
