/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "dns/server.h"
#include "health/checker.h"
#include "kernel/links.h"
#include "kernel/maps.h"
#include "kernel/node_path.h"
#include "kernel/stale.h"
#include "kernel/writer.h"
#include "model/snapshot.h"
#include "registry/registry.h"

/**
 * @file view.h
 * What the agent shows of itself: read by the API and by the metrics, filled by
 * agent/. All borrowed, valid during one call on the loop.
 */

/** Upper bounds of the buckets of fairlead_apply_seconds; +Inf comes after. */
#define FL_APPLY_BUCKETS                                                                           \
	{ 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1 }
#define FL_APPLY_BUCKET_COUNT 12

struct fl_apply_stats {
	uint64_t buckets[FL_APPLY_BUCKET_COUNT + 1]; /**< not cumulative */
	uint64_t count;
	double sum_s;
	uint64_t failures;
	char last_error[512]; /**< empty = the last snapshot was applied in full */
};

struct fl_view {
	const struct fl_config *config;
	const struct fl_snapshot *applied; /**< NULL before the first */
	const struct fl_maps *maps;
	struct fl_links *links;   /**< NULL = no edge path */
	struct fl_routes *routes; /**< NULL = no edge path */
	bool no_edge;             /**< there is none, so that next hops concern nobody */
	const struct fl_node_path *node_path;
	const struct fl_pools *pools; /**< NULL = no node path */
	const struct fl_stale *stale; /**< NULL = nobody closes connections */
	const struct fl_registry_set *registries;
	const struct fl_health *health;      /**< NULL = nothing is known of it here */
	const struct fl_checker *checker;    /**< NULL = nothing is probed */
	const struct fl_problems *conflicts; /**< of the last merge */
	const struct fl_dns_server *dns;     /**< NULL = off */
	const struct fl_apply_stats *apply;
	const struct fl_writes *writes;
	uint64_t started_ms;   /**< CLOCK_REALTIME */
	uint64_t applied_ms;   /**< CLOCK_REALTIME of the applied snapshot; 0 = none */
	bool adopted;          /**< maps of an earlier agent are in use */
	const char *not_ready; /**< why /readyz says 503; NULL = ready */
};
