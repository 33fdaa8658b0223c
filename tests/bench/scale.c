/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "core/clock.h"
#include "inside.h"

/*
 * The way of one change from a registry into the kernel, at a size that few have: ten
 * thousand services with a hundred thousand endpoints. A list is published in which
 * all services but one are the objects that were there before.
 */

#define SERVICES    10000
#define ENDPOINTS   10   /* of each */
#define SLOTS       1021 /* of the table for so many */
#define CHANGES     300
#define CONFIG_PATH "/run/bench-scale.yaml"

static void write_config(void)
{
	FILE *file = fopen(CONFIG_PATH, "w");

	if (!file)
		err(1, CONFIG_PATH);
	fprintf(file,
		"log: { level: warning }\n"
		"state_dir: /run/bench-scale\n"
		"bpffs: /sys/fs/bpf/bench-scale\n"
		"control: { socket: /run/bench-scale.sock }\n"
		"http: { listen: off }\n"
		"limits: { services: %u, endpoints: %u, slots: %u }\n"
		"edge: { interfaces: [v0] }\n"
		"registries: [ { file: { path: /run/bench-scale.d } } ]\n",
		SERVICES + 100, SERVICES * (ENDPOINTS + 1), SERVICES * 1200);
	fclose(file);
}

static struct fl_ip ipv4(uint32_t address)
{
	uint32_t network = htonl(address);

	return fl_ip_from_bytes(FL_IPV4, &network);
}

/** Service number `i`. @param replaced  how many of its endpoints have another address */
static struct fl_service *make_service(uint32_t i, uint32_t replaced, uint16_t weight)
{
	struct fl_problems problems = { 0 };
	char name[32];
	struct fl_service *service;
	struct fl_frontend *frontend;

	snprintf(name, sizeof(name), "service-%05u", i);
	service = fl_service_new(name);
	frontend = service ? fl_service_add_frontend(service) : NULL;
	if (!frontend)
		errx(1, "out of memory");
	service->forward = FL_IPIP;
	*frontend = (struct fl_frontend){
		.addr = ipv4(0x0ac80000 + i), .port = 80, .proto = IPPROTO_TCP
	};
	for (uint32_t j = 0; j < ENDPOINTS; j++) {
		struct fl_endpoint *endpoint = fl_service_add_endpoint(service);
		uint32_t other = j < replaced ? 0x00800000 : 0;

		if (!endpoint)
			errx(1, "out of memory");
		endpoint->addr = ipv4((0x0a400000 | other) + i * ENDPOINTS + j);
		endpoint->weight = j == 0 ? weight : 1;
	}
	if (!fl_service_finish(service, &problems))
		errx(1, "%s", problems.items[0].message);
	fl_problems_done(&problems);
	return service;
}

static fl_service_vec make_list(struct fl_service *const *services)
{
	fl_service_vec list = { 0 };

	for (uint32_t i = 0; i < SERVICES; i++) {
		struct fl_service **next = fl_vec_push(&list);

		if (!next)
			errx(1, "out of memory");
		*next = fl_service_ref(services[i]);
	}
	return list;
}

/** One endpoint of a service is another from now on, or has another weight. */
static struct bench_time change(
	struct fl_agent *agent, struct fl_service **services, uint32_t number)
{
	uint32_t i = number * 7919 % SERVICES;
	fl_service_vec list;

	fl_service_unref(services[i]);
	services[i] =
		number % 2 ? make_service(i, 0, (uint16_t)(2 + number % 5)) : make_service(i, 1, 1);
	list = make_list(services);
	return bench_inside_publish(agent, &list);
}

/** What came out. */
struct figures {
	struct bench_time first, first_turn;   /**< first apply, longest turn of the loop in it */
	struct bench_time routes, routes_turn; /**< from there until all next hops are known */
	struct bench_time p50, p99, longest;   /**< single changes */
	struct bench_time look, sweep;         /**< each second, and every ten, while slots move */
	double map_mib, agent_mib;
};

/** What the writer does each second, so many seconds from now. */
static struct bench_time look(struct fl_agent *agent, uint32_t seconds)
{
	double begin = (double)fl_clock_mono_ns(), begin_cpu = bench_thread_ns();

