/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/checker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>
#include <utlist.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/random.h"
#include "health/agent_words.h"
#include "health/damping.h"
#include "health/probe.h"
#include "health/streak.h"

#define RUNNING_DEFAULT 4096
/* Until the next try of a probe that the agent could not carry out. */
#define UNABLE_LOG_MS 10000

/** One endpoint. */
struct check {
	uv_timer_t timer; /* the next probe, or the end of patience with this one */
	struct fl_checker *checker;
	struct group *group;
	struct fl_endpoint *endpoint; /* of the group's service */
	struct fl_ip addr;
	uint16_t port; /* as declared */
	struct fl_probe_target target;
	struct fl_probe_target aimed; /* of the probe that runs: perhaps by another road */
	struct fl_streak streak;
	struct fl_damping damping;
	struct fl_agent_state agent; /* of agent-checks */
	uint64_t due_ms;             /* when the probe was to begin */
	uint64_t began_ms;           /* the probe that runs, or the last one */
	bool running;
	void *run;
	bool waiting;              /* in line */
	struct check *prev, *next; /* in line */
};

/** The endpoints of one service, in its order. */
struct group {
	UT_hash_handle hh;
	bool lost;
	struct fl_service *service; /* one reference; owns the name and the check */
	struct check **checks;
	size_t count;
};

struct fl_checker {
	uv_loop_t *loop;
	struct fl_health *health;
	struct fl_snapshot *declared; /* NULL = nothing yet */
	struct group *groups;         /* by name */
	struct check *waiting;        /* in line, longest first */
	uint32_t limit;
	fl_probe_road *road; /* NULL = there is none but the straight one */
	void *road_context;
	/* What probes of a kind share; NULL = not opened yet, or there is nothing to share. */
	struct fl_prober *probers[FL_PROBES];
	const struct fl_probe_driver *openers[FL_PROBES]; /* of it */
	struct fl_checker_stats stats;
	uint64_t unable_said_ms;
	bool starting; /* those in line; not from within itself */
};

static void on_timer(uv_timer_t *timer);

/* --------------------------------------------------------------------- the outcome */

static struct fl_health_key key_of(const struct check *c)
{
	return (struct fl_health_key){ c->group->service->name, c->addr, c->port };
}

static const struct fl_check *settings(const struct check *c)
{
	return &c->group->service->check;
}

static bool is_agent(const struct check *c)
{
	return fl_check_probe(settings(c)) == FL_PROBE_AGENT;
}

static enum fl_sign sign_of(const struct fl_streak *streak, const struct fl_check *check)
{
	if (!streak->decided)
		return check->starts_down ? FL_SIGN_STARTING : FL_SIGN_UP;
	return streak->up ? FL_SIGN_UP : FL_SIGN_DOWN;
}

static void say_turn(const struct check *c, const char *detail)
{
	char address[FL_SOCKET_TEXT];

	fl_log(FL_LOG_INFO, "health", c->streak.up ? "endpoint is up" : "endpoint is down",
		FL_STR("service", c->group->service->name),
		FL_STR("endpoint", fl_socket_format(&c->addr, c->port, address)),
		FL_STR("probe", fl_probe_name(fl_check_probe(settings(c)))),
		FL_STR("detail", detail));
}

/* Something that this node lacks: many checks will say so at once. */
static void say_unable(struct check *c, const char *detail)
{
	struct fl_checker *checker = c->checker;
	uint64_t now_ms = uv_now(checker->loop);

	if (checker->unable_said_ms && now_ms - checker->unable_said_ms < UNABLE_LOG_MS)
		return;
	checker->unable_said_ms = now_ms;
	fl_log(FL_LOG_WARNING, "health", "cannot probe, keeping verdicts",
		FL_STR("service", c->group->service->name), FL_STR("err", detail));
}

static void say_no_memory(const struct check *c)
{
	fl_log(FL_LOG_ERROR, "health", "out of memory, keeping the verdict",
		FL_STR("service", c->group->service->name));
}

static void set_sign(struct check *c, const char *detail)
{
	struct fl_health_key key = key_of(c);

	if (is_agent(c))
		return; /* until it has said something */
	if (fl_health_set_probe(
		    c->checker->health, &key, sign_of(&c->streak, settings(c)), detail) < 0)
		say_no_memory(c);
}

