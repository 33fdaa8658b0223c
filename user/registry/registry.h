/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "registry/driver.h"

/**
 * @file registry.h
 * All registries of the configuration, run together.
 */
struct fl_registry_set {
	struct fl_registry *registries; /**< in order of precedence */
	size_t count;
	void (*changed)(void *context); /**< something was published; called on the loop */
	void *context;
};

/**
 * Start every registry of the configuration (default: the file registry).
 * One that cannot start is kept, down, with its error; the others run.
 * @param changed  called after each publish
 * @return 0, -ENOMEM
 */
int fl_registry_set_start(struct fl_registry_set *set, uv_loop_t *loop,
	const struct fl_config *config, void (*changed)(void *context), void *context);
void fl_registry_set_refresh(struct fl_registry_set *set);
/** Stop all. The loop must run once more before `set` may be freed. */
void fl_registry_set_stop(struct fl_registry_set *set);
/** Whether each registry has published or failed once: the first snapshot may be made. */
bool fl_registry_set_is_ready(const struct fl_registry_set *set);
