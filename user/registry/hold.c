/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guard at work (guard.h): what passes, what is held back and how that ends.
 *
 *   removes nothing, or little ──► in force
 *   removes too much ──► held, and what was removed within the minute before comes back
 *   held, then better ──► in force: at once if it removes nothing, else in calm
 *   held, then accepted ──► in force
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "registry/publish.h"
#include "registry/registry.h"

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

/* ------------------------------------------------------------------- window */

static bool is_window_open(const struct fl_registry *registry)
{
	return registry->before.count && now_ms() - registry->before_ms < FL_GUARD_WINDOW_MS;
}

/* The first removal opens a window: what was in force before it is remembered. */
static void remember(struct fl_registry *registry, const struct fl_removal *removal)
{
	if (is_window_open(registry))
		return;
	fl_services_done(&registry->before);
	registry->before_ms = now_ms();
	for (size_t i = 0; removal->endpoints && i < registry->services.count; i++) {
		struct fl_service **service = fl_vec_push(&registry->before);

		if (service)
			*service = fl_service_ref(registry->services.items[i]);
	}
}

/* What vanished in this window was the beginning of more: it is in force again. */
static void take_back(struct fl_registry *registry)
{
	size_t in_force = registry->guard.in_force;
	fl_service_vec services;

	if (registry->held || !is_window_open(registry) ||
		fl_guard_restore(&registry->before, &registry->services, &services) < 0)
		return;
	fl_services_done(&registry->before);
	fl_guard_begin(&registry->guard, &services);
	fl_log(FL_LOG_WARNING, "registry", "what vanished within the last minute is in force again",
		FL_STR("registry", registry->config->name),
		FL_UINT("endpoints", registry->guard.in_force - in_force));
	fl_registry_reinstate(registry, &services);
}

/* --------------------------------------------------------------------- held */

static void pass(struct fl_registry *registry, const struct fl_removal *removal,
	fl_service_vec *services, struct fl_problems *problems)
{
	remember(registry, removal);
	fl_guard_passed(&registry->guard, removal, now_ms());
	fl_registry_put_in_force(registry, services, problems);
}

static void on_calm(uv_timer_t *timer)
{
	struct fl_held *held = timer->data;
	struct fl_registry *registry = held->registry;

	registry->held = NULL;
	log_passed(registry, &held->removal);
	pass(registry, &held->removal, &held->services, &held->problems);
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
	fl_registry_say_last_error(registry);
	if (is_first)
		log_held(registry);
	if (!registry->published)
		fl_registry_tell_owner(registry); /* it has spoken */
}

/* Take the answer in, without obeying it: `like` says how much would be gone.
 * @return false when out of memory */
static bool hold(struct fl_registry *registry, const struct fl_held *like, fl_service_vec *services,
	struct fl_problems *problems)
{
	struct fl_held *held;

	/* What is wrong with it is told, whether it is obeyed or not. */
	fl_problems_done(&registry->problems);
	fl_problems_copy(&registry->problems, problems);
	fl_registry_say_last_error(registry);
	if (registry->held && registry->held->passes && like->passes &&
		fl_registry_is_same_list(&registry->held->services, services)) {
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

/* Fill removal, gone, of, passes. @return false when out of memory */
static bool judge(struct fl_registry *registry, const fl_service_vec *services, struct fl_held *ret)
{
	if (fl_removal_count(&registry->guard, &registry->services, services, &ret->removal) < 0)
		return false;
	ret->passes = !fl_guard_refuses(&registry->guard, &ret->removal,
		registry->config->max_removal_percent, now_ms(), &ret->gone, &ret->of);
	return true;
}

bool fl_registry_guard(
	struct fl_registry *registry, fl_service_vec *services, struct fl_problems *problems)
{
	struct fl_held like = { 0 };
	struct fl_removal *removal = &like.removal;

	if (!judge(registry, services, &like))
		return false;
	if (!like.passes) {
		take_back(registry);
		if (!judge(registry, services, &like))
			return false;
	}
	if (!like.passes || (registry->held && removal->endpoints)) {
		if (like.passes)
			like.gone = removal->endpoints, like.of = removal->before;
		return hold(registry, &like, services, problems);
	}
	if (registry->held)
		log_passed(registry, removal);
	fl_held_free(TAKE_PTR(registry->held));
	pass(registry, removal, services, problems);
	return true;
}

bool fl_registry_accept(struct fl_registry *registry)
{
	struct fl_held *held = TAKE_PTR(registry->held);

	if (!held)
		return false;
	fl_log(FL_LOG_INFO, "registry", "the answer that was held back is accepted",
		FL_STR("registry", registry->config->name), FL_UINT("endpoints_gone", held->gone),
		FL_UINT("of", held->of));
	fl_services_done(&registry->before);
	fl_guard_accepted(&registry->guard, &held->removal, now_ms());
	fl_registry_put_in_force(registry, &held->services, &held->problems);
	fl_held_free(held);
	return true;
}