/* An agent that cannot be asked says nothing, as HAProxy has it: what it said last stands. */
static void heed_agent(struct check *c, const struct fl_probe_outcome *outcome)
{
	enum fl_sign before = fl_agent_sign(&c->agent), now;
	struct fl_health_key key = key_of(c);
	char detail[FL_DETAIL_MAX];

	if (outcome->result != FL_PROBE_PASSED || fl_agent_heed(&c->agent, outcome->detail) < 0)
		return;
	now = fl_agent_sign(&c->agent);
	fl_agent_detail(&c->agent, outcome->detail, detail, sizeof(detail));
	if (now != before) {
		c->checker->stats.turns++;
		c->streak.up = now == FL_SIGN_UP;
		say_turn(c, detail);
	}
	if (fl_health_set_agent(c->checker->health, &key, now, c->agent.weight, detail) < 0)
		say_no_memory(c);
}

/* Down too often of late, and it gets nothing new for a while. */
static void damp(struct check *c, bool went_down)
{
	uint32_t half_life_ms = settings(c)->damping_ms;
	uint64_t now_ms = uv_now(c->checker->loop);
	struct fl_health_key key = key_of(c);
	bool held;

	if (half_life_ms && went_down)
		fl_damping_add(&c->damping, half_life_ms, now_ms);
	held = half_life_ms && fl_damping_look(&c->damping, half_life_ms, now_ms);
	fl_health_set_flapping(c->checker->health, &key, held);
}

static void heed(struct check *c, const struct fl_probe_outcome *outcome)
{
	struct fl_checker_stats *stats = &c->checker->stats;
	enum fl_sign before = sign_of(&c->streak, settings(c));

	if (outcome->result == FL_PROBE_UNABLE) {
		stats->unable++;
		say_unable(c, outcome->detail);
		return;
	}
	if (outcome->result == FL_PROBE_PASSED)
		stats->passed++;
	else
		stats->failed++;
	if (is_agent(c)) {
		heed_agent(c, outcome);
		return;
	}
	fl_streak_feed(&c->streak, settings(c), outcome->result == FL_PROBE_PASSED);
	if (sign_of(&c->streak, settings(c)) != before) {
		stats->turns++;
		say_turn(c, outcome->detail);
	}
	set_sign(c, outcome->detail);
	damp(c, before == FL_SIGN_UP && !c->streak.up);
}

/* ----------------------------------------------------------------------- one probe */

/* From begin to begin, but not before this one is over. One that began late, since the
 * loop was busy, does not make the next ones late. */
static void plan_next(struct check *c)
{
	uint64_t now_ms = uv_now(c->checker->loop);

	c->due_ms += fl_streak_next_ms(&c->streak, settings(c), fl_random_bits());
	if (c->due_ms < now_ms)
		c->due_ms = now_ms;
	uv_timer_start(&c->timer, on_timer, c->due_ms - now_ms, 0);
}

static void plan_first(struct check *c)
{
	uint32_t first_ms = fl_streak_first_ms(settings(c), fl_random_bits());

	c->due_ms = uv_now(c->checker->loop) + first_ms;
	uv_timer_start(&c->timer, on_timer, first_ms, 0);
}

static void end(struct check *c, const struct fl_probe_outcome *outcome)
{
	struct fl_checker *checker = c->checker;

	checker->stats.seconds += (double)(uv_now(checker->loop) - c->began_ms) / 1e3;
	c->running = false;
	c->run = NULL;
	checker->stats.running--;
	heed(c, outcome);
	plan_next(c);
}

static int open_prober(
	struct fl_checker *checker, enum fl_probe probe, const struct fl_probe_driver *driver)
{
	if (checker->probers[probe] || !driver->open)
		return 0;
	checker->openers[probe] = driver;
	return driver->open(checker->loop, &checker->probers[probe]);
}

static void start_waiting(struct fl_checker *checker);

static void on_done(void *context, const struct fl_probe_outcome *outcome)
{
	struct check *c = context;
	struct fl_checker *checker = c->checker;

	end(c, outcome);
	start_waiting(checker);
}

