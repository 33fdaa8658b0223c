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

/* Inline services come first, then the registries in order of precedence. */
static int merge(struct fl_agent *agent, struct fl_problems *problems, struct fl_snapshot **ret)
{
	const struct fl_config *config = agent->config;
	const struct fl_registry_set *set = &agent->registries;
	FL_VEC(struct fl_declaration) list = { 0 };
	struct fl_declaration *next = fl_vec_push(&list);
	int r = -ENOMEM;

	if (!next)
		goto out;
	*next = (struct fl_declaration){
		.registry = "inline",
		.services = config->services,
		.count = config->service_count,
	};
	for (size_t i = 0; i < set->count; i++) {
		const struct fl_registry *registry = set->registries[i];

		next = fl_vec_push(&list);
		if (!next)
			goto out;
		*next = (struct fl_declaration){
			.registry = registry->config->name,
			.services = registry->services.items,
			.count = registry->services.count,
		};
	}
	r = fl_merger_merge(agent->merger, list.items, list.count, &agent->kernel->maps.limits,
		agent->generation + 1, problems, ret);
out:
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
