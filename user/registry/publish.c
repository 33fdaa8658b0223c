/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What drivers call: they hand over, confirm, or say that they cannot.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "registry/keeper.h"
#include "registry/publish.h"
#include "registry/registry.h"

bool fl_registry_is_same_list(const fl_service_vec *a, const fl_service_vec *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->items[i] != b->items[i] && !fl_service_equal(a->items[i], b->items[i]))
			return false;
	return true;
}

void fl_registry_tell_owner(struct fl_registry *registry)
{
	if (registry->set->changed)
		registry->set->changed(registry->set->context);
}

/* The first error in words, and how many more there are. */
void fl_registry_say_last_error(struct fl_registry *registry)
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

/* ------------------------------------------------------------------ in force */

/* What is in force outlives the agent. */
static void keep(struct fl_registry *registry, bool is_news)
{
	if (registry->keeper && is_news)
		fl_keeper_keep(registry->keeper, &registry->services, registry->published_ms);
	else if (registry->keeper)
		fl_keeper_touch(registry->keeper, registry->published_ms);
}

void fl_registry_put_in_force(
	struct fl_registry *registry, fl_service_vec *services, struct fl_problems *problems)
{
	bool is_known = registry->published || registry->restored;
	bool is_news = !is_known || !fl_registry_is_same_list(&registry->services, services);

	registry->updates += is_news || !registry->published;
	fl_services_done(&registry->services);
	fl_problems_done(&registry->problems);
	registry->services = *services;
	registry->problems = *problems;
	*services = (fl_service_vec){ 0 };
	*problems = (struct fl_problems){ 0 };
	registry->up = true;
	registry->published = true;
	registry->published_ms = fl_clock_real_ms();
	fl_registry_say_last_error(registry);
	keep(registry, is_news);
	fl_registry_tell_owner(registry);
}

/* Older than a reading: what is in force changes, its age does not. */
void fl_registry_reinstate(struct fl_registry *registry, fl_service_vec *services)
{
	fl_services_done(&registry->services);
	registry->services = *services;
	*services = (fl_service_vec){ 0 };
	registry->updates++;
	keep(registry, true);
	fl_registry_tell_owner(registry);
}

void fl_registry_publish(
	struct fl_registry *registry, fl_service_vec *services, struct fl_problems *problems)
{
	if (!registry->driver->remote) {
		fl_registry_put_in_force(registry, services, problems);
		return;
	}
	if (fl_registry_guard(registry, services, problems))
		return;
	fl_services_done(services);
	fl_problems_done(problems);
	fl_registry_failed(registry, "out of memory");
}

/* ------------------------------------------------------- neither new nor held */

void fl_registry_log_problems(
	const struct fl_registry *registry, const struct fl_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		const struct fl_problem *problem = &problems->items[i];
		char line[1024];

		fl_log(problem->warning ? FL_LOG_WARNING : FL_LOG_ERROR, "registry",
			problem->warning ? "a declaration is odd" : "a declaration is wrong",
			FL_STR("registry", registry->config->name),
			FL_STR("problem", fl_problem_format(problem, line, sizeof(line))));
	}
}

void fl_registry_confirm(struct fl_registry *registry)
{
	registry->up = true;
	fl_registry_say_last_error(registry);
	if (registry->held)
		return;
	registry->published_ms = fl_clock_real_ms();
	keep(registry, false);
}

bool fl_registry_has_spoken(const struct fl_registry *registry)
{
	return registry->published || registry->held;
}

void fl_registry_restore(struct fl_registry *registry, fl_service_vec *services, uint64_t taken_ms)
{
	fl_services_done(&registry->services);
	registry->services = *services;
	*services = (fl_service_vec){ 0 };
	fl_guard_begin(&registry->guard, &registry->services);
	registry->restored = true;
	registry->published_ms = taken_ms;
	fl_registry_tell_owner(registry);
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
		fl_registry_tell_owner(registry);
}