/* @return 0, -errno with the outcome filled */
static int choose_road(struct check *c, struct fl_probe_outcome *outcome)
{
	struct fl_health_key key = key_of(c);
	struct fl_checker *checker = c->checker;

	c->aimed = c->target;
	if (!settings(c)->through_tunnel)
		return 0;
	if (!checker->road) {
		fl_probe_say(outcome, "not through the tunnel: there is none");
		return -EOPNOTSUPP;
	}
	return checker->road(checker->road_context, &key, &c->aimed, outcome->detail);
}

static void begin(struct check *c)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_UNABLE);
	struct fl_checker *checker = c->checker;
	enum fl_probe probe = fl_check_probe(settings(c));
	const struct fl_probe_driver *driver = fl_probe_driver(settings(c));

	c->began_ms = uv_now(checker->loop);
	c->running = true;
	checker->stats.running++;
	if (open_prober(checker, probe, driver) < 0) {
		fl_probe_errno(&outcome, ENOMEM);
		end(c, &outcome);
		return;
	}
	if (choose_road(c, &outcome) < 0 || driver->start(checker->probers[probe], checker->loop,
						    &c->aimed, on_done, c, &outcome, &c->run) < 0) {
		end(c, &outcome);
		return;
	}
	uv_timer_start(&c->timer, on_timer, settings(c)->timeout_ms, 0);
}

static void leave_line(struct check *c)
{
	DL_DELETE(c->checker->waiting, c);
	c->waiting = false;
}

static void start_waiting(struct fl_checker *checker)
{
	while (checker->waiting && checker->stats.running < checker->limit) {
		struct check *c = checker->waiting;

		leave_line(c);
		begin(c);
	}
}

static void stop_run(struct check *c)
{
	if (c->run)
		fl_probe_driver(settings(c))->cancel(c->run);
	c->run = NULL;
}

static void time_out(struct check *c)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_FAILED);
	const struct fl_probe_driver *driver = fl_probe_driver(settings(c));

	fl_probe_say(&outcome, "no answer within %u ms", settings(c)->timeout_ms);
	if (driver->expire)
		driver->expire(TAKE_PTR(c->run), &outcome);
	else
		stop_run(c);
	on_done(c, &outcome);
}

static void on_timer(uv_timer_t *timer)
{
	struct check *c = timer->data;
	struct fl_checker *checker = c->checker;

	if (c->running) {
		time_out(c);
		return;
	}
	if (checker->stats.running >= checker->limit) {
		checker->stats.late++;
		c->waiting = true;
		DL_APPEND(checker->waiting, c);
		return;
	}
	begin(c);
}

/* ------------------------------------------------------------------------ one check */

/* Where a check begins: what was known of the endpoint before, if anything was. */
static struct fl_streak remembered(const struct check *c)
{
	struct fl_health_key key = key_of(c);
	const struct fl_signals *signals = fl_health_signals(c->checker->health, &key);
	enum fl_sign sign = signals ? signals->probe : FL_SIGN_NONE;

	return (struct fl_streak){
		.decided = sign == FL_SIGN_UP || sign == FL_SIGN_DOWN,
		.up = sign == FL_SIGN_UP,
	};
}

/* Likewise, what the agent beside it said. */
static struct fl_agent_state remembered_agent(const struct check *c)
{
	struct fl_health_key key = key_of(c);
	const struct fl_signals *signals = fl_health_signals(c->checker->health, &key);

	return signals ? fl_agent_remembered(signals->agent, signals->agent_weight)
		       : (struct fl_agent_state)FL_AGENT_STATE;
}

static void aim(struct check *c, struct group *group, size_t at)
{
	c->group = group;
	c->endpoint = &group->service->endpoints[at];
	c->target = (struct fl_probe_target){
		.check = &group->service->check,
		.addr = c->addr,
		.port = fl_service_probe_port(group->service, c->endpoint),
		.service = group->service->name,
	};
}

/* Signals that are nobody's any more. @param probe  those of probes, else of the agent */
static void take_back(const struct fl_checker *checker, const struct fl_health_key *key, bool probe)
{
	if (probe) {
		fl_health_set_probe(checker->health, key, FL_SIGN_NONE, NULL);
		fl_health_set_flapping(checker->health, key, false);
	} else {
		fl_health_set_agent(checker->health, key, FL_SIGN_NONE,
			(struct fl_agent_weight)FL_AGENT_WEIGHT, NULL);
	}
}

