/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "health/health.h"
#include "model/snapshot.h"

/**
 * @file overlay.h
 * Lays verdicts over what registries declare: between the merged snapshot and the
 * one that is applied.
 *
 * A service of which nobody said anything is the same object in both. Another one is a
 * copy (fl_service_overlay) whose endpoints have the states and weights that the kernel
 * shall have, with cause, since when and detail beside them. What did not change since
 * the last time is the same object as then, so a plan is as cheap as without
 * health: a walk along the list of services and a look into those that changed. Pure.
 */
struct fl_overlay;

/** @return NULL when out of memory */
struct fl_overlay *fl_overlay_new(void);
/** NULL is welcome. */
void fl_overlay_free(struct fl_overlay *overlay);

/**
 * Lay them. Verdicts of `health` are brought up to date, and entries of what is in no
 * service any more are forgotten (but for the operator's word).
 * @param merged      what is declared
 * @param generation  of the snapshot, if it is another one than last time
 * @param now_ms      CLOCK_REALTIME
 * @param ret  one reference; `merged` itself when there is nothing to lay
 * @return 0, -ENOMEM (nothing is forgotten: try again)
 */
int fl_overlay_lay(struct fl_overlay *overlay, struct fl_health *health, struct fl_snapshot *merged,
	uint64_t generation, uint64_t now_ms, struct fl_snapshot **ret);
