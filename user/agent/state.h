/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "agent/lock.h"
#include "agent/watchdog.h"
#include "config/config.h"
#include "control/server.h"
#include "control/view.h"
#include "dns/server.h"
#include "health/checker.h"
#include "health/heartbeats.h"
#include "health/keeper.h"
#include "health/overlay.h"
#include "health/ramps.h"
#include "kernel/closer.h"
#include "kernel/kernel.h"
#include "kernel/links.h"
#include "kernel/node_path.h"
#include "kernel/routes.h"
#include "kernel/sweeper.h"
#include "kernel/target.h"
#include "kernel/writer.h"
#include "model/merger.h"
#include "model/plan.h"
#include "registry/registry.h"

/**
 * @file state.h
 * The agent's own state; seen by the files of this folder only.
 *
 * One change travels: a registry publishes, or a verdict changes → fl_agent_schedule
 * (changes within the same turn of the loop are one) → apply.c: merge, overlay, ids,
 * plan, steps → counters and log. Everything runs on the one loop.
 */

/** What an apply does next. */
enum fl_apply_phase { FL_APPLY_NUMBER, FL_APPLY_PLAN, FL_APPLY_STEPS, FL_APPLY_FINISH };

/** A snapshot on its way into the kernel; all zeroes = none. */
struct fl_applying {
	struct fl_snapshot *snapshot;
	enum fl_apply_phase phase;
	unsigned slices;      /**< of the loop's time that were not enough so far */
	struct fl_plan plan;  /**< from what was in force */
	bool from_nothing;    /**< the plan takes nothing for granted */
	bool of_all;          /**< every registry had its say in it */
	size_t done;          /**< steps carried out */
	uint64_t began_ns;    /**< CLOCK_MONOTONIC, before it was made */
	uint64_t slots_moved; /**< the writer's count before it */
};

struct fl_agent {
	uv_loop_t loop;
	uv_signal_t term, interrupt, hangup;
	uv_timer_t tick;        /**< once a second: nat growth, resting ids */
	uv_timer_t apply_timer; /**< armed = a change waits to be applied, or goes on */
	uv_fs_event_t config_watch;
	uv_timer_t config_timer; /**< debounces changes of the configuration file */

	struct fl_watchdog watchdog;

	struct fl_config *config;
	struct fl_registry_set registries;
	struct fl_lock lock;
	struct fl_kernel *kernel;
	struct fl_writer *writer;
	struct fl_links *links;   /**< NULL = no edge path */
	struct fl_routes *routes; /**< NULL = no edge path */
	struct fl_target *target; /**< NULL = no path at all */
	struct fl_node_path node_path;
	struct fl_node_events *node_events; /**< NULL = no node path */
	struct fl_pools *pools;             /**< NULL = no node path */
	struct fl_stale *stale;   /**< NULL = no node path, or it cannot close connections */
	struct fl_closer *closer; /**< likewise */
	bool walk_again;          /**< something was due while a walk was under way */
	struct fl_sweeper *sweeper;
	struct fl_server *server;
	struct fl_dns_server *dns; /**< NULL = off */

	struct fl_merger *merger;
	struct fl_health *health;
	struct fl_overlay *overlay;
	struct fl_ramps *ramps;
	struct fl_passive *passive;
	struct fl_health_keeper *health_keeper;
	struct fl_heartbeats *heartbeats;
	struct fl_checker *checker; /**< NULL = nothing is probed */
	uint64_t word_deadline_ms;  /**< the nearest of the operator's words; 0 = none */
	enum {
		FL_ROAD_UNKNOWN,
		FL_ROAD_THERE,
		FL_ROAD_REFUSED
	} road;               /**< of probes, see roads.h */
	uint64_t apply_turns; /**< slices of the loop's time that applies have had, ever */
	bool wanted;          /**< something was published since the last merge */
	struct fl_applying applying;
	struct fl_snapshot *applied; /**< NULL before the first */
	uint64_t generation;         /**< of the snapshot applied */
	bool pruned;                 /**< what an earlier agent left and nobody declares is gone */
	bool incomplete; /**< a step of the last plan failed: plan from nothing next time */
	bool refused;    /**< the newest snapshot did not fit, and is not in force */
	struct fl_problems conflicts;
	struct fl_apply_stats stats;
	uint64_t started_ms;
	uint64_t applied_ms;
	bool ready; /**< the first snapshot was applied, and the service manager told */
};

/** Apply what the registries say, in the next turn of the loop. */
void fl_agent_schedule(struct fl_agent *agent);
/** For the start and the end of all that. @return 0, -ENOMEM */
int fl_agent_apply_init(struct fl_agent *agent);
/** The timer must have been closed. Forgets what is in force, too. */
void fl_agent_apply_done(struct fl_agent *agent);

/** Merge what is declared and lay verdicts over it; conflicts are logged when they are
 * news, and kept.
 * @param ret  one reference @return 0, -ENOMEM */
int fl_agent_merge(struct fl_agent *agent, struct fl_snapshot **ret);
/** What would be said of the declarations if a registry declared something else.
 * @param problems  as the merger has them: those that stand already are among them
 * @return 0, -ENOMEM */
int fl_agent_try(const struct fl_agent *agent, const struct fl_registry *registry,
	const fl_service_vec *services, struct fl_problems *problems);

/** Where applies stand, for the watchdog. @param context  the agent */
uint64_t fl_agent_apply_progress(void *context);

/** Callback of the registries, and of health. @param context  the agent */
void fl_agent_published(void *context);

/** Read the configuration and put it in force, or say why not and change nothing. */
void fl_agent_reload(struct fl_agent *agent);
/** Watch the configuration file, to reload when it is written or replaced. */
void fl_agent_watch_config(struct fl_agent *agent);

/** Action of the server: let a registry's held answer pass. @param context  the agent */
int fl_agent_accept(void *context, const char *registry, struct fl_failure *failure);
/** Action of the server: an endpoint says how it is. @param context  the agent */
int fl_agent_heartbeat(void *context, const char *service, const char *endpoint, const char *beat,
	const char *note, struct fl_failure *failure);
/** Hook of the server: fill the view. @param context  the agent */
void fl_agent_view(void *context, struct fl_view *ret);
