/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "model/service.h"

/**
 * @file pool.h
 * Arranges the endpoints of a service for the choices of the node path, as
 * fairlead/node.h lays them out: in tiers by how near they are, each with weights
 * summed up for draws, and for round robin with a schedule.
 *
 * How many choices stay near is Envoy's load of priority levels: a tier is healthy to
 * 140 % (its overprovisioning factor) of the endpoints that are up among those it has,
 * takes what it is healthy for, and what is left goes to the next tier. So near endpoints
 * take everything while five of seven are up. Pure.
 */

/** Where this node is; NULL = not known. */
struct fl_place_of_node {
	const char *name, *zone;
};

struct fl_pool {
	union fl_pool_row *rows; /**< head, members, turns */
	uint32_t count;
};

/** Rows that the pool of a head has, with the head. @return 0 when it makes no sense */
uint32_t fl_pool_rows(const struct fl_pool_head *head);

/**
 * Arrange. Endpoints that are up, have a weight, and that `family` may use are members;
 * there may be none.
 * @param service  with ids
 * @param ret      to be freed by fl_pool_done
 * @return 0, -ENOMEM
 */
int fl_pool_make(const struct fl_service *service, enum fl_family family,
	const struct fl_place_of_node *here, struct fl_pool *ret);
/** A zeroed one is welcome. */
void fl_pool_done(struct fl_pool *pool);

/** Which tier an endpoint is in. */
unsigned fl_pool_tier(enum fl_locality locality, const struct fl_place_of_node *here,
	const struct fl_endpoint *endpoint);
