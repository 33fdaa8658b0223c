/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "registry/kept.h"

/**
 * @file keeper.h
 * Keeps the last good snapshot of one registry on disk (kept.h), without holding
 * up the loop: a worker thread reads and writes, one thing at a time, and changes
 * that follow each other are written once.
 */
struct fl_keeper;

/** @param directory, registry  copied. @return NULL when out of memory */
struct fl_keeper *fl_keeper_new(uv_loop_t *loop, const char *directory, const char *registry);

/** The answer to fl_keeper_load. @param r, kept  of fl_kept_load; borrowed, services may be taken */
typedef void (*fl_keeper_loaded)(void *context, int r, struct fl_kept *kept);
/** Read what is there. `done` is called from the loop, never from within; not after
 * fl_keeper_leave or fl_keeper_close. @return 0, -errno */
int fl_keeper_load(struct fl_keeper *keeper, fl_keeper_loaded done, void *context);

/** Write this list soon, as it is then. Failures are logged and tried again.
 * @param services  borrowed until fl_keeper_leave or fl_keeper_close
 * @param taken_ms  CLOCK_REALTIME */
void fl_keeper_keep(struct fl_keeper *keeper, const fl_service_vec *services, uint64_t taken_ms);
/** What was kept last was said again. */
void fl_keeper_touch(struct fl_keeper *keeper, uint64_t taken_ms);

/** The keeper goes to somebody else: whoever waits for a load waits no more, and the list that
 * was to be written has moved to `services`. */
void fl_keeper_leave(struct fl_keeper *keeper, const fl_service_vec *services);
/** Write what waits to be written and free all; takes some turns of the loop.
 * @param forget  remove it instead: nobody will ask for it again */
void fl_keeper_close(struct fl_keeper *keeper, bool forget);
