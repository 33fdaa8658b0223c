/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Starting, running and leaving.
 *
 * Order of a start: lock → maps and programs → what the maps hold is adopted →
 * routes and links → API → privileges go → registries. Nothing is torn down on
 * the way out: pins keep forwarding, and the next agent adopts them.
 */
#include "agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/ejections.h"
#include "agent/local.h"
#include "agent/notify.h"
#include "agent/passive.h"
#include "agent/privileges.h"
#include "agent/roads.h"
#include "agent/stale.h"
#include "agent/state.h"
#include "agent/words.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "kernel/bpffs.h"
#include "kernel/migration.h"
#include "kernel/nat.h"
#include "kernel/node_agent.h"

#define TICK_MS 1000
/* After a start, until the programs of the agent before have certainly come to their end. */
#define MIGRATION_MS 3000

static void say_failure(const char *message, const struct fl_failure *failure)
{
	if (failure->hint[0])
		fl_log(FL_LOG_ERROR, "agent", message, FL_STR("err", failure->message),
			FL_STR("hint", failure->hint));
	else
		fl_log(FL_LOG_ERROR, "agent", message, FL_STR("err", failure->message));
}

static void on_stop(uv_signal_t *signal, int number)
{
	struct fl_agent *agent = signal->data;

	fl_log(FL_LOG_INFO, "agent", "stopping, forwarding goes on",
		FL_STR("signal", strsignal(number)));
	fl_notify("STOPPING=1");
	uv_stop(&agent->loop);
}

static void on_hangup(uv_signal_t *signal, int number)
{
	struct fl_agent *agent = signal->data;

	(void)number;
	fl_agent_reload(agent);
	fl_registry_set_refresh(&agent->registries);
}

/* By now all interfaces have the new programs, and no packet is in an old one. */
static void end_migration(struct fl_agent *agent)
{
	struct fl_kernel *kernel = agent->kernel;
	int r;

	if (!kernel->migration || fl_clock_real_ms() - agent->started_ms < MIGRATION_MS)
		return;
	r = fl_migration_end(TAKE_PTR(kernel->migration), &kernel->maps);
	if (r < 0)
		fl_log(FL_LOG_WARNING, "agent",
			"cannot carry everything over from the maps of other limits", FL_ERR(r));
}

static void on_tick(uv_timer_t *timer)
{
	struct fl_agent *agent = timer->data;
	struct fl_failure failure = { 0 };
	int next_ms = fl_nat_tick(&agent->kernel->maps, fl_clock_boot_s(), &failure), r;

	end_migration(agent);
	fl_agent_close_stale(agent);
	if (!agent->applying.snapshot)
		fl_passive_tick(agent->passive, agent, fl_clock_boot_s());
	if (next_ms < 0)
		say_failure("the nat table cannot grow", &failure);
	fl_agent_heed_deadlines(agent);
	if (fl_ramps_next_ms(agent->ramps) && fl_clock_real_ms() >= fl_ramps_next_ms(agent->ramps))
		fl_agent_schedule(agent);
	if (fl_health_is_stale(agent->health))
		fl_agent_schedule(agent);
	/* Tables that wait would be built for the snapshot that is being replaced. */
	r = agent->applying.snapshot ? 0 : fl_writer_tick(agent->writer, fl_clock_boot_s());
	if (r < 0)
		fl_log(FL_LOG_WARNING, "agent", "cannot walk the pins, trying again", FL_ERR(r));
	/* Sooner while the nat table fills: a burst must not find it full. */
	uv_timer_start(timer, on_tick, next_ms > 0 ? (uint64_t)next_ms : TICK_MS, 0);
}

static void start_handles(struct fl_agent *agent)
{
	uv_loop_t *loop = &agent->loop;

	uv_signal_init(loop, &agent->term);
	uv_signal_init(loop, &agent->interrupt);
	uv_signal_init(loop, &agent->hangup);
	uv_timer_init(loop, &agent->tick);
	uv_timer_init(loop, &agent->config_timer);
	uv_fs_event_init(loop, &agent->config_watch);
	fl_watchdog_start(&agent->watchdog, loop, fl_agent_apply_progress, agent);
	agent->term.data = agent->interrupt.data = agent->hangup.data = agent->tick.data = agent;
	uv_signal_start(&agent->term, on_stop, SIGTERM);
	uv_signal_start(&agent->interrupt, on_stop, SIGINT);
	uv_signal_start(&agent->hangup, on_hangup, SIGHUP);
}

/* The lock comes before anything that is pinned is touched. */
static enum fl_exit lock(struct fl_agent *agent)
{
	const struct fl_config *config = agent->config;
	struct fl_failure failure = { 0 };
	int r = fl_bpffs_prepare(config->bpffs, &failure);