	if (fl_writer_tick(agent->writer, fl_clock_boot_s() + seconds) < 0)
		errx(1, "the writer cannot look");
	return (struct bench_time){ (double)fl_clock_mono_ns() - begin,
		bench_thread_ns() - begin_cpu };
}

static void measure_changes(
	struct fl_agent *agent, struct fl_service **services, struct figures *ret)
{
	static double ns[CHANGES], cpu_ns[CHANGES];

	for (uint32_t i = 0; i < CHANGES; i++) {
		struct bench_time took = change(agent, services, i);

		ns[i] = took.ns;
		cpu_ns[i] = took.cpu_ns;
	}
	ret->p50 = (struct bench_time){ bench_quantile(ns, CHANGES, 0.5),
		bench_quantile(cpu_ns, CHANGES, 0.5) };
	ret->p99 = (struct bench_time){ bench_quantile(ns, CHANGES, 0.99),
		bench_quantile(cpu_ns, CHANGES, 0.99) };
	ret->longest = (struct bench_time){ bench_quantile(ns, CHANGES, 1),
		bench_quantile(cpu_ns, CHANGES, 1) };
}

static void measure(struct fl_agent *agent, struct fl_service **services, struct figures *ret)
{
	fl_service_vec list = make_list(services);

	ret->first = bench_inside_publish(agent, &list);
	ret->first_turn = bench_inside_longest_turn();
	ret->routes = bench_inside_await_routes(agent);
	ret->routes_turn = bench_inside_longest_turn();
	measure_changes(agent, services, ret);
	ret->look = look(agent, 1);
	ret->sweep = look(agent, 15);
	ret->map_mib = (double)bench_inside_map_bytes(agent) / (1 << 20);
}

static json_t *report_time(const char *what, const char *key, struct bench_time time)
{
	printf("  %-44s %10.2f %10.2f\n", what, time.ns / 1e6, time.cpu_ns / 1e6);
	return json_pack(
		"{s:s, s:f, s:f}", "what", key, "ms", time.ns / 1e6, "cpu_ms", time.cpu_ns / 1e6);
}

static json_t *report(const struct figures *f)
{
	json_t *rows = json_array();

	printf("\n%d services with %d endpoints each (ipip, %d slots a table), published by a "
	       "registry as objects.\nMilliseconds by the clock, and of processor time:\n\n",
		SERVICES, ENDPOINTS, SLOTS);
	json_array_append_new(rows, report_time("first apply", "first", f->first));
	json_array_append_new(
		rows, report_time("  longest turn of the loop", "first_turn", f->first_turn));
	json_array_append_new(
		rows, report_time("from there until all next hops are known", "routes", f->routes));
	json_array_append_new(
		rows, report_time("  longest turn of the loop", "routes_turn", f->routes_turn));
	json_array_append_new(rows, report_time("one endpoint changes, p50", "p50", f->p50));
	json_array_append_new(rows, report_time("  p99", "p99", f->p99));
	json_array_append_new(rows, report_time("  longest", "longest", f->longest));
	json_array_append_new(rows, report_time("each second, while slots move", "look", f->look));
	json_array_append_new(
		rows, report_time("  and every ten, with a sweep", "sweep", f->sweep));
	printf("\nMemory: %.0f MiB of maps, %.0f MiB of the agent beside them.\n", f->map_mib,
		f->agent_mib);
	return json_pack("{s:i, s:i, s:i, s:o, s:f, s:f}", "services", SERVICES, "endpoints",
		SERVICES * ENDPOINTS, "changes", CHANGES, "times", rows, "maps_mib", f->map_mib,
		"agent_mib", f->agent_mib);
}

json_t *bench_scale(void)
{
	static struct fl_service *services[SERVICES];
	struct figures figures = { 0 };
	double before = bench_inside_resident_mib();
	struct fl_agent agent;
	double mapped;

	write_config();
	bench_inside_start(&agent, CONFIG_PATH);
	for (uint32_t i = 0; i < SERVICES; i++)
		services[i] = make_service(i, 0, 1);
	bench_inside_longest_turn();
	measure(&agent, services, &figures);
	mapped = bench_inside_mapped_mib(&agent);
	figures.agent_mib = bench_inside_resident_mib() - before - mapped;
	bench_inside_stop(&agent);
	for (uint32_t i = 0; i < SERVICES; i++)
		fl_service_unref(services[i]);
	return report(&figures);
}
