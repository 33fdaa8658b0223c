/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "inside.h"

#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "core/clock.h"
#include "kernel/bpffs.h"

static struct bench_time longest_turn;

static struct bench_time now(void)
{
	return (struct bench_time){ (double)fl_clock_mono_ns(), bench_thread_ns() };
}

static struct bench_time since(const struct bench_time *begin)
{
	struct bench_time end = now();

	return (struct bench_time){ end.ns - begin->ns, end.cpu_ns - begin->cpu_ns };
}

/** One turn of the loop, which may wait. */
static void turn(struct fl_agent *agent, uv_run_mode mode)
{
	struct bench_time begin = now(), took;

	uv_run(&agent->loop, mode);
	took = since(&begin);
	if (mode == UV_RUN_NOWAIT && took.ns > longest_turn.ns)
		longest_turn.ns = took.ns;
	if (took.cpu_ns > longest_turn.cpu_ns)
		longest_turn.cpu_ns = took.cpu_ns;
}

struct bench_time bench_inside_longest_turn(void)
{
	struct bench_time longest = longest_turn;

	longest_turn = (struct bench_time){ 0 };
	return longest;
}

void bench_inside_wait(struct fl_agent *agent)
{
	turn(agent, UV_RUN_ONCE);
}

static void load_config(struct fl_agent *agent, const char *config)
{
	struct fl_problems problems = { 0 };
	char line[1024];

	if (fl_config_load(config, &problems, &agent->config) < 0)
		errx(1, "%s", fl_problem_format(&problems.items[0], line, sizeof(line)));
	fl_problems_done(&problems);
	fl_log_setup(agent->config->log_level, agent->config->log_format);
}

void bench_inside_start(struct fl_agent *agent, const char *config)
{
	struct fl_failure failure = { 0 };

	*agent = (struct fl_agent){ .lock = FL_LOCK_NONE };
	load_config(agent, config);
	if (uv_loop_init(&agent->loop) < 0)
		errx(1, "no loop");
	if (fl_agent_apply_init(agent) < 0 ||
		fl_bpffs_prepare(agent->config->bpffs, &failure) < 0 ||
		fl_kernel_open(agent->config, &failure, &agent->kernel) < 0 ||
		fl_writer_new(&agent->kernel->maps, &failure, &agent->writer) < 0 ||
		fl_routes_start(
			agent->kernel, agent->config, &agent->loop, &failure, &agent->routes) < 0)
		errx(1, "%s", failure.message);
	if (fl_registry_set_start(
		    &agent->registries, &agent->loop, agent->config, fl_agent_published, agent) < 0)
		errx(1, "the registry does not start");
	/* Its directory is empty, and it says so once. */
	while (!agent->applied)
		turn(agent, UV_RUN_ONCE);
}

struct bench_time bench_inside_publish(struct fl_agent *agent, fl_service_vec *services)
{
	struct fl_problems problems = { 0 };
	uint64_t generation = agent->generation;
	struct bench_time begin = now();

	fl_registry_publish(agent->registries.registries[0], services, &problems);
	while (agent->generation == generation)
		turn(agent, UV_RUN_NOWAIT);
	if (agent->incomplete)
		errx(1, "not applied: %s", agent->stats.last_error);
	return since(&begin);
}

static bool has_next_hops(const struct fl_agent *agent)
{
	const struct fl_snapshot *snapshot = agent->applied;

	for (size_t i = 0; i < snapshot->service_count; i++)
		for (size_t j = 0; j < snapshot->services[i]->endpoint_count; j++) {
			uint32_t id = snapshot->services[i]->endpoints[j].id;

			if (!agent->kernel->maps.endpoints[id].nexthop)
				return false;
		}
	return true;
}

struct bench_time bench_inside_await_routes(struct fl_agent *agent)
{
	struct bench_time begin = now();

	while (!has_next_hops(agent)) {
		if (since(&begin).ns > 60e9)
			errx(1, "endpoints have no next hop");
		turn(agent, UV_RUN_NOWAIT);
	}
	return since(&begin);
}

static uint64_t memlock_of(int fd)
{
	char path[64], line[128];
	unsigned long bytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %lu", &bytes) == 1)
			break;
	if (file)
		fclose(file);
	return bytes;
}

uint64_t bench_inside_map_bytes(const struct fl_agent *agent)
{
	const struct fl_maps *maps = &agent->kernel->maps;
	uint64_t bytes = 0;

	for (int map = 0; map < FL_MAP_COUNT; map++)
		if (maps->fd[map] >= 0)
			bytes += memlock_of(maps->fd[map]);
	for (int i = 0; i < FL_NAT_GENERATIONS; i++)
		if (maps->nat_fd[i] >= 0)
			bytes += memlock_of(maps->nat_fd[i]);
	return bytes;
}

double bench_inside_mapped_mib(const struct fl_agent *agent)
{
	size_t bytes = 0;

	for (int map = 0; map < FL_MAP_COUNT; map++)
		bytes += agent->kernel->maps.reached[map];
	return (double)bytes / (1 << 20);
}

double bench_inside_resident_mib(void)
{
	unsigned long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%lu %lu", &pages, &resident) != 2)
		errx(1, "/proc/self/statm");
	fclose(file);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

void bench_inside_stop(struct fl_agent *agent)
{
	fl_registry_set_stop(&agent->registries);
	fl_routes_stop(agent->routes);
	uv_close((uv_handle_t *)&agent->apply_timer, NULL);
	uv_run(&agent->loop, UV_RUN_DEFAULT);
	uv_loop_close(&agent->loop);
	fl_agent_apply_done(agent);
	fl_writer_free(agent->writer);
	fl_kernel_close(agent->kernel);
	fl_config_free(agent->config);
}
