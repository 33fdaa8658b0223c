/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"

/* --------------------------------------------------------------- one of it */

static const struct fl_registry_driver *find_driver(const char *type)
{
	for (size_t i = 0; fl_registry_drivers[i]; i++)
		if (strcmp(fl_registry_drivers[i]->type, type) == 0)
			return fl_registry_drivers[i];
	return NULL;
}

static void registry_free(struct fl_registry *registry)
{
	if (!registry)
		return;
	fl_services_done(&registry->services);
	fl_problems_done(&registry->problems);
	fl_registry_config_unref(registry->config);
	free(registry->node);
	free(registry->state_dir);
	free(registry);
}

static struct fl_registry *registry_new(struct fl_registry_set *set,
	struct fl_registry_config *config, const struct fl_config *whole)
{
	struct fl_registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return NULL;
	registry->set = set;
	registry->loop = set->loop;
	registry->driver = find_driver(config->type);
	registry->config = fl_registry_config_ref(config);
	registry->node = strdup(whole->node_name);
	if (asprintf(&registry->state_dir, "%s/registries/%s", whole->state_dir, config->name) < 0)
		registry->state_dir = NULL;
	if (registry->node && registry->state_dir)
		return registry;
	registry_free(registry);
	return NULL;
}

/* One that cannot start stays, down, with its error. */
static void registry_start(struct fl_registry *registry)
{
	int r = registry->driver ? registry->driver->start(registry) : -EPROTONOSUPPORT;

	if (r < 0 && !registry->failed)
		fl_registry_failed(registry, "cannot start: %s", fl_log_errno(r));
	registry->running = r == 0;
}

static void registry_stop(struct fl_registry *registry)
{
	if (registry->running)
		registry->driver->stop(registry);
	registry_free(registry);
}

/* ----------------------------------------------------------------- the set */

/* Take the registry out of the set that is as `config` says. @return NULL = none */
static struct fl_registry *take_same(
	struct fl_registry_set *set, const struct fl_registry_config *config)
{
	for (size_t i = 0; i < set->count; i++) {
		struct fl_registry *registry = set->registries[i];

		if (registry && registry->running &&
			fl_registry_config_equal(registry->config, config)) {
			set->registries[i] = NULL;
			return registry;
		}
	}
	return NULL;
}

/* Make those that are new. @return 0, -ENOMEM with none made */
static int make_new(
	struct fl_registry_set *set, const struct fl_config *config, struct fl_registry **made)
{
	for (size_t i = 0; i < config->registry_count; i++) {
		bool known = false;

		for (size_t j = 0; j < set->count && !known; j++)
			known = set->registries[j]->running &&
				fl_registry_config_equal(
					set->registries[j]->config, config->registries[i]);
		if (known)
			continue;
		made[i] = registry_new(set, config->registries[i], config);
		if (made[i])
			continue;
		while (i--)
			registry_free(made[i]);
		return -ENOMEM;
	}
	return 0;
}

int fl_registry_set_configure(struct fl_registry_set *set, const struct fl_config *config)
{
	struct fl_registry **next =
		calloc(config->registry_count + 1, sizeof(struct fl_registry *));
	_cleanup_free_ bool *is_new = calloc(config->registry_count + 1, sizeof(bool));
	int r = next && is_new ? make_new(set, config, next) : -ENOMEM;

	if (r < 0) {
		free(next);
		return r;
	}
	for (size_t i = 0; i < config->registry_count; i++) {
		is_new[i] = next[i];
		if (!next[i])
			next[i] = take_same(set, config->registries[i]);
	}
	for (size_t i = 0; i < set->count; i++)
		if (set->registries[i])
			registry_stop(set->registries[i]);
	free(set->registries);
	set->registries = next;
	set->count = config->registry_count;
	for (size_t i = 0; i < set->count; i++)
		if (is_new[i])
			registry_start(set->registries[i]);
	return 0;
}

int fl_registry_set_start(struct fl_registry_set *set, uv_loop_t *loop,
	const struct fl_config *config, void (*changed)(void *context), void *context)
{
	*set = (struct fl_registry_set){ .loop = loop, .changed = changed, .context = context };
	return fl_registry_set_configure(set, config);
}

void fl_registry_set_refresh(struct fl_registry_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->registries[i]->running)
			set->registries[i]->driver->refresh(set->registries[i]);
}

void fl_registry_set_applied(struct fl_registry_set *set, const struct fl_snapshot *snapshot)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->registries[i]->running && set->registries[i]->driver->applied)
			set->registries[i]->driver->applied(set->registries[i], snapshot);
}

void fl_registry_set_stop(struct fl_registry_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		registry_stop(set->registries[i]);
	free(set->registries);
	set->registries = NULL;
	set->count = 0;
}

bool fl_registry_set_is_ready(const struct fl_registry_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (!set->registries[i]->published && !set->registries[i]->failed)
			return false;
	return true;
}
