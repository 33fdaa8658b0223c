/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What drivers call: they hand over, confirm, or say that they cannot.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "registry/keeper.h"
#include "registry/publish.h"
#include "registry/registry.h"

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

/* ------------------------------------------------------------------ in force */

/* What is in force outlives the agent. */
static void keep(struct fl_registry *registry, bool is_news)
{
	if (registry->keeper && is_news)
		fl_keeper_keep(registry->keeper, &registry->services, registry->published_ms);
	else if (registry->keeper)
		fl_keeper_touch(registry->keeper, registry->published_ms);
}

static void put_in_force(
	struct fl_registry *registry, fl_service_vec *services, struct fl_problems *problems)
{
	bool is_known = registry->published || registry->restored;
	bool is_news = !is_known || !is_same_list(&registry->services, services);

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
	say_last_error(registry);
	keep(registry, is_news);
	tell_owner(registry);
}

/* --------------------------------------------------------------------- held */

static uint64_t now_ms(void)
{
	return fl_clock_mono_ns() / 1000000;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void fl_held_free(struct fl_held *held)
{
	if (!held)
		return;
	fl_services_done(&held->services);
	fl_problems_done(&held->problems);
	if (held->passes)
		uv_close((uv_handle_t *)&held->calm, on_closed);
	else
		free(held);
}

static void log_held(const struct fl_registry *registry)
{
	const struct fl_held *held = registry->held;
	char hint[160];

	snprintf(hint, sizeof(hint), "if that is right: fairlead registry accept %s",
		registry->config->name);
	fl_log(FL_LOG_ERROR, "registry",
		"an answer would remove too much and is held back, keeping what was declared "
		"before",
		FL_STR("registry", registry->config->name), FL_UINT("endpoints_gone", held->gone),
		FL_UINT("of", held->of), FL_UINT("services_gone", held->removal.services),
		FL_UINT("max_removal", registry->config->max_removal_percent),
		FL_STR("hint", hint));
}

static void log_passed(const struct fl_registry *registry, const struct fl_removal *removal)
{
	fl_log(FL_LOG_INFO, "registry", "another answer than the one held back is in force",
		FL_STR("registry", registry->config->name),
		FL_UINT("endpoints_gone", removal->endpoints), FL_UINT("of", removal->before));
}

static void on_calm(uv_timer_t *timer)
{
	struct fl_held *held = timer->data;
	struct fl_registry *registry = held->registry;

	registry->held = NULL;
	fl_guard_passed(&registry->guard, &held->removal, now_ms());
	log_passed(registry, &held->removal);
	put_in_force(registry, &held->services, &held->problems);
	fl_held_free(held);
}

/* Put it in the place of what was held before. */
static void replace_held(struct fl_registry *registry, struct fl_held *held)
{
	bool is_first = !registry->held;

	held->since_ms = is_first ? fl_clock_real_ms() : registry->held->since_ms;
	fl_held_free(registry->held);
	registry->held = held;
	registry->up = true;
	say_last_error(registry);
	if (is_first)
		log_held(registry);
	if (!registry->published)
		tell_owner(registry); /* it has spoken */
}

/* Take the answer in, without obeying it: `like` says how much would be gone.
 * @return false when out of memory */
static bool hold(struct fl_registry *registry, const struct fl_held *like, fl_service_vec *services,
	struct fl_problems *problems)
{
	struct fl_held *held;

	if (registry->held && registry->held->passes && like->passes &&
		is_same_list(&registry->held->services, services)) {
		fl_services_done(services);
		fl_problems_done(problems);
		return true; /* its time runs on */
	}
	held = calloc(1, sizeof(*held));
	if (!held)
		return false;
	*held = *like;
	held->registry = registry;
	held->services = *services;
	held->problems = *problems;
	*services = (fl_service_vec){ 0 };
	*problems = (struct fl_problems){ 0 };
	if (held->passes) {
		uv_timer_init(registry->loop, &held->calm);
		held->calm.data = held;
		uv_timer_start(&held->calm, on_calm, registry->set->calm_ms, 0);
	}
	replace_held(registry, held);
	return true;
}

/* @return false when out of memory */
static bool guard(
	struct fl_registry *registry, fl_service_vec *services, struct fl_problems *problems)
{
	struct fl_held like = { 0 };
	struct fl_removal *removal = &like.removal;

	if (fl_removal_count(&registry->guard, &registry->services, services, removal) < 0)
		return false;
	like.passes = !fl_guard_refuses(&registry->guard, removal,
		registry->config->max_removal_percent, now_ms(), &like.gone, &like.of);
	if (!like.passes || (registry->held && removal->endpoints)) {
		if (like.passes)
			like.gone = removal->endpoints, like.of = removal->before;
		return hold(registry, &like, services, problems);
	}
	fl_guard_passed(&registry->guard, removal, now_ms());
	if (registry->held)
		log_passed(registry, removal);
	fl_held_free(TAKE_PTR(registry->held));
	put_in_force(registry, services, problems);
	return true;
}

void fl_registry_publish(
	struct fl_registry *registry, fl_service_vec *services, struct fl_problems *problems)
{
	if (!registry->driver->remote) {
		put_in_force(registry, services, problems);
		return;
	}
	if (guard(registry, services, problems))
		return;
	fl_services_done(services);
	fl_problems_done(problems);
	fl_registry_failed(registry, "out of memory");
}

bool fl_registry_accept(struct fl_registry *registry)
{
	struct fl_held *held = TAKE_PTR(registry->held);

	if (!held)
		return false;
	fl_log(FL_LOG_INFO, "registry", "the answer that was held back is accepted",
		FL_STR("registry", registry->config->name), FL_UINT("endpoints_gone", held->gone),
		FL_UINT("of", held->of));
	fl_guard_accepted(&registry->guard, &held->removal, now_ms());
	put_in_force(registry, &held->services, &held->problems);
	fl_held_free(held);
	return true;
}

/* ------------------------------------------------------- neither new nor held */

void fl_registry_confirm(struct fl_registry *registry)
{
	registry->up = true;
	say_last_error(registry);
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
	tell_owner(registry);
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
