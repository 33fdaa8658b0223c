/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Another configuration while running: by SIGHUP, or because the file was
 * written or replaced. What is wrong with it is said, and nothing changes.
 */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "agent/notify.h"
#include "agent/state.h"
#include "core/cleanup.h"
#include "core/log.h"

#define DEBOUNCE_MS 100

static void log_problems(const struct fl_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		char line[1024];

		fl_log(problems->items[i].warning ? FL_LOG_WARNING : FL_LOG_ERROR, "config",
			"problem",
			FL_STR("at", fl_problem_format(&problems->items[i], line, sizeof(line))));
	}
}

/* What is near changes with the place: every pool is looked at again. */
static void move(struct fl_agent *agent, const struct fl_config *config)
{
	const struct fl_place_of_node here = { config->node_name, config->node_zone };
	int r = agent->pools ? fl_pools_move(agent->pools, &here) : 0;

	if (r < 0)
		fl_log(FL_LOG_WARNING, "config", "node.zone could not be put in force");
	if (r > 0) /* also of a plan that is not made yet */
		agent->incomplete = agent->applying.from_nothing = true;
}

/* Takes the configuration over on success. */
static int put_in_force(struct fl_agent *agent, struct fl_config *config)
{
	int r = fl_registry_set_configure(&agent->registries, config);

	if (r < 0)
		return r;
	if (agent->links)
		fl_links_configure(agent->links, config);
	if (agent->routes)
		fl_routes_configure(agent->routes, config);
	if (agent->target && fl_target_configure(agent->target, config) < 0)
		fl_log(FL_LOG_WARNING, "config", "target.from could not be put in force");
	fl_dns_server_configure(agent->dns, config);
	fl_checker_limit(agent->checker, config->check_concurrency);
	move(agent, config);
	fl_log_setup(config->log_level, config->log_format);
	fl_config_free(agent->config);
	agent->config = config;
	return 0;
}

void fl_agent_reload(struct fl_agent *agent)
{
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;
	const char *key = NULL;
	int r;

	fl_notify("RELOADING=1");
	r = fl_config_load(agent->config->file, &problems, &config);
	log_problems(&problems);
	if (r >= 0)
		key = fl_config_needs_restart(agent->config, config);
	if (r < 0) {
		fl_log(FL_LOG_ERROR, "config", "not reloaded, keeping the previous configuration",
			FL_UINT("errors", problems.errors));
	} else if (key) {
		fl_log(FL_LOG_ERROR, "config", "not reloaded: an option needs a restart",
			FL_STR("key", key));
	} else if (put_in_force(agent, config) < 0) {
		fl_log(FL_LOG_ERROR, "config", "not reloaded: out of memory");
	} else {
		config = NULL;
		fl_log(FL_LOG_INFO, "config", "reloaded", FL_STR("file", agent->config->file));
		fl_agent_schedule(agent);
	}
	fl_config_free(config);
	fl_problems_done(&problems);
	fl_notify("READY=1");
}

static void on_settled(uv_timer_t *timer)
{
	fl_agent_reload(timer->data);
}

/* The directory is watched, since editors and configuration tools replace files. */
static void on_config_event(uv_fs_event_t *watch, const char *name, int events, int status)
{
	struct fl_agent *agent = watch->data;
	_cleanup_free_ char *file = strdup(agent->config->file);

	(void)events;
	if (status < 0 || !file || !name || strcmp(basename(file), name) != 0)
		return;
	uv_timer_start(&agent->config_timer, on_settled, DEBOUNCE_MS, 0);
}

void fl_agent_watch_config(struct fl_agent *agent)
{
	_cleanup_free_ char *file = strdup(agent->config->file);
	int r;

	if (!file)
		return;
	agent->config_watch.data = agent;
	agent->config_timer.data = agent;
	r = uv_fs_event_start(&agent->config_watch, on_config_event, dirname(file), 0);
	if (r < 0)
		fl_log(FL_LOG_WARNING, "config", "cannot watch the file; SIGHUP still reloads it",
			FL_STR("err", uv_strerror(r)));
}
