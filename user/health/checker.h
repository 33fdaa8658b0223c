/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "health/health.h"
#include "health/probe.h"
#include "model/snapshot.h"

/**
 * @file checker.h
 * Probes endpoints of services that have a `check:`, and sets what is seen as
 * signals of their health.
 *
 * Each endpoint has its own timer: from one probe to the next, and while a probe runs,
 * until it has taken too long. Intervals are shortened by random parts, so that checks do
 * not beat in step, and at most so many probes run at once; the rest wait in line.
 * What an endpoint was found to be survives a change of its check, and what `health` knows
 * of an endpoint from before is where its checks begin. Everything happens on the loop.
 */
struct fl_checker;

struct fl_checker_stats {
	uint64_t passed, failed; /**< probes, ever */
	uint64_t unable;         /**< that the agent itself could not carry out */
	uint64_t turns;          /**< verdicts that changed */
	uint64_t late;           /**< that had to wait in line */
	uint32_t checks;         /**< endpoints that are probed */
	uint32_t running;        /**< probes just now */
	double seconds;          /**< that probes took, ever */
};

/** @param health  outlives it @return 0, -ENOMEM */
int fl_checker_start(uv_loop_t *loop, struct fl_health *health, struct fl_checker **ret);
/** Signals stay as they are. Handles close in the next turns of the loop. NULL is welcome. */
void fl_checker_stop(struct fl_checker *checker);

/** How probes through the tunnel get there. Without it they cannot be carried out. */
void fl_checker_use_road(struct fl_checker *checker, fl_probe_road *road, void *context);

/** Most probes at once. */
void fl_checker_limit(struct fl_checker *checker, uint32_t running);

/**
 * Probe what this snapshot declares, and nothing else. Costs a look at services that
 * are others than last time. NULL checker is welcome.
 * @return 0, -ENOMEM (something is not probed; try again)
 */
int fl_checker_configure(struct fl_checker *checker, struct fl_snapshot *declared);

const struct fl_checker_stats *fl_checker_stats(const struct fl_checker *checker);
