/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "core/failure.h"
#include "health/health.h"
#include "model/snapshot.h"

/**
 * @file heartbeats.h
 * What endpoints say of themselves, or somebody beside them: services with a
 * `heartbeat:` expect one from each endpoint within that time. One that fails to come,
 * or says "fail", makes the endpoint down; the next good one brings it back.
 * Everything happens on the loop.
 */
struct fl_heartbeats;

enum fl_beat { FL_BEAT_PASS, FL_BEAT_WARN, FL_BEAT_FAIL };

/** @param health  outlives it @return 0, -ENOMEM */
int fl_heartbeats_start(uv_loop_t *loop, struct fl_health *health, struct fl_heartbeats **ret);
/** Signals stay as they are. The handle closes in the next turn of the loop. NULL is welcome. */
void fl_heartbeats_stop(struct fl_heartbeats *heartbeats);

/**
 * Expect what this snapshot declares, and nothing else. An endpoint that is new has the whole
 * time for its first one, and is as it was found before, or up. NULL heartbeats are welcome.
 * @return 0, -ENOMEM (try again)
 */
int fl_heartbeats_configure(struct fl_heartbeats *heartbeats, struct fl_snapshot *declared);

/**
 * Heed one.
 * @param note  in words; NULL or "" = none
 * @return 0; -ENOENT: no such service, or it expects none, or has no such endpoint; -ENOMEM;
 *         with words
 */
int fl_heartbeats_heed(struct fl_heartbeats *heartbeats, const struct fl_health_key *key,
	enum fl_beat beat, const char *note, struct fl_failure *failure);

/** "pass" */
const char *fl_beat_name(enum fl_beat beat);
/** @return 0, -EINVAL */
int fl_beat_find(const char *name, enum fl_beat *ret);