	if (r < 0) {
		say_failure("cannot use the bpffs directory", &failure);
		return FL_EXIT_KERNEL;
	}
	r = fl_lock_take(&agent->lock, config->state_dir, config->bpffs, &failure);
	if (r < 0) {
		say_failure("not started", &failure);
		return r == -EWOULDBLOCK ? FL_EXIT_LOCKED : FL_EXIT_KERNEL;
	}
	return FL_EXIT_OK;
}

/* Maps, programs and what they hold. */
static int open_kernel(struct fl_agent *agent, struct fl_failure *failure)
{
	int r = fl_kernel_open(agent->config, failure, &agent->kernel);

	if (r < 0)
		return r;
	agent->generation = agent->kernel->maps.meta->generation;
	agent->passive = fl_passive_new(agent->kernel->maps.limits.endpoints);
	if (!agent->passive)
		return fl_fail(failure, -ENOMEM, "out of memory");
	return fl_writer_new(&agent->kernel->maps, failure, &agent->writer);
}

/* What it calls itself is not balanced. */
static void introduce(struct fl_agent *agent)
{
	struct fl_failure failure = { 0 };

	if (fl_node_agent_enter(agent->node_path.maps.node, &failure) < 0)
		fl_log(FL_LOG_WARNING, "node", "the agent's own connections are balanced as well",
			FL_STR("err", failure.message));
}

/* Pools are written by the first plan, which takes nothing for granted. */
static int start_node_path(struct fl_agent *agent, struct fl_failure *failure)
{
	const struct fl_place_of_node here = { agent->config->node_name, agent->config->node_zone };

	fl_node_path_start(agent->kernel, agent->config, &agent->node_path);
	if (!agent->node_path.enabled)
		return 0;
	introduce(agent);
	if (fl_pools_new(&agent->node_path.maps, &here, &agent->pools) < 0)
		return fl_fail(failure, -ENOMEM, "out of memory");
	fl_writer_use_pools(agent->writer, agent->pools);
	if (fl_agent_start_ejections(agent, failure) < 0)
		return -EIO;
	return fl_agent_start_stale(agent, failure);
}

static int start_paths(struct fl_agent *agent, struct fl_failure *failure)
{
	const struct fl_config *config = agent->config;
	int r = start_node_path(agent, failure);

	if (r < 0)
		return r;
	if (config->interface_count == 0 && config->target_interface_count == 0) {
		if (agent->node_path.enabled)
			return 0;
		fl_log(FL_LOG_WARNING, "agent",
			"no interface is configured: nothing will be balanced");
		return 0;
	}
	r = fl_routes_start(agent->kernel, config, &agent->loop, failure, &agent->routes);
	if (r < 0)
		return r;
	r = fl_target_start(agent->kernel, config, &agent->loop, failure, &agent->target);
	if (r < 0)
		return r;
	return fl_links_start(agent->kernel, config, &agent->loop, failure, &agent->links);
}

/* Pins that the programs of before made until just now: flows depend on them. */
static int follow_migration(struct fl_agent *agent, struct fl_failure *failure)
{
	int r = fl_migration_follow(agent->kernel->migration, &agent->kernel->maps);

	return r < 0 ? fl_fail(failure, r, "cannot carry pins over: %s", fl_log_errno(r)) : 0;
}

static struct fl_snapshot *applied(void *context)
{
	const struct fl_agent *agent = context;

	return agent->applied;
}

/* What listens: before privileges go, since its port may need one. */
static int start_servers(struct fl_agent *agent, struct fl_failure *failure)
{
	const struct fl_server_hooks hooks = { .view = fl_agent_view,
		.context = agent,
		.actions = { .accept_registry = fl_agent_accept,
			.heartbeat = fl_agent_heartbeat,
			.word = fl_agent_word,
			.local = fl_agent_local,
			.context = agent } };
	const struct fl_dns_hooks dns_hooks = { .applied = applied, .context = agent };
	int r = fl_server_start(agent->config, &agent->loop, &hooks, failure, &agent->server);

	if (r < 0)
		return r;
	r = fl_dns_server_start(agent->config, &agent->loop, &dns_hooks, &agent->dns);
	return r < 0 ? fl_fail(failure, r, "cannot answer names of services: %s", fl_log_errno(r))
		     : 0;
}

static enum fl_exit start(struct fl_agent *agent)
{
	struct fl_failure failure = { 0 };
	int r = open_kernel(agent, &failure);

