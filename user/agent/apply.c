/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From what registries declare to what the kernel does.
 *
 * A plan says what shall be, not what to toggle. So a step that failed leaves
 * no debt: the next attempt plans as if nothing were in place, and the writer,
 * which compares before it writes, touches only what is still missing.
 */
#include <errno.h>
#include <string.h>

#include "agent/notify.h"
#include "agent/state.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/vec.h"
#include "model/plan.h"

#define RETRY_MS 5000

static void on_timer(uv_timer_t *timer)
{
	fl_agent_apply(timer->data);
}

static void schedule_in(struct fl_agent *agent, uint64_t delay_ms)
{
	agent->apply_timer.data = agent;
	uv_timer_start(&agent->apply_timer, on_timer, delay_ms, 0);
}

void fl_agent_schedule(struct fl_agent *agent)
{
	schedule_in(agent, 0);
}

void fl_agent_published(void *context)
{
	fl_agent_schedule(context);
}

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
	r = fl_snapshot_merge(list.items, list.count, &agent->kernel->maps.limits,
		agent->generation + 1, problems, ret);
out:
	fl_vec_done(&list);
	return r;
}

static bool same_problems(const struct fl_problems *a, const struct fl_problems *b)
{
	char x[1024], y[1024];

	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(fl_problem_format(&a->items[i], x, sizeof(x)),
			    fl_problem_format(&b->items[i], y, sizeof(y))) != 0)
			return false;
	return true;
}

