/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "registry/keeper.h"
#include "registry/local.h"
#include "registry/publish.h"

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
	fl_services_done(&registry->before);
	fl_held_free(registry->held);
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

static bool is_remote(const struct fl_registry *registry)
{
	return registry->driver && registry->driver->remote;
}

/* One that cannot start stays, down, with its error. */
static void start_driver(struct fl_registry *registry)
{
	int r = registry->driver ? registry->driver->start(registry) : -EPROTONOSUPPORT;

	if (r < 0 && !registry->failed)
		fl_registry_failed(registry, "cannot start: %s", fl_log_errno(r));
	registry->running = r == 0;
	registry->broken = r < 0;
}

static void log_restored(const struct fl_registry *registry, const struct fl_problems *problems)
{
	uint64_t now_ms = fl_clock_real_ms();
	uint64_t age_ms = now_ms > registry->published_ms ? now_ms - registry->published_ms : 0;
	char line[512];
	size_t first = 0;

	while (problems->errors && first + 1 < problems->count && problems->items[first].warning)
		first++;
	fl_log(FL_LOG_INFO, "registry", "begins with what it declared to an earlier agent",
		FL_STR("registry", registry->config->name),
		FL_UINT("services", registry->services.count), FL_UINT("age_s", age_ms / 1000));
	if (problems->errors)
		fl_log(FL_LOG_WARNING, "registry", "not all of it could be read back",
			FL_STR("registry", registry->config->name),
			FL_UINT("errors", problems->errors),
			FL_STR("first",
				fl_problem_format(&problems->items[first], line, sizeof(line))));
}

/* Only now the driver: what it says is compared with what was in force. */
static void on_loaded(void *context, int r, struct fl_kept *kept)
{
	struct fl_registry *registry = context;

	if (r == 0) {
		fl_registry_restore(registry, &kept->services, kept->taken_ms);
		log_restored(registry, &kept->problems);
	} else if (r != -ENOENT) {
		fl_log(FL_LOG_ERROR, "registry", "there is no snapshot to begin with",
			FL_STR("registry", registry->config->name), FL_STR("err", kept->message));
	}
	start_driver(registry);
}

static void registry_start(struct fl_registry *registry)
{
	const char *name = registry->config->name;

	if (is_remote(registry) && !registry->keeper) {
		registry->keeper = fl_keeper_new(registry->loop, registry->state_dir, name);
		if (registry->keeper && fl_keeper_load(registry->keeper, on_loaded, registry) == 0)
			return;
	}
	start_driver(registry);
}

/* What is in force stays so with another configuration of the same registry. */
static void bequeath(struct fl_registry *registry, struct fl_registry *heir)
{
	if (!registry->published && !registry->restored)
		return;
	heir->services = registry->services;
	registry->services = (fl_service_vec){ 0 };
	heir->restored = true;
	heir->published_ms = registry->published_ms;
	heir->updates = registry->updates;
	heir->guard = registry->guard;
	heir->keeper = TAKE_PTR(registry->keeper);
	if (heir->keeper)
		fl_keeper_leave(heir->keeper, &heir->services);
}

/* @param heir    goes on with what it knows; NULL = none
 * @param forget  without an heir: its snapshot goes, too */
static void registry_stop(struct fl_registry *registry, struct fl_registry *heir, bool forget)
{
	if (registry->running)
		registry->driver->stop(registry);
	if (heir)
		bequeath(registry, heir);
	fl_keeper_close(TAKE_PTR(registry->keeper), forget && !heir);
	registry_free(registry);
}

/* ----------------------------------------------------------------- the set */

/* Take the registry out of the set that is as `config` says. @return NULL = none */
static struct fl_registry *take_same(
	struct fl_registry_set *set, const struct fl_registry_config *config)
{
	for (size_t i = 0; i < set->count; i++) {
		struct fl_registry *registry = set->registries[i];

		if (registry && !registry->broken &&
			fl_registry_config_equal(registry->config, config)) {
			set->registries[i] = NULL;
			return registry;
		}
	}
	return NULL;
}

/* What is wanted: the configuration's, and the one that is filled by command. */
static size_t count_wanted(const struct fl_registry_set *set, const struct fl_config *config)
{
	return config->registry_count + (set->local ? 1 : 0);
}

static struct fl_registry_config *wanted(
	const struct fl_registry_set *set, const struct fl_config *config, size_t i)
{
	return i < config->registry_count ? config->registries[i] : set->local;
}

