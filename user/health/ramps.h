/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "health/health.h"
#include "model/snapshot.h"

/**
 * @file ramps.h
 * Which endpoints are in their slow start (balance/ramp.h), for services that have a
 * `slow_start:`. One begins when an endpoint takes new flows that took none before, or is new in
 * its service. When the service itself is new, as after a start of the agent, its endpoints
 * are taken for warm. Pure: times are handed in, CLOCK_REALTIME as verdicts have it.
 */
struct fl_ramps;

/** @return NULL when out of memory */
struct fl_ramps *fl_ramps_new(void);
/** NULL is welcome. */
void fl_ramps_free(struct fl_ramps *ramps);

/**
 * Look at what would be applied, and set in `health` what is new about it.
 * @return how many endpoints have begun or ended one: lay the overlay again; -ENOMEM
 */
int fl_ramps_look(struct fl_ramps *ramps, struct fl_health *health, const struct fl_snapshot *laid,
	uint64_t now_ms);

/** Set in `health` how far they are now. @return 0, -ENOMEM */
int fl_ramps_step(struct fl_ramps *ramps, struct fl_health *health, uint64_t now_ms);

/** When the next step is due; 0 = nothing ramps. */
uint64_t fl_ramps_next_ms(const struct fl_ramps *ramps);
