/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "core/clock.h"
#include "fake_consul.h"
#include "inside.h"

/*
 * The whole way of a change from Consul into the kernel, at a size that few have: answers over
 * HTTP, read, published, merged, planned and written, while all other services are asked
 * for in turns. What is told of a change is the time from when the server has handed its
 * answer to the kernel; how long it took until the server was asked is not in it, see
 * fairlead-consul(7) about turns.
 */

#define SERVICES    10000
#define CHANGES     200
#define CONFIG_PATH "/run/bench-consul.yaml"

static void write_config(uint16_t port)
{
	FILE *file = fopen(CONFIG_PATH, "w");

	if (!file)
		err(1, CONFIG_PATH);
	fprintf(file,
		"log: { level: warning }\n"
		"state_dir: /run/bench-consul\n"
		"bpffs: /sys/fs/bpf/bench-consul\n"
		"control: { socket: /run/bench-consul.sock }\n"
		"http: { listen: off }\n"
		"limits: { services: %u, endpoints: %u, slots: %u }\n"
		"edge: { interfaces: [v0] }\n"
		"registries: [ { consul: { url: \"http://127.0.0.1:%u\" } } ]\n",
		SERVICES + 100, SERVICES * (FAKE_ENDPOINTS + 1), SERVICES * 1200, port);
	fclose(file);
}

struct figures {
	double first_ms, p50_ms, p99_ms, longest_ms;
	double answers_s, busy; /* a second, and the share of one processor, without changes */
	double map_mib, agent_mib;
};

static double since_ms(uint64_t ns)
{
	return (double)(fl_clock_mono_ns() - ns) / 1e6;
}

/* One weight is another from now on. @return from the answer until the kernel has it */
static double change(struct fl_agent *agent, const struct fake_consul *consul, uint32_t number)
{
	struct fake_consul_shared *shared = consul->shared;
	uint64_t generation = agent->generation;

	fake_consul_change(consul, 2 + number);
	while (agent->generation == generation)
		bench_inside_wait(agent);
	if (agent->incomplete)
		errx(1, "not applied: %s", agent->stats.last_error);
	if (__atomic_load_n(&shared->told, __ATOMIC_ACQUIRE) != shared->wanted)
		errx(1, "applied before it was told");
	return since_ms(shared->told_ns);
}

/* What asking in turns costs by itself. */
static void measure_turns(
	struct fl_agent *agent, const struct fake_consul *consul, struct figures *ret)
{
	uint64_t begin = fl_clock_mono_ns(), answers = consul->shared->answers;
	double cpu = bench_thread_ns();

	while (since_ms(begin) < 3000)
		bench_inside_wait(agent);
	ret->answers_s = (double)(consul->shared->answers - answers) / since_ms(begin) * 1e3;
	ret->busy = (bench_thread_ns() - cpu) / 1e6 / since_ms(begin);
}

static void measure(struct fl_agent *agent, const struct fake_consul *consul, struct figures *ret)
{
	static double ms[CHANGES];

	if (agent->applied->service_count != SERVICES)
		errx(1, "%zu services were applied", agent->applied->service_count);
	bench_inside_await_routes(agent);
	measure_turns(agent, consul, ret);
	for (uint32_t i = 0; i < CHANGES; i++)
		ms[i] = change(agent, consul, i);
	ret->p50_ms = bench_quantile(ms, CHANGES, 0.5);
	ret->p99_ms = bench_quantile(ms, CHANGES, 0.99);
	ret->longest_ms = bench_quantile(ms, CHANGES, 1);
	ret->map_mib = (double)bench_inside_map_bytes(agent) / (1 << 20);
}

static json_t *report(const struct figures *f)
{
	printf("\n%d services with %d endpoints each (ipip), read from a Consul over HTTP. "
	       "Milliseconds:\n\n",
		SERVICES, FAKE_ENDPOINTS);
	printf("  %-58s %8.0f\n", "first question to first apply", f->first_ms);
	printf("  %-58s %8.2f\n", "one endpoint changes: answer sent to kernel written, p50",
		f->p50_ms);
	printf("  %-58s %8.2f\n", "  p99", f->p99_ms);
	printf("  %-58s %8.2f\n", "  longest", f->longest_ms);
	printf("\nWithout any change, asking in turns: %.0f answers a second, %.0f %% of a "
	       "processor.\nMemory: %.0f MiB of maps, %.0f MiB of the agent beside them.\n",
		f->answers_s, f->busy * 100, f->map_mib, f->agent_mib);
	return json_pack("{s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "services",
		SERVICES, "endpoints", SERVICES * FAKE_ENDPOINTS, "changes", CHANGES, "first_ms",
		f->first_ms, "p50_ms", f->p50_ms, "p99_ms", f->p99_ms, "longest_ms", f->longest_ms,
		"answers_s", f->answers_s, "busy", f->busy, "maps_mib", f->map_mib, "agent_mib",
		f->agent_mib);
}

json_t *bench_consul(void)
{
	struct fake_consul consul = fake_consul_start(SERVICES);
	double before = bench_inside_resident_mib();
	struct figures figures = { 0 };
	struct fl_agent agent;

	write_config(consul.port);
	bench_shell("mkdir -p /run/bench-consul");
	bench_inside_start(&agent, CONFIG_PATH);
	figures.first_ms = since_ms(consul.shared->first_ns);
	measure(&agent, &consul, &figures);
	figures.agent_mib = bench_inside_resident_mib() - before - bench_inside_mapped_mib(&agent);
	bench_inside_stop(&agent);
	fake_consul_stop(&consul);
	return report(&figures);
}