static struct check *new_check(struct fl_checker *checker, struct group *group, size_t at)
{
	struct check *c = calloc(1, sizeof(*c));
	struct fl_health_key key;

	if (!c)
		return NULL;
	c->checker = checker;
	c->addr = group->service->endpoints[at].addr;
	c->port = group->service->endpoints[at].port;
	aim(c, group, at);
	key = key_of(c);
	c->streak = remembered(c);
	c->agent = remembered_agent(c);
	take_back(c->checker, &key, is_agent(c));
	uv_timer_init(checker->loop, &c->timer);
	c->timer.data = c;
	checker->stats.checks++;
	set_sign(c, "not probed yet");
	plan_first(c);
	return c;
}

static void on_check_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* It does not run and waits for nothing any more. */
static void halt(struct check *c)
{
	if (c->waiting)
		leave_line(c);
	if (c->running) {
		stop_run(c);
		c->checker->stats.running--;
		c->running = false;
	}
	uv_timer_stop(&c->timer);
}

static void drop_check(struct check *c)
{
	halt(c);
	c->checker->stats.checks--;
	uv_close((uv_handle_t *)&c->timer, on_check_closed);
}

/* Nobody probes it any more. */
static void forget_check(struct check *c)
{
	struct fl_health_key key = key_of(c);

	take_back(c->checker, &key, true);
	take_back(c->checker, &key, false);
	drop_check(c);
}

/* ----------------------------------------------------------------------- one service */

static void free_group(struct fl_checker *checker, struct group *group)
{
	HASH_DELETE(hh, checker->groups, group);
	fl_service_unref(group->service);
	free(group->checks);
	free(group);
}

/* Nobody probes its endpoints any more. */
static void drop_group(struct fl_checker *checker, struct group *group)
{
	for (size_t i = 0; i < group->count; i++)
		forget_check(group->checks[i]);
	free_group(checker, group);
}

static struct group *have_group(struct fl_checker *checker, struct fl_service *service)
{
	struct group *group;

	HASH_FIND(hh, checker->groups, service->name, strlen(service->name), group);
	if (group)
		return group;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->service = fl_service_ref(service);
	HASH_ADD_KEYPTR(hh, checker->groups, service->name, strlen(service->name), group);
	if (!group->lost)
		return group;
	fl_service_unref(group->service);
	free(group);
	return NULL;
}

static int compare(const struct check *c, const struct fl_endpoint *endpoint)
{
	int order = fl_ip_compare(&c->addr, &endpoint->addr);

	return order ? order : (c->port > endpoint->port) - (c->port < endpoint->port);
}

/* Another service of the same name takes its place: the table knows it by its own name. */
static void rename_group(
	struct fl_checker *checker, struct group *group, struct fl_service *service)
{
	struct fl_service *old = group->service;

	HASH_DELETE(hh, checker->groups, group);
	group->service = fl_service_ref(service);
	group->lost = false;
	HASH_ADD_KEYPTR(hh, checker->groups, service->name, strlen(service->name), group);
	fl_service_unref(old);
}

/* What it was found to be stays; how it is probed is another matter from now on. */
static void keep_check(struct check *c, struct group *group, size_t at, bool restart)
{
	struct fl_health_key key = key_of(c);

	aim(c, group, at);
	if (!restart)
		return;
	c->streak.length = 0;
	if (!is_agent(c))
		c->agent = (struct fl_agent_state)FL_AGENT_STATE;
	take_back(c->checker, &key, is_agent(c));
	set_sign(c, "not probed since its check changed");
	plan_first(c);
}

