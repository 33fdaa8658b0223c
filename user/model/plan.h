/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/snapshot.h"

/**
 * @file plan.h
 * The ordered steps that lead from one snapshot to the next.
 *
 * Order (design 3.1 rule 8): what comes first exists before it is used, what
 * goes leaves the slots before it stops taking traffic:
 *
 *   endpoints that are new or up → tables → pools → services → frontends →
 *   frontends that go → tables that go → services that go → endpoints that leave
 *
 * Every step says what shall be, not what to toggle, so that a plan broken off
 * halfway can be carried out again from the start. Services that are the same
 * in both snapshots yield no step, and neither does a table whose endpoints,
 * weights, states and size are. Where there is no node path, a pool's step has
 * nothing to do. Pure.
 */
enum fl_step_kind {
	FL_STEP_ENDPOINT,       /**< row exists with its address; an UP state is written now */
	FL_STEP_TABLE,          /**< slots of one family hold the table of the new service */
	FL_STEP_POOL,           /**< choices of the node path, for frontends of one family */
	FL_STEP_SERVICE,        /**< row and name of the service */
	FL_STEP_FRONTEND,       /**< frontend leads to the service, whoever had it before */
	FL_STEP_FRONTEND_GONE,  /**< no service has it any more */
	FL_STEP_TABLE_GONE,     /**< the service stays, but has no frontend of that family now:
				 * its pool goes, too */
	FL_STEP_SERVICE_GONE,   /**< row, tables, pools and name */
	FL_STEP_ENDPOINT_STATE, /**< DRAINING, DOWN or MAINTENANCE is written */
	FL_STEP_ENDPOINT_GONE,  /**< row is freed once nothing holds it */
	FL_STEP_KINDS
};

struct fl_step {
	enum fl_step_kind kind;
	/** The new one, also for FL_STEP_TABLE_GONE; the old one for the other …_GONE. */
	const struct fl_service *service;
	const struct fl_endpoint *endpoint; /**< of `service`; NULL when not an endpoint's step */
	const struct fl_frontend *frontend; /**< of `service`; NULL when not a frontend's step */
	enum fl_family family;              /**< of FL_STEP_TABLE, _TABLE_GONE and _POOL */
};

/** Borrows both snapshots: keep them while it lives. */
struct fl_plan {
	struct fl_step *steps;
	size_t count;
};

/**
 * Compare. Costs a walk along the pointers of both; only services that are not the same
 * object are looked into.
 * @param applied may be NULL: nothing is known to be in place
 * Ids must have been assigned in both. @return 0, -ENOMEM
 */
int fl_plan_diff(
	const struct fl_snapshot *applied, const struct fl_snapshot *desired, struct fl_plan *ret);
/** Frees the steps; a zeroed plan is welcome. */
void fl_plan_done(struct fl_plan *plan);
