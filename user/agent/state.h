/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "agent/lock.h"
#include "config/config.h"
#include "control/server.h"
#include "control/view.h"
#include "kernel/kernel.h"
#include "kernel/links.h"
#include "kernel/routes.h"
#include "kernel/sweeper.h"
#include "kernel/target.h"
#include "kernel/writer.h"
#include "model/snapshot.h"
#include "registry/registry.h"

/**
 * @file state.h
 * The agent's own state; seen by the files of this folder only.
 *
 * One change travels: a registry publishes → fl_agent_schedule (changes within
 * the same turn of the loop are one) → fl_agent_apply: merge, ids, plan,
 * steps → counters and log. Everything runs on the one loop.
 */

struct fl_agent {
	uv_loop_t loop;
	uv_signal_t term, interrupt, hangup;
	uv_timer_t tick;        /**< once a second: nat growth, resting ids */
	uv_timer_t apply_timer; /**< armed = a change waits to be applied */
	uv_fs_event_t config_watch;
	uv_timer_t config_timer; /**< debounces changes of the configuration file */

	struct fl_config *config;
	struct fl_registry_set registries;
	struct fl_lock lock;
	struct fl_kernel *kernel;
	struct fl_writer *writer;
	struct fl_links *links;   /**< NULL = no edge path */
	struct fl_routes *routes; /**< NULL = no edge path */
	struct fl_target *target; /**< NULL = no path at all */
	struct fl_sweeper *sweeper;
	struct fl_server *server;

	struct fl_snapshot *applied; /**< NULL before the first */
	uint64_t generation;         /**< of the newest snapshot made */
	bool pruned;                 /**< what an earlier agent left and nobody declares is gone */
	bool incomplete; /**< a step of the last plan failed: plan from nothing next time */
	struct fl_problems conflicts;
	struct fl_apply_stats stats;
	uint64_t started_ms;
	uint64_t applied_ms;
	bool ready; /**< the first snapshot was applied, and the service manager told */
};

/** Apply what the registries say, in the next turn of the loop. */
void fl_agent_schedule(struct fl_agent *agent);
/** Apply it now. Logs; a failed step is tried again a little later. */
void fl_agent_apply(struct fl_agent *agent);

/** Callback of the registries. @param context  the agent */
void fl_agent_published(void *context);

/** Read the configuration and put it in force, or say why not and change nothing. */
void fl_agent_reload(struct fl_agent *agent);
/** Watch the configuration file, to reload when it is written or replaced. */
void fl_agent_watch_config(struct fl_agent *agent);

/** Hook of the server: fill the view. @param context  the agent */
void fl_agent_view(void *context, struct fl_view *ret);
