/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/registry.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"

extern const struct fl_registry_driver fl_registry_file;

static const struct fl_registry_driver *const drivers[] = {
	&fl_registry_file,
	NULL,
};

/* ------------------------------------------------------- what drivers call */

static bool is_same_list(const fl_service_vec *a, const fl_service_vec *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->items[i] != b->items[i] && !fl_service_equal(a->items[i], b->items[i]))
			return false;
	return true;
}

static void tell_owner(struct fl_registry *registry)
{
	if (registry->set->changed)
		registry->set->changed(registry->set->context);
}

/* The first error in words, and how many more there are. */
static void say_last_error(struct fl_registry *registry)
{
	const struct fl_problems *problems = &registry->problems;
	size_t size = sizeof(registry->last_error);
	size_t first = 0;
	size_t length;

	registry->last_error[0] = '\0';
	while (first < problems->count && problems->items[first].warning)
		first++;
	if (first == problems->count)
		return;
	fl_problem_format(&problems->items[first], registry->last_error, size - 32);
	length = strlen(registry->last_error);
	if (problems->errors > 1)
		snprintf(registry->last_error + length, size - length, " (and %zu more)",
			problems->errors - 1);
}

void fl_registry_publish(
	struct fl_registry *registry, fl_service_vec *services, struct fl_problems *problems)
{
	if (!registry->published || !is_same_list(&registry->services, services))
		registry->updates++;
	fl_services_done(&registry->services);
	fl_problems_done(&registry->problems);
	registry->services = *services;
	registry->problems = *problems;
	*services = (fl_service_vec){ 0 };
	*problems = (struct fl_problems){ 0 };
	registry->up = true;
	registry->published = true;
	registry->published_ms = fl_clock_real_ms();
	say_last_error(registry);
	tell_owner(registry);
}

void fl_registry_confirm(struct fl_registry *registry)
{
	registry->up = true;
	registry->published_ms = fl_clock_real_ms();
	say_last_error(registry);
}

void fl_registry_failed(struct fl_registry *registry, const char *format, ...)
{
	bool is_first = !registry->published && !registry->failed;
	char message[sizeof(registry->last_error)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (registry->up || strcmp(message, registry->last_error) != 0)
		fl_log(FL_LOG_ERROR, "registry", "cannot be read, keeping what it last declared",
			FL_STR("registry", registry->config->name), FL_STR("err", message),
			FL_UINT("services", registry->services.count));
	memcpy(registry->last_error, message, sizeof(message));
	registry->up = false;
	registry->failed = true;
	if (is_first)
		tell_owner(registry);
}

/* --------------------------------------------------------------- one of it */

static const struct fl_registry_driver *find_driver(const char *type)
{
	for (size_t i = 0; drivers[i]; i++)
		if (strcmp(drivers[i]->type, type) == 0)
			return drivers[i];
	return NULL;
}

static void config_free(struct fl_registry_config *config)
{
	if (config)
		fl_registry_config_done(config);
	free(config);
}

static struct fl_registry_config *config_copy(const struct fl_registry_config *config)
{
	struct fl_registry_config *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	copy->name = strdup(config->name);
	copy->type = strdup(config->type);
	copy->path = config->path ? strdup(config->path) : NULL;
	copy->line = config->line;
	copy->column = config->column;
	if (copy->name && copy->type && (copy->path || !config->path))
		return copy;
	config_free(copy);
	return NULL;
}

static void registry_free(struct fl_registry *registry)
{
	if (!registry)
		return;
	fl_services_done(&registry->services);
	fl_problems_done(&registry->problems);
	config_free((struct fl_registry_config *)registry->config);
	free(registry->node);
	free(registry->state_dir);
	free(registry);
}

static struct fl_registry *registry_new(struct fl_registry_set *set,
	const struct fl_registry_config *config, const struct fl_config *whole)
{
	struct fl_registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return NULL;
	registry->set = set;
	registry->loop = set->loop;
	registry->driver = find_driver(config->type);
	registry->config = config_copy(config);
	registry->node = strdup(whole->node_name);
	if (asprintf(&registry->state_dir, "%s/registries/%s", whole->state_dir, config->name) < 0)
		registry->state_dir = NULL;
	if (registry->config && registry->node && registry->state_dir)
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
	if (r < 0)
		registry->driver = NULL;
}

static void registry_stop(struct fl_registry *registry)
{
	if (registry->driver)
		registry->driver->stop(registry);
	registry_free(registry);
}

/* ----------------------------------------------------------------- the set */

static bool is_same_config(const struct fl_registry_config *a, const struct fl_registry_config *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->type, b->type) == 0 &&
	       (a->path && b->path ? strcmp(a->path, b->path) == 0 : a->path == b->path);
}

/* Take the registry out of the set that is as `config` says. @return NULL = none */
static struct fl_registry *take_same(
	struct fl_registry_set *set, const struct fl_registry_config *config)
{
	for (size_t i = 0; i < set->count; i++) {
		struct fl_registry *registry = set->registries[i];

		if (registry && registry->driver && is_same_config(registry->config, config)) {
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
			known = set->registries[j]->driver &&
				is_same_config(set->registries[j]->config, &config->registries[i]);
		if (known)
			continue;
		made[i] = registry_new(set, &config->registries[i], config);
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
			next[i] = take_same(set, &config->registries[i]);
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
		if (set->registries[i]->driver)
			set->registries[i]->driver->refresh(set->registries[i]);
}

void fl_registry_set_applied(struct fl_registry_set *set, const struct fl_snapshot *snapshot)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->registries[i]->driver && set->registries[i]->driver->applied)
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
