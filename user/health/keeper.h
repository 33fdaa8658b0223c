/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "health/health.h"

/**
 * @file keeper.h
 * Keeps what observers found in the state directory, so that a restarted agent does
 * not send anything to what was down: a file `health` (core/sealed.h, health/record.h).
 * It is written by a worker thread at most once a second, and in the end.
 */
struct fl_health_keeper;

/**
 * Read what is there into `health`, then keep it. What is wrong with the file is logged,
 * and nothing of it is used.
 * @param health  outlives it @return 0, -ENOMEM
 */
int fl_health_keeper_start(uv_loop_t *loop, struct fl_health *health, const char *state_dir,
	struct fl_health_keeper **ret);
/** Write what is new; waits for the disk, and for the loop to run. NULL is welcome. */
void fl_health_keeper_stop(struct fl_health_keeper *keeper);