/* Conflicts between registries stand until somebody mends them: said once. */
static void keep_conflicts(struct fl_agent *agent, struct fl_problems *conflicts)
{
	if (!same_problems(&agent->conflicts, conflicts))
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

/* Next hops are followed from before an endpoint is used until after it is not. */
static int follow(struct fl_agent *agent, const struct fl_step *step)
{
	if (!agent->routes)
		return 0;
	if (step->kind == FL_STEP_ENDPOINT)
		return fl_routes_watch(agent->routes, step->endpoint->id, &step->endpoint->addr,
			step->service->forward);
	if (step->kind == FL_STEP_ENDPOINT_GONE)
		fl_routes_unwatch(agent->routes, step->endpoint->id);
	return 0;
}

static void step_failed(
	struct fl_agent *agent, const struct fl_step *step, const char *message, const char *hint)
{
	fl_log(FL_LOG_ERROR, "agent", "a step failed, trying again",
		FL_STR("service", step->service->name), FL_STR("err", message),
		FL_STR("hint", hint), FL_INT("retry_ms", RETRY_MS));
	agent->incomplete = true;
	agent->stats.failures++;
	strncpy(agent->stats.last_error, message, sizeof(agent->stats.last_error) - 1);
}

static void carry_out(struct fl_agent *agent, const struct fl_plan *plan)
{
	uint32_t now_s = fl_clock_boot_s();

	for (size_t i = 0; i < plan->count; i++) {
		struct fl_failure failure = { 0 };
		int r = follow(agent, &plan->steps[i]);

		if (r < 0)
			fl_fail(&failure, r, "cannot follow its route: %s", fl_log_errno(r));
		else
			r = fl_writer_step(agent->writer, &plan->steps[i], now_s, &failure);
		if (r < 0)
			step_failed(agent, &plan->steps[i], failure.message, failure.hint);
	}
}

/* A registry that could not be read since the start may still declare what an
 * earlier agent left: nothing of that is removed before it has spoken. */
static bool all_have_spoken(const struct fl_registry_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (!set->registries[i]->published)
			return false;
	return true;
}

static void prune(struct fl_agent *agent, const struct fl_snapshot *snapshot)
{
	struct fl_failure failure = { 0 };

	agent->pruned = all_have_spoken(&agent->registries);
	if (!agent->pruned)
		return;

	if (fl_writer_prune(agent->writer, snapshot, fl_clock_boot_s(), &failure) < 0) {
		fl_log(FL_LOG_ERROR, "agent", "cannot remove what an earlier agent left",
			FL_STR("err", failure.message));
		agent->incomplete = true;
	}
}

static void count_duration(struct fl_apply_stats *stats, double seconds)
{
	static const double bounds[] = FL_APPLY_BUCKETS;
	size_t i = 0;

	while (i < FL_APPLY_BUCKET_COUNT && seconds > bounds[i])
		i++;
	stats->buckets[i]++;
	stats->count++;
	stats->sum_s += seconds;
}

static void put_in_force(struct fl_agent *agent, struct fl_snapshot *snapshot)
{
	struct fl_meta_row *meta = agent->kernel->maps.meta;

	fl_snapshot_unref(agent->applied);
	agent->applied = snapshot;
	fl_writer_follow(agent->writer, snapshot);
	agent->generation = snapshot->generation;
	agent->applied_ms = fl_clock_real_ms();
	if (agent->incomplete)
		return;
	__atomic_store_n(&meta->generation, snapshot->generation, __ATOMIC_RELAXED);
	__atomic_store_n(&meta->applied_at, agent->applied_ms / 1000, __ATOMIC_RELAXED);
}

static void become_ready(struct fl_agent *agent)
{
	if (agent->ready)
		return;
	agent->ready = true;
	fl_notify("READY=1");
	fl_log(FL_LOG_INFO, "agent", "ready", FL_UINT("generation", agent->generation));
}

/* Takes the snapshot over. */
static void apply_snapshot(struct fl_agent *agent, struct fl_snapshot *snapshot)
{
	const struct fl_snapshot *from = agent->incomplete ? NULL : agent->applied;
	uint64_t moved = fl_writer_writes(agent->writer)->slots_moved;
	uint64_t began_ns = fl_clock_mono_ns();
	struct fl_failure failure = { 0 };
	struct fl_plan plan = { 0 };
	double seconds;
	int r = fl_writer_assign(agent->writer, snapshot, &failure);

	if (r >= 0)
		r = fl_plan_diff(from, snapshot, &plan);
	if (r < 0) {
		fl_log(FL_LOG_ERROR, "agent", "snapshot not applied, keeping the previous one",
			FL_STR("err", failure.message[0] ? failure.message : fl_log_errno(r)));
		agent->stats.failures++;
		strncpy(agent->stats.last_error,
			failure.message[0] ? failure.message : fl_log_errno(r),
			sizeof(agent->stats.last_error) - 1);
		fl_snapshot_unref(snapshot);
		return;
	}
	if (from && plan.count == 0 && agent->pruned) { /* the same services, perhaps in other files */
		fl_registry_set_applied(&agent->registries, from); /* one of them may be new */
		fl_plan_done(&plan);
		fl_snapshot_unref(snapshot);
		return;
	}
	agent->incomplete = false;
	agent->stats.last_error[0] = '\0';
	carry_out(agent, &plan);
	if (!from || !agent->pruned)
		prune(agent, snapshot);
	seconds = (double)(fl_clock_mono_ns() - began_ns) / 1e9;
	count_duration(&agent->stats, seconds);
	put_in_force(agent, snapshot);
	if (agent->pruned)
		fl_registry_set_applied(&agent->registries, snapshot);
	fl_log(FL_LOG_INFO, "agent", "snapshot applied",
		FL_UINT("generation", snapshot->generation),
		FL_UINT("services", snapshot->service_count),
		FL_UINT("endpoints", snapshot->endpoint_count), FL_UINT("steps", plan.count),
		FL_UINT("slots_moved", fl_writer_writes(agent->writer)->slots_moved - moved),
		FL_DBL("seconds", seconds));
	fl_plan_done(&plan);
}

void fl_agent_apply(struct fl_agent *agent)
{
	struct fl_problems problems = { 0 };
	struct fl_snapshot *snapshot = NULL;
	int r;

	uv_timer_stop(&agent->apply_timer);
	if (!fl_registry_set_is_ready(&agent->registries))
		return; /* half of a first answer would remove the other half's services */
	r = merge(agent, &problems, &snapshot);
	if (r < 0) {
		fl_log(FL_LOG_ERROR, "agent", "snapshot not made, keeping the previous one",
			FL_ERR(r));
		fl_problems_done(&problems);
		schedule_in(agent, RETRY_MS);
		return;
	}
	keep_conflicts(agent, &problems);
	apply_snapshot(agent, snapshot);
	if (agent->incomplete)
		schedule_in(agent, RETRY_MS);
	if (agent->applied)
		become_ready(agent);
}
