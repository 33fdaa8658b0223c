/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From what registries declare to what the kernel does.
 *
 * A plan says what shall be, not what to toggle. So a step that failed leaves
 * no debt: the next attempt plans as if nothing were in place, and the writer,
 * which compares before it writes, touches only what is still missing.
 *
 * A snapshot that changes much is applied in slices of the loop's time, so that
 * the API and health answers go on. One that was begun is brought to its end;
 * only then is what was published meanwhile looked at.
 */
#include <errno.h>
#include <string.h>

#include "agent/notify.h"
#include "agent/stale.h"
#include "agent/state.h"
#include "core/clock.h"
#include "core/log.h"

#define RETRY_MS 5000

/* The longest that the loop is held, but for a step that takes longer. */
#define SLICE_NS 10000000ull
/* Not 0: libuv calls such a timer again before it looks at anything else. */
#define GO_ON_MS 1
/* Services that get their numbers between two looks at the clock. */
#define SERVICES_AT_ONCE 32

static void on_timer(uv_timer_t *timer);

static void schedule_in(struct fl_agent *agent, uint64_t delay_ms)
{
	uv_timer_start(&agent->apply_timer, on_timer, delay_ms, 0);
}

void fl_agent_schedule(struct fl_agent *agent)
{
	agent->wanted = true;
	schedule_in(agent, 0);
}

void fl_agent_published(void *context)
{
	fl_agent_schedule(context);
}

/* -------------------------------------------------------------------- steps */

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

static void carry_out(struct fl_agent *agent, const struct fl_step *step)
{
	struct fl_failure failure = { 0 };
	int r = follow(agent, step);

	if (r < 0)
		fl_fail(&failure, r, "cannot follow its route: %s", fl_log_errno(r));
	else
		r = fl_writer_step(agent->writer, step, fl_clock_boot_s(), &failure);
	if (r < 0)
		step_failed(agent, step, failure.message, failure.hint);
}

/* A registry that could not be read since the start may still declare what an
 * earlier agent left: nothing of that is removed before it has spoken. */
static bool all_have_spoken(const struct fl_registry_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (!fl_registry_has_spoken(set->registries[i]))
			return false;
	return true;
}

static void prune(struct fl_agent *agent, const struct fl_snapshot *snapshot)
{
	struct fl_failure failure = { 0 };

	agent->pruned = agent->applying.of_all;
	if (!agent->pruned)
		return;

	if (fl_writer_prune(agent->writer, snapshot, fl_clock_boot_s(), &failure) < 0) {
		fl_log(FL_LOG_ERROR, "agent", "cannot remove what an earlier agent left",
			FL_STR("err", failure.message));
		agent->incomplete = true;
	}
}

/* ------------------------------------------------------------- begin and end */

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

/* Takes the snapshot over. */
static void put_in_force(struct fl_agent *agent, struct fl_snapshot *snapshot)
{
	fl_snapshot_unref(agent->applied);
	agent->applied = snapshot;
	agent->generation = snapshot->generation;
	fl_writer_follow(agent->writer, snapshot);
}

