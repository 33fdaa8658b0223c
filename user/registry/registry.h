/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"
#include "registry/driver.h"

/**
 * @file registry.h
 * All registries of the configuration, run together.
 */
struct fl_registry_set {
	struct fl_registry **registries; /**< in order of precedence */
	size_t count;
	struct fl_registry_config
		*local; /**< of the one that no configuration names; see local.h */
	uv_loop_t *loop;
	uint32_t calm_ms;               /**< FL_GUARD_CALM_MS */
	void (*changed)(void *context); /**< something was published; called on the loop */
	void *context;
};

/** The drivers there are; ends with NULL. Tests put their own table here. */
extern const struct fl_registry_driver *const *fl_registry_drivers;

/**
 * Start every registry of the configuration (default: the file registry), and the one
 * that is filled by command.
 * One that cannot start is kept, down, with its error; the others run.
 * @param changed  called on the loop, after a registry published another list
 *                 than before, and after its first answer even if that is
 *                 empty or a failure: fl_registry_set_is_ready may be true now
 * @return 0, -ENOMEM
 */
int fl_registry_set_start(struct fl_registry_set *set, uv_loop_t *loop,
	const struct fl_config *config, void (*changed)(void *context), void *context);
/** Follow a reloaded configuration: registries that are as before go on with
 * what they know, others stop or start. `set` is ready again when the new ones
 * have answered; until then hold what was applied. @return 0, -ENOMEM (nothing changed) */
int fl_registry_set_configure(struct fl_registry_set *set, const struct fl_config *config);
/** Look again now (SIGHUP). */
void fl_registry_set_refresh(struct fl_registry_set *set);
/** The one that takes changes by command. It is always the last.
 * @return NULL where there is no such driver */
struct fl_registry *fl_registry_set_local(const struct fl_registry_set *set);
/** What of ours stands in a registry. @return false = nothing is ever written into it */
bool fl_registry_written(const struct fl_registry *registry, struct fl_written *ret);
/** Whether the configuration has a registry of that name into which services are written. */
bool fl_registry_is_written(const struct fl_config *config, const char *name);
/** Tell every registry that writes what is in force. */
void fl_registry_set_applied(struct fl_registry_set *set, const struct fl_snapshot *snapshot);
/** Stop and free all; the loop must go on until their handles are closed. */
void fl_registry_set_stop(struct fl_registry_set *set);
/** Whether each registry has something to say: it has spoken or failed once, or an earlier
 * agent's snapshot stands for it. The first snapshot may be made. */
bool fl_registry_set_is_ready(const struct fl_registry_set *set);
/** Put in force what a registry's guard holds back.
 * @return 0; -ENOENT: no such registry; -EALREADY: nothing is held back */
int fl_registry_set_accept(
	struct fl_registry_set *set, const char *name, struct fl_failure *failure);

/**
 * Read, once and without a loop, what the file registries of a configuration
 * declare, and merge it with the services that stand in it: what `--check` tells
 * beyond the configuration file itself. An absent directory is no problem.
 * @return 0, -EINVAL when errors were added, -ENOMEM
 */
int fl_registry_check(const struct fl_config *config, struct fl_problems *problems);