/* Both lists are sorted alike. @param checks  has room for all of the service */
static int pair_checks(struct fl_checker *checker, struct group *group, struct fl_service *service,
	bool restart, struct check **checks)
{
	struct check **old = group->checks;
	size_t olds = group->count, i = 0, j = 0;
	int r = 0;

	/* Runs look at the service that they were begun for: those that go, go first. */
	for (i = 0; restart && i < olds; i++)
		halt(old[i]);
	rename_group(checker, group, service);
	for (i = 0; i < olds || j < service->endpoint_count;) {
		int order = i == olds ? 1
			    : j == service->endpoint_count
				    ? -1
				    : compare(old[i], &service->endpoints[j]);

		if (order < 0) {
			forget_check(old[i++]);
			continue;
		}
		checks[j] = order == 0 ? old[i++] : new_check(checker, group, j);
		if (order == 0)
			keep_check(checks[j], group, j, restart);
		else if (!checks[j])
			r = -ENOMEM;
		j++;
	}
	return r;
}

/* Leave out those for which there was no memory. */
static void adopt_checks(struct group *group, struct check **checks, size_t count)
{
	free(group->checks);
	group->checks = checks;
	group->count = 0;
	for (size_t i = 0; i < count; i++)
		if (checks[i])
			checks[group->count++] = checks[i];
}

static int probe_service(struct fl_checker *checker, struct fl_service *service)
{
	struct check **checks = calloc(service->endpoint_count + 1, sizeof(struct check *));
	struct group *group = checks ? have_group(checker, service) : NULL;
	bool restart;
	int r;

	if (!group) {
		free(checks);
		return -ENOMEM;
	}
	restart = !fl_check_equal(&group->service->check, &service->check);
	r = pair_checks(checker, group, service, restart, checks);
	adopt_checks(group, checks, service->endpoint_count);
	return r;
}

/* What an earlier agent found, when this service had a check. */
static void forget_found(const struct fl_checker *checker, const struct fl_service *service)
{
	for (size_t i = 0; i < service->endpoint_count; i++) {
		struct fl_health_key key = { service->name, service->endpoints[i].addr,
			service->endpoints[i].port };

		take_back(checker, &key, true);
		take_back(checker, &key, false);
	}
}

/* @param service  NULL = it is gone @param before  NULL = it is new */
static void ignore_service(struct fl_checker *checker, const struct fl_service *service,
	const struct fl_service *before)
{
	const char *name = service ? service->name : before->name;
	struct group *group;

	HASH_FIND(hh, checker->groups, name, strlen(name), group);
	if (group)
		drop_group(checker, group);
	else if (!before && fl_health_count(checker->health))
		forget_found(checker, service);
}

int fl_checker_configure(struct fl_checker *checker, struct fl_snapshot *declared)
{
	struct fl_snapshot_change change = { 0 };
	int r = 0;

	if (!checker || declared == checker->declared)
		return 0;
	while (r == 0 && fl_snapshot_next_change(checker->declared, declared, &change)) {
		if (change.new && fl_service_is_probed(change.new))
			r = probe_service(checker, change.new);
		else
			ignore_service(checker, change.new, change.old);
	}
	if (r < 0)
		return r; /* what was done is done again without effect */
	fl_snapshot_ref(declared);
	fl_snapshot_unref(checker->declared);
	checker->declared = declared;
	return 0;
}

/* -------------------------------------------------------------------- start and stop */

int fl_checker_start(uv_loop_t *loop, struct fl_health *health, struct fl_checker **ret)
{
	struct fl_checker *checker = calloc(1, sizeof(*checker));

	if (!checker)
		return -ENOMEM;
	checker->loop = loop;
	checker->health = health;
	checker->limit = RUNNING_DEFAULT;
	*ret = checker;
	return 0;
}

void fl_checker_stop(struct fl_checker *checker)
{
	struct group *group, *next;

	if (!checker)
		return;
	HASH_ITER(hh, checker->groups, group, next) {
		for (size_t i = 0; i < group->count; i++)
			drop_check(group->checks[i]);
		free_group(checker, group);
	}
	for (int i = 0; i < FL_PROBES; i++)
		if (checker->probers[i])
			checker->openers[i]->close(checker->probers[i]);
	fl_snapshot_unref(checker->declared);
	free(checker);
}

void fl_checker_limit(struct fl_checker *checker, uint32_t running)
{
	checker->limit = running;
	start_waiting(checker);
}

void fl_checker_use_road(struct fl_checker *checker, fl_probe_road *road, void *context)
{
	checker->road = road;
	checker->road_context = context;
}

const struct fl_checker_stats *fl_checker_stats(const struct fl_checker *checker)
{
	return &checker->stats;
}