	if (r >= 0)
		r = start_paths(agent, &failure);
	if (r >= 0 && agent->kernel->migration)
		r = follow_migration(agent, &failure);
	if (r >= 0 && fl_sweeper_start(agent->kernel, &agent->loop, &agent->sweeper) < 0)
		r = fl_fail(&failure, -ENOMEM, "out of memory");
	if (r < 0) {
		say_failure("not started", &failure);
		return FL_EXIT_KERNEL;
	}
	if (start_servers(agent, &failure) < 0) {
		say_failure("cannot serve the API", &failure);
		return FL_EXIT_KERNEL;
	}
	/* A thread has the privileges of the one that started it, and registries start
	 * the loop's workers. */
	r = fl_privileges_drop();
	if (r < 0)
		fl_log(FL_LOG_WARNING, "agent", "cannot give up privileges, running with all",
			FL_ERR(r));
	fl_agent_load_words(agent);
	if (fl_health_keeper_start(&agent->loop, agent->health, agent->config->state_dir,
		    &agent->health_keeper) < 0 ||
		fl_heartbeats_start(&agent->loop, agent->health, &agent->heartbeats) < 0 ||
		fl_checker_start(&agent->loop, agent->health, &agent->checker) < 0 ||
		fl_registry_set_start(&agent->registries, &agent->loop, agent->config,
			fl_agent_published, agent) < 0) {
		fl_log(FL_LOG_ERROR, "agent", "not started: out of memory");
		return FL_EXIT_KERNEL;
	}
	fl_checker_limit(agent->checker, agent->config->check_concurrency);
	fl_checker_use_road(agent->checker, fl_agent_road, agent);
	fl_agent_watch_config(agent);
	uv_timer_start(&agent->tick, on_tick, TICK_MS, 0);
	fl_agent_schedule(agent);
	return FL_EXIT_OK;
}

/* Only our own: what a module stops may close more of its handles on its way out. */
static void close_handles(struct fl_agent *agent)
{
	uv_close((uv_handle_t *)&agent->term, NULL);
	uv_close((uv_handle_t *)&agent->interrupt, NULL);
	uv_close((uv_handle_t *)&agent->hangup, NULL);
	uv_close((uv_handle_t *)&agent->tick, NULL);
	uv_close((uv_handle_t *)&agent->watchdog.timer, NULL);
	uv_close((uv_handle_t *)&agent->apply_timer, NULL);
	uv_close((uv_handle_t *)&agent->config_timer, NULL);
	uv_close((uv_handle_t *)&agent->config_watch, NULL);
}

static void stop(struct fl_agent *agent)
{
	if (agent->server)
		fl_server_stop(agent->server);
	fl_dns_server_stop(agent->dns);
	fl_registry_set_stop(&agent->registries);
	fl_checker_stop(agent->checker);
	fl_agent_leave_roads(agent);
	fl_heartbeats_stop(agent->heartbeats);
	fl_health_keeper_stop(agent->health_keeper);
	if (agent->links)
		fl_links_stop(agent->links);
	if (agent->routes)
		fl_routes_stop(agent->routes);
	fl_target_stop(agent->target);
	fl_sweeper_stop(agent->sweeper);
	fl_agent_stop_stale(agent);
	fl_agent_stop_ejections(agent);
	close_handles(agent);
	uv_run(&agent->loop, UV_RUN_DEFAULT);
	uv_loop_close(&agent->loop);
}

static void release(struct fl_agent *agent)
{
	fl_agent_apply_done(agent);
	fl_writer_free(agent->writer);
	fl_passive_free(agent->passive);
	fl_pools_free(agent->pools);
	fl_stale_free(agent->stale);
	if (agent->node_path.maps.node)
		fl_node_agent_leave(agent->node_path.maps.node);
	fl_node_path_stop(&agent->node_path);
	fl_kernel_close(agent->kernel);
	fl_lock_release(&agent->lock);
	fl_config_free(agent->config);
}

/* Probes need one each while they run. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

enum fl_exit fl_agent_run(struct fl_config *config)
{
	struct fl_agent agent = { .config = config,
		.lock = FL_LOCK_NONE,
		.node_path.maps = FL_NODE_MAPS_NONE,
		.node_path.walk = FL_SOCK_WALK_NONE,
		.started_ms = fl_clock_real_ms() };
	enum fl_exit code;

	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	fl_log_setup(config->log_level, config->log_format);
	if (uv_loop_init(&agent.loop) < 0) {
		fl_config_free(config);
		return FL_EXIT_KERNEL;
	}
	start_handles(&agent);
	fl_log(FL_LOG_INFO, "agent", "starting", FL_STR("version", FL_VERSION),
		FL_STR("config", config->file), FL_STR("node", config->node_name));
	code = fl_agent_apply_init(&agent) < 0 ? FL_EXIT_KERNEL : lock(&agent);
	if (code == FL_EXIT_OK)
		code = start(&agent);
	if (code == FL_EXIT_OK)
		uv_run(&agent.loop, UV_RUN_DEFAULT);
	stop(&agent);
	release(&agent);
	return code;
}
