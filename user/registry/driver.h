/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "config/services.h"
#include "core/problem.h"
#include "model/snapshot.h"
#include "registry/guard.h"

/**
 * @file driver.h
 * What a registry driver is, and what it gets.
 *
 * A driver speaks to one kind of registry. It is one file or one folder that
 * exports one `const struct fl_registry_driver`, and one row in drivers.c. It never
 * blocks the loop and never touches maps; what it knows it publishes as a
 * whole list, which replaces its last one. Services that did not change are
 * published again as the same object (a reference): then nobody compares them.
 *
 * What an operator wrote (`remote` false) is obeyed at once. What another machine
 * answers (`remote` true) is kept on disk as the last good snapshot, which is
 * published at the next start before the driver speaks, and an answer that would
 * remove too much at once is held back (guard.h) until somebody accepts it or it
 * no longer would.
 */
struct fl_registry;

/** What of ours stands in a registry. */
struct fl_written {
	size_t wanted;     /**< instances that shall be registered by this node, now */
	size_t in_place;   /**< of these, as the registry last confirmed */
	const char *lock;  /**< "held", "elsewhere", "unknown"; NULL = none is configured */
	const char *error; /**< why the last attempt failed; "" = it did not. Borrowed */
};

struct fl_registry_driver {
	const char *type; /**< the key in `registries:` */
	bool remote;      /**< guarded, and kept on disk */
	/** Begin. The first publish may come from within. @return 0, -errno (then
	 * nothing is left running; the failure is in the registry's last error) */
	int (*start)(struct fl_registry *registry);
	/** End: close handles, which may take some turns of the loop; `registry` is
	 * freed right after, so nothing may look at it from then on. */
	void (*stop)(struct fl_registry *registry);
	/** Look again now (SIGHUP). */
	void (*refresh)(struct fl_registry *registry);
	/** A snapshot is in force, and every registry has had its say in it: what shall be
	 * written into this one can be. NULL = it is never written. Borrowed. */
	void (*applied)(struct fl_registry *registry, const struct fl_snapshot *snapshot);
	/** How the writing goes. NULL = it is never written */
	void (*written)(const struct fl_registry *registry, struct fl_written *ret);
};

/** One registry of the configuration, alive. Owned by set.c. It never moves. */
struct fl_registry {
	const struct fl_registry_driver *driver;
	struct fl_registry_config *config; /**< a reference; not to be changed */
	char *node;                        /**< node.name */
	char *state_dir; /**< for what must outlive the agent; made by who writes there; NULL = none */
	uv_loop_t *loop;
	void *state; /**< the driver's own */
	struct fl_registry_set *set;
	bool running; /**< the driver has started */
	bool broken;  /**< it could not */

	fl_service_vec services;     /**< in force: as last published, but for what is held */
	struct fl_problems problems; /**< of their reading; shown until it is mended */
	bool up;                     /**< the registry could be read */
	bool published;              /**< `services` are what the driver published */
	bool restored;               /**< at the start they were an earlier agent's snapshot */
	bool failed;                 /**< at least once */
	uint64_t published_ms;       /**< CLOCK_REALTIME of the last reading that said so */
	uint64_t updates;            /**< publishes that changed something */
	char last_error[256];        /**< empty = none */

	struct fl_keeper *keeper; /**< remote ones: of the snapshot on disk; else NULL */
	struct fl_guard guard;
	fl_service_vec before; /**< in force before the first removal of a minute */
	uint64_t before_ms;    /**< when that was, CLOCK_MONOTONIC */
	struct fl_held *held;  /**< an answer that would remove too much; NULL = none */
};

/** An answer that waits for somebody to accept it, or for a better one. */
struct fl_held {
	struct fl_registry *registry;
	fl_service_vec services;
	struct fl_problems problems;
	struct fl_removal removal; /**< from what is in force to this */
	size_t gone, of;           /**< so many endpoints of so many, perhaps over a minute */
	uint64_t since_ms;         /**< CLOCK_REALTIME of the first answer that was held */
	bool passes;               /**< once `calm` has run out */
	uv_timer_t calm;           /**< when it `passes` */
};

/**
 * Hand over a whole list: the vector's content moves to the registry, `problems`
 * replaces the registry's, both are empty afterwards. The first error among
 * them becomes the registry's last error; logging is the driver's. The set's
 * owner is told. A remote registry's list may be held back instead (guard.h).
 */
void fl_registry_publish(
	struct fl_registry *registry, fl_service_vec *services, struct fl_problems *problems);

/** Log each problem of a reading: what drivers do with what is new among them. */
void fl_registry_log_problems(
	const struct fl_registry *registry, const struct fl_problems *problems);

/** Say that the registry was asked and answers as it did before: what was
 * published is as young as now (unless it is held back), and the registry is up. */
void fl_registry_confirm(struct fl_registry *registry);

/** Whether the registry itself has answered since the start, even if that is held back. */
bool fl_registry_has_spoken(const struct fl_registry *registry);

/** Say that the registry could not be read; what was published stays in force.
 * Logged when it is news; the set's owner is told when it is the first answer. */
void fl_registry_failed(struct fl_registry *registry, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