/* Make those that are new. @return 0, -ENOMEM with none made */
static int make_new(
	struct fl_registry_set *set, const struct fl_config *config, struct fl_registry **made)
{
	for (size_t i = 0; i < count_wanted(set, config); i++) {
		bool known = false;

		for (size_t j = 0; j < set->count && !known; j++)
			known = !set->registries[j]->broken &&
				fl_registry_config_equal(
					set->registries[j]->config, wanted(set, config, i));
		if (known)
			continue;
		made[i] = registry_new(set, wanted(set, config, i), config);
		if (made[i])
			continue;
		while (i--)
			registry_free(made[i]);
		return -ENOMEM;
	}
	return 0;
}

/* The new one of the same name, if what one knows is of use to the other. @return NULL = none */
static struct fl_registry *find_heir(const struct fl_registry *registry,
	struct fl_registry *const *next, const bool *is_new, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_new[i] && is_remote(registry) && is_remote(next[i]) &&
			strcmp(registry->config->name, next[i]->config->name) == 0 &&
			strcmp(registry->config->type, next[i]->config->type) == 0)
			return next[i];
	return NULL;
}

int fl_registry_set_configure(struct fl_registry_set *set, const struct fl_config *config)
{
	size_t count = count_wanted(set, config);
	struct fl_registry **next = calloc(count + 1, sizeof(struct fl_registry *));
	_cleanup_free_ bool *is_new = calloc(count + 1, sizeof(bool));
	int r = next && is_new ? make_new(set, config, next) : -ENOMEM;

	if (r < 0) {
		free(next);
		return r;
	}
	for (size_t i = 0; i < count; i++) {
		is_new[i] = next[i];
		if (!next[i])
			next[i] = take_same(set, wanted(set, config, i));
	}
	for (size_t i = 0; i < set->count; i++)
		if (set->registries[i])
			registry_stop(set->registries[i],
				find_heir(set->registries[i], next, is_new, count), true);
	free(set->registries);
	set->registries = next;
	set->count = count;
	for (size_t i = 0; i < set->count; i++)
		if (is_new[i])
			registry_start(set->registries[i]);
	return 0;
}

static int configure_local(struct fl_registry_set *set)
{
	struct fl_registry_config *config;

	if (!find_driver(FL_LOCAL_NAME))
		return 0;
	config = set->local = fl_registry_config_new();
	if (!config)
		return -ENOMEM;
	config->type = strdup(FL_LOCAL_NAME);
	config->name = strdup(FL_LOCAL_NAME);
	return config->type && config->name ? 0 : -ENOMEM;
}

int fl_registry_set_start(struct fl_registry_set *set, uv_loop_t *loop,
	const struct fl_config *config, void (*changed)(void *context), void *context)
{
	int r;

	*set = (struct fl_registry_set){
		.loop = loop, .calm_ms = FL_GUARD_CALM_MS, .changed = changed, .context = context
	};
	r = configure_local(set);
	return r < 0 ? r : fl_registry_set_configure(set, config);
}

struct fl_registry *fl_registry_set_local(const struct fl_registry_set *set)
{
	return set->local && set->count ? set->registries[set->count - 1] : NULL;
}

void fl_registry_set_refresh(struct fl_registry_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->registries[i]->running)
			set->registries[i]->driver->refresh(set->registries[i]);
}

bool fl_registry_written(const struct fl_registry *registry, struct fl_written *ret)
{
	*ret = (struct fl_written){ .error = "" };
	if (!registry->driver || !registry->driver->written)
		return false;
	if (registry->running)
		registry->driver->written(registry, ret);
	return true;
}

bool fl_registry_is_written(const struct fl_config *config, const char *name)
{
	for (size_t i = 0; i < config->registry_count; i++) {
		const struct fl_registry_driver *driver = find_driver(config->registries[i]->type);

		if (driver && driver->applied && strcmp(config->registries[i]->name, name) == 0)
			return true;
	}
	return false;
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
		registry_stop(set->registries[i], NULL, false);
	free(set->registries);
	fl_registry_config_unref(TAKE_PTR(set->local));
	set->registries = NULL;
	set->count = 0;
}

bool fl_registry_set_is_ready(const struct fl_registry_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (!fl_registry_has_spoken(set->registries[i]) && !set->registries[i]->restored &&
			!set->registries[i]->failed)
			return false;
	return true;
}

int fl_registry_set_accept(
	struct fl_registry_set *set, const char *name, struct fl_failure *failure)
{
	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(set->registries[i]->config->name, name) != 0)
			continue;
		if (fl_registry_accept(set->registries[i]))
			return 0;
		return fl_fail(failure, -EALREADY, "nothing is held back in registry %s", name);
	}
	fl_fail(failure, -ENOENT, "no registry is called \"%s\"", name);
	fl_fail_hint(failure, "list them with: fairlead registry list");
	return -ENOENT;
}
