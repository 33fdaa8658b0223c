/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What all registries declare, as one snapshot, and what is known of the health of
 * endpoints laid over it.
 */
#include <errno.h>
#include <string.h>

#include "agent/state.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/vec.h"

typedef FL_VEC(struct fl_declaration) declaration_vec;

static int declare(declaration_vec *list, const char *registry, struct fl_service *const *services,
	size_t count)
{
	struct fl_declaration *next = fl_vec_push(list);

	if (!next)
		return -ENOMEM;
	*next = (struct fl_declaration){ registry, services, count };
	return 0;
}

/* Inline services come first, then the registries in order of precedence.
 * @param instead  what one of them may declare, in place of what it does; NULL = nothing */
static int list_all(const struct fl_agent *agent, const struct fl_registry *other,
	const fl_service_vec *instead, declaration_vec *list)
{
	const struct fl_config *config = agent->config;
	const struct fl_registry_set *set = &agent->registries;
	int r = declare(list, "inline", config->services, config->service_count);

	for (size_t i = 0; i < set->count && r == 0; i++) {
		const struct fl_registry *registry = set->registries[i];
		const fl_service_vec *services = registry == other ? instead : &registry->services;

		r = declare(list, registry->config->name, services->items, services->count);
	}
	return r;
}

static int merge(struct fl_agent *agent, struct fl_problems *problems, struct fl_snapshot **ret)
{
	declaration_vec list = { 0 };
	int r = list_all(agent, NULL, NULL, &list);

	if (r == 0)
		r = fl_merger_merge(agent->merger, list.items, list.count,
			&agent->kernel->maps.limits, agent->generation + 1, problems, ret);
	fl_vec_done(&list);
	return r;
}

int fl_agent_try(const struct fl_agent *agent, const struct fl_registry *registry,
	const fl_service_vec *services, struct fl_problems *problems)
{
	struct fl_snapshot *snapshot = NULL;
	declaration_vec list = { 0 };
	int r = list_all(agent, registry, services, &list);

	if (r == 0)
		r = fl_snapshot_merge(list.items, list.count, &agent->kernel->maps.limits,
			agent->generation + 1, problems, &snapshot);
	fl_snapshot_unref(snapshot);
	fl_vec_done(&list);
	return r;
}

/* Conflicts between registries stand until somebody mends them: said once. */
static void keep_conflicts(struct fl_agent *agent, struct fl_problems *conflicts)
{
	if (!fl_problems_equal(&agent->conflicts, conflicts))
		for (size_t i = 0; i < conflicts->count; i++) {
			char line[1024];

			fl_log(FL_LOG_WARNING, "model", "declaration not used",
				FL_STR("problem", fl_problem_format(&conflicts->items[i], line,
							  sizeof(line))));
		}
	fl_problems_done(&agent->conflicts);
	agent->conflicts = *conflicts;
	*conflicts = (struct fl_problems){ 0 };
}

/* Loudly: what is used now may not work. */
static void say_panic(const struct fl_snapshot *before, const struct fl_snapshot *now)
{
	struct fl_snapshot_change change = { 0 };

	while (fl_snapshot_next_change(before, now, &change)) {
		bool was = change.old && change.old->in_panic;
		bool is = change.new && change.new->in_panic;

		if (is && !was)
			fl_log(FL_LOG_WARNING, "health",
				"panic: too few endpoints are up, using all",
				FL_STR("service", change.new->name));
		else if (was && !is)
			fl_log(FL_LOG_INFO, "health", "panic is over",
				FL_STR("service", change.old->name));
	}
}

/* Once more when that shows that somebody came up: its slow start begins with its first flow. */
static int lay(struct fl_agent *agent, struct fl_snapshot *merged, struct fl_snapshot **ret)
{
	uint64_t now_ms = fl_clock_real_ms();
	struct fl_snapshot *laid = NULL;
	int r = fl_ramps_step(agent->ramps, agent->health, now_ms);

	if (r >= 0)
		r = fl_overlay_lay(agent->overlay, agent->health, merged, agent->generation + 1,
			now_ms, &laid);
	if (r >= 0)
		r = fl_ramps_look(agent->ramps, agent->health, laid, now_ms);
	if (r > 0) {
		fl_snapshot_unref(laid);
		laid = NULL;
		r = fl_overlay_lay(agent->overlay, agent->health, merged, agent->generation + 1,
			now_ms, &laid);
	}
	if (r < 0) {
		fl_snapshot_unref(laid);
		return r;
	}
	*ret = laid;
	return 0;
}

int fl_agent_merge(struct fl_agent *agent, struct fl_snapshot **ret)
{
	struct fl_problems problems = { 0 };
	struct fl_snapshot *merged = NULL;
	int r = merge(agent, &problems, &merged);

	if (r >= 0)
		keep_conflicts(agent, &problems);
	fl_problems_done(&problems);
	if (r >= 0)
		r = fl_checker_configure(agent->checker, merged);
	if (r >= 0)
		r = fl_heartbeats_configure(agent->heartbeats, merged);
	if (r >= 0)
		r = lay(agent, merged, ret);
	if (r >= 0)
		say_panic(agent->applied, *ret);
	fl_snapshot_unref(merged);
	return r;
}
