/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
static double change(struct fl_agent *agent, struct fl_service **services, uint32_t number)
{
	uint32_t i = number * 7919 % SERVICES;
	fl_service_vec list;

	fl_service_unref(services[i]);
	services[i] =
		number % 2 ? make_service(i, 0, (uint16_t)(2 + number % 5)) : make_service(i, 1, 1);
	list = make_list(services);
	return bench_inside_publish(agent, &list);
}

/** What came out; nanoseconds, but where it says otherwise. */
struct figures {
	double first, first_turn;   /**< the first apply, and the longest that it held the loop */
	double routes, routes_turn; /**< from there until all next hops are known */
	double p50, p99, longest;   /**< single changes */
	double look, sweep;         /**< each second, and every ten while slots move */
	double map_mib, agent_mib;
};

static double resident_mib(void)
{
	unsigned long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%lu %lu", &pages, &resident) != 2)
		errx(1, "/proc/self/statm");
	fclose(file);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/** What the writer does each second, so many seconds from now. @return nanoseconds */
static double look(struct fl_agent *agent, uint32_t seconds)
{
	uint64_t begin = fl_clock_mono_ns();

	if (fl_writer_tick(agent->writer, fl_clock_boot_s() + seconds) < 0)
		errx(1, "the writer cannot look");
	return (double)(fl_clock_mono_ns() - begin);
}

static void measure(struct fl_agent *agent, struct fl_service **services, struct figures *ret)
{
	static double ns[CHANGES];
	fl_service_vec list = make_list(services);

	ret->first = bench_inside_publish(agent, &list);
	ret->first_turn = bench_inside_longest_turn();
	ret->routes = bench_inside_await_routes(agent);
	ret->routes_turn = bench_inside_longest_turn();
	for (uint32_t i = 0; i < CHANGES; i++)
		ns[i] = change(agent, services, i);
	ret->p50 = bench_quantile(ns, CHANGES, 0.5);
	ret->p99 = bench_quantile(ns, CHANGES, 0.99);
	ret->longest = bench_quantile(ns, CHANGES, 1);
	ret->look = look(agent, 1);
	ret->sweep = look(agent, 15);
	ret->map_mib = (double)bench_inside_map_bytes(agent) / (1 << 20);
}

static json_t *report(const struct figures *f)
{
	printf("\n%d services with %d endpoints each (ipip, %d slots a table), published by a "
	       "registry as objects:\n\n"
	       "  first apply                          %8.0f ms, the loop held for %.0f ms at "
	       "most\n"
	       "  then until all next hops are known   %8.0f ms, the loop held for %.0f ms at "
	       "most\n"
	       "  one endpoint changes, of %d times:   p50 %.2f ms, p99 %.2f ms, longest %.2f ms\n"
	       "  each second, while slots move        %8.1f ms, and a sweep every ten: %.1f ms\n"
	       "  memory                               maps %.0f MiB, agent %.0f MiB beside them\n",
		SERVICES, ENDPOINTS, SLOTS, f->first / 1e6, f->first_turn / 1e6, f->routes / 1e6,
		f->routes_turn / 1e6, CHANGES, f->p50 / 1e6, f->p99 / 1e6, f->longest / 1e6,
		f->look / 1e6, f->sweep / 1e6, f->map_mib, f->agent_mib);
	return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
		"services", SERVICES, "endpoints", SERVICES * ENDPOINTS, "first_apply_ms",
		f->first / 1e6, "first_apply_longest_turn_ms", f->first_turn / 1e6, "routes_ms",
		f->routes / 1e6, "routes_longest_turn_ms", f->routes_turn / 1e6, "changes", CHANGES,
		"p50_ms", f->p50 / 1e6, "p99_ms", f->p99 / 1e6, "longest_ms", f->longest / 1e6,
		"look_ms", f->look / 1e6, "sweep_ms", f->sweep / 1e6, "maps_mib", f->map_mib,
		"agent_mib", f->agent_mib);
}

json_t *bench_scale(void)
{
	static struct fl_service *services[SERVICES];
	struct figures figures = { 0 };
	double before = resident_mib();
	struct fl_agent agent;
	double mapped;

	write_config();
	bench_inside_start(&agent, CONFIG_PATH);
	for (uint32_t i = 0; i < SERVICES; i++)
		services[i] = make_service(i, 0, 1);
	bench_inside_longest_turn();
	measure(&agent, services, &figures);
	mapped = bench_inside_mapped_mib(&agent);
	figures.agent_mib = resident_mib() - before - mapped;
	bench_inside_stop(&agent);
	for (uint32_t i = 0; i < SERVICES; i++)
		fl_service_unref(services[i]);
	return report(&figures);
}