static void say_in_force(struct fl_agent *agent)
{
	struct fl_meta_row *meta = agent->kernel->maps.meta;

	agent->applied_ms = fl_clock_real_ms();
	if (agent->incomplete)
		return;
	__atomic_store_n(&meta->generation, agent->generation, __ATOMIC_RELAXED);
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

static void forget_applying(struct fl_agent *agent)
{
	fl_plan_done(&agent->applying.plan);
	fl_snapshot_unref(agent->applying.snapshot);
	agent->applying = (struct fl_applying){ 0 };
}

/* Take up what the registries say now. @return whether there is something to do */
static bool begin(struct fl_agent *agent)
{
	uint64_t began_ns = fl_clock_mono_ns();
	struct fl_snapshot *snapshot = NULL;
	int r;

	agent->wanted = false;
	if (!fl_registry_set_is_ready(&agent->registries))
		return false; /* half of a first answer would remove the other half's services */
	r = fl_agent_merge(agent, &snapshot);
	if (r < 0) {
		fl_log(FL_LOG_ERROR, "agent", "snapshot not made, keeping the previous one",
			FL_ERR(r));
		schedule_in(agent, RETRY_MS);
		return false;
	}
	agent->applying = (struct fl_applying){
		.snapshot = snapshot,
		.from_nothing = agent->incomplete || !agent->applied,
		.of_all = all_have_spoken(&agent->registries),
		.began_ns = began_ns,
		.slots_moved = fl_writer_writes(agent->writer)->slots_moved,
	};
	return true;
}

/* It may fit later, when numbers have rested: tried again, but said once. */
static void refuse(struct fl_agent *agent, const char *why)
{
	if (!agent->refused || strcmp(why, agent->stats.last_error) != 0)
		fl_log(FL_LOG_ERROR, "agent", "snapshot not applied, keeping the previous one",
			FL_STR("err", why), FL_INT("retry_ms", RETRY_MS));
	agent->refused = true;
	agent->stats.failures++;
	strncpy(agent->stats.last_error, why, sizeof(agent->stats.last_error) - 1);
}

/* Number some services. @return whether they could be */
static bool number(struct fl_agent *agent)
{
	struct fl_applying *a = &agent->applying;
	struct fl_failure failure = { 0 };
	int r = fl_writer_assign_some(agent->writer, a->snapshot, SERVICES_AT_ONCE, &failure);

	if (r < 0)
		refuse(agent, failure.message);
	else if (r == 0)
		a->phase = FL_APPLY_PLAN;
	return r >= 0;
}

static bool plan(struct fl_agent *agent)
{
	struct fl_applying *a = &agent->applying;
	int r = fl_plan_diff(a->from_nothing ? NULL : agent->applied, a->snapshot, &a->plan);

	if (r < 0) {
		refuse(agent, fl_log_errno(r));
		return false;
	}
	agent->incomplete = agent->refused = false;
	agent->stats.last_error[0] = '\0';
	a->phase = FL_APPLY_STEPS;
	return true;
}

static void take_step(struct fl_agent *agent)
{
	struct fl_applying *a = &agent->applying;

	if (a->done < a->plan.count)
		carry_out(agent, &a->plan.steps[a->done++]);
	else
		a->phase = FL_APPLY_FINISH;
}

/* All steps were carried out. */
static void finish(struct fl_agent *agent)
{
	struct fl_applying *a = &agent->applying;
	struct fl_snapshot *snapshot = fl_snapshot_ref(a->snapshot);
	double seconds;

	/* The same services, perhaps in other files: nobody notices. */
	if (!a->from_nothing && a->plan.count == 0 && agent->pruned) {
		snapshot->generation = agent->applied->generation;
		put_in_force(agent, snapshot);
		fl_registry_set_applied(&agent->registries, snapshot); /* one may be new */
		return;
	}
	if (a->from_nothing || !agent->pruned)
		prune(agent, snapshot);
	put_in_force(agent, snapshot);
	say_in_force(agent);
	seconds = (double)(fl_clock_mono_ns() - a->began_ns) / 1e9;
	count_duration(&agent->stats, seconds);
	fl_log(FL_LOG_INFO, "agent", "snapshot applied",
		FL_UINT("generation", snapshot->generation),
		FL_UINT("services", snapshot->service_count),
		FL_UINT("endpoints", snapshot->endpoint_count), FL_UINT("steps", a->plan.count),
		FL_UINT("slots_moved",
			fl_writer_writes(agent->writer)->slots_moved - a->slots_moved),
		FL_DBL("seconds", seconds));
	if (agent->pruned)
		fl_registry_set_applied(&agent->registries, snapshot);
}

/* -------------------------------------------------------------------- slices */

/* What cannot be divided gets a slice for itself, unless the whole apply is small. */
static bool needs_a_slice(const struct fl_applying *a)
{
	return a->slices > 0 && (a->phase == FL_APPLY_PLAN || a->phase == FL_APPLY_FINISH);
}

/* @return whether the apply goes on */
static bool go_on(struct fl_agent *agent)
{
	switch (agent->applying.phase) {
	case FL_APPLY_NUMBER:
		return number(agent);
	case FL_APPLY_PLAN:
		return plan(agent);
	case FL_APPLY_STEPS:
		take_step(agent);
		return true;
	case FL_APPLY_FINISH:
		finish(agent);
		break;
	}
	return false;
}

/* @return whether that was the last */
static bool do_slice(struct fl_agent *agent, uint64_t until_ns)
{
	struct fl_applying *a = &agent->applying;

	do {
		if (!go_on(agent))
			return true;
	} while (fl_clock_mono_ns() < until_ns && !needs_a_slice(a));
	a->slices++;
	return false;
}

static void on_timer(uv_timer_t *timer)
{
	uint64_t until_ns = fl_clock_mono_ns() + SLICE_NS;
	struct fl_agent *agent = timer->data;

	agent->apply_turns++;
	if (!agent->applying.snapshot && !begin(agent))
		return;
	if (!do_slice(agent, until_ns)) {
		schedule_in(agent, GO_ON_MS);
		return;
	}
	forget_applying(agent);
	fl_agent_close_stale(agent);
	if (agent->wanted)
		schedule_in(agent, GO_ON_MS);
	else if (agent->incomplete || agent->refused)
		schedule_in(agent, RETRY_MS);
	if (agent->applied)
		become_ready(agent);
}

/* Something waits or is under way: then turns must be had. A snapshot that is tried again
 * once in a while is no work in the meantime. */
uint64_t fl_agent_apply_progress(void *context)
{
	const struct fl_agent *agent = context;

	return agent->wanted || agent->applying.snapshot ? agent->apply_turns + 1 : 0;
}

int fl_agent_apply_init(struct fl_agent *agent)
{
	uv_timer_init(&agent->loop, &agent->apply_timer);
	agent->apply_timer.data = agent;
	agent->merger = fl_merger_new();
	agent->health = fl_health_new(fl_agent_published, agent);
	agent->overlay = fl_overlay_new();
	agent->ramps = fl_ramps_new();
	return agent->merger && agent->health && agent->overlay && agent->ramps ? 0 : -ENOMEM;
}

void fl_agent_apply_done(struct fl_agent *agent)
{
	forget_applying(agent);
	fl_merger_free(agent->merger);
	fl_overlay_free(agent->overlay);
	fl_ramps_free(agent->ramps);
	fl_health_free(agent->health);
	fl_snapshot_unref(agent->applied);
	fl_problems_done(&agent->conflicts);
}
