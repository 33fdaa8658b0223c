/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "balance/maglev.h"
#include "bench.h"
#include "core/clock.h"
#include "inside.h"
#include "kernel/rows.h"

/*
 * What one write into a map costs, by the functions that the writer uses: rows of
 * endpoints and frontends, and slots, which are compared first.
 */

#define CONFIG_PATH "/run/bench-writes.yaml"
#define ROWS        4096
#define SLOTS       65537
#define ENDPOINTS   100
#define ROUNDS      11

static void write_config(void)
{
	FILE *file = fopen(CONFIG_PATH, "w");

	if (!file)
		err(1, CONFIG_PATH);
	fputs("log: { level: warning }\n"
	      "state_dir: /run/bench-writes\n"
	      "bpffs: /sys/fs/bpf/bench-writes\n"
	      "control: { socket: /run/bench-writes.sock }\n"
	      "http: { listen: off }\n"
	      "edge: { interfaces: [v0] }\n"
	      "registries: [ { file: { path: /run/bench-writes.d } } ]\n",
		file);
	fclose(file);
}

/* ---------------------------------------------------------------------- rows */

static bool new_endpoint(struct fl_maps *maps, uint32_t i, uint32_t round)
{
	struct fl_endpoint endpoint = { .id = i + 1,
		.addr = fl_ip_from_ipv4(htonl(0x0a000000 + round * ROWS + i)),
		.port = 80 };

	return fl_endpoint_row_put(maps, 1, &endpoint, 1000);
}

static bool state(struct fl_maps *maps, uint32_t i, uint32_t round)
{
	return fl_endpoint_row_set_state(maps, i + 1, round % 2 ? FL_DRAINING : FL_UP, 1000);
}

static bool frontend(struct fl_maps *maps, uint32_t i, uint32_t round)
{
	struct fl_frontend row = { .id = i + 1,
		.addr = fl_ip_from_ipv4(htonl(0x0a800000 + i)),
		.port = 80,
		.proto = IPPROTO_TCP };

	return fl_frontend_row_put(maps, &row, 1 + round % 2) > 0;
}

static const struct kind {
	const char *name;
	bool (*write)(struct fl_maps *maps, uint32_t i, uint32_t round);
} kinds[] = {
	{ "endpoint, another address", new_endpoint },
	{ "endpoint, its state", state },
	{ "frontend, another service", frontend },
};

static json_t *report(const char *what, double *ns, size_t count)
{
	struct bench_figure figure = bench_figure(ns, count);

	printf("  %-34s %10.1f %8.1f %14.0f\n", what, figure.median, figure.spread,
		1e9 / figure.median);
	return json_pack("{s:s, s:f, s:f, s:f}", "write", what, "ns", figure.median, "spread_ns",
		figure.spread, "per_second", 1e9 / figure.median);
}

static json_t *measure_rows(struct fl_maps *maps, const struct kind *kind)
{
	double ns[ROUNDS];

	for (uint32_t round = 0; round < ROUNDS; round++) {
		double begin = bench_thread_ns();

		for (uint32_t i = 0; i < ROWS; i++)
			if (!kind->write(maps, i, round))
				errx(1, "%s: nothing was written", kind->name);
		ns[round] = (bench_thread_ns() - begin) / ROWS;
	}
	return report(kind->name, ns, ROUNDS);
}

/* --------------------------------------------------------------------- slots */

/** Of mode nat, whose slots are stored as they are. @param from  its first endpoint */
static struct fl_service *make_service(uint32_t from)
{
	struct fl_problems problems = { 0 };
	struct fl_service *service = fl_service_new("writes");
	struct fl_frontend *frontend = service ? fl_service_add_frontend(service) : NULL;

	if (!frontend)
		errx(1, "out of memory");
	frontend->addr = fl_ip_from_ipv4(htonl(0x0ac80001));
	frontend->port = 80;
	frontend->proto = IPPROTO_TCP;
	service->slots = SLOTS;
	for (uint32_t i = 0; i < ENDPOINTS; i++) {
		struct fl_endpoint *endpoint = fl_service_add_endpoint(service);

		if (!endpoint)
			errx(1, "out of memory");
		endpoint->addr = fl_ip_from_ipv4(htonl(0x0ac90001 + from + i));
	}
	if (!fl_service_finish(service, &problems))
		errx(1, "%s", problems.items[0].message);
	fl_problems_done(&problems);
	return service;
}

/** What the step spends before it stores the first slot. */
static double build_ns(const struct fl_service *service)
{
	static uint32_t table[SLOTS];
	struct fl_maglev_entry entries[ENDPOINTS];
	double begin;

	for (uint32_t i = 0; i < ENDPOINTS; i++)
		entries[i] = (struct fl_maglev_entry){ .addr = service->endpoints[i].addr,
			.weight = 1,
			.id = service->endpoints[i].id };
	begin = bench_thread_ns();
	if (fl_maglev_build(entries, ENDPOINTS, SLOTS, table) < 0)
		errx(1, "building a table failed");
	return bench_thread_ns() - begin;
}

struct edit {
	double ns;       /**< of the whole step */
	double store_ns; /**< of each slot, the building of the table left out */
	uint64_t slots;  /**< stored */
};

/** Put the table of a service in the place of another's. */
static struct edit edit(struct fl_agent *agent, struct fl_service *service)
{
	const struct fl_writes *writes = fl_writer_writes(agent->writer);
	struct fl_step step = { .kind = FL_STEP_TABLE, .service = service, .family = FL_IPV4 };
	struct fl_failure failure = { 0 };
	uint64_t slots = writes->slots;
	double begin = bench_thread_ns();
	struct edit edit;

	if (fl_writer_step(agent->writer, &step, fl_clock_boot_s(), &failure) < 0)
		errx(1, "%s", failure.message);
	edit.ns = bench_thread_ns() - begin;
	edit.slots = writes->slots - slots;
	edit.store_ns = (edit.ns - build_ns(service)) / SLOTS;
	return edit;
}

static void number(struct fl_agent *agent, struct fl_service *service)
{
	struct fl_snapshot snapshot = { .services = &service, .service_count = 1 };
	struct fl_failure failure = { 0 };

	if (fl_writer_assign(agent->writer, &snapshot, &failure) < 0)
		errx(1, "%s", failure.message);
}

/** A table is built anew because one endpoint is another. */
static json_t *report_one(double *ms, uint64_t slots)
{
	double median = bench_quantile(ms, ROUNDS, 0.5);

	printf("\nTable of %d slots, one of its %d endpoints is another: built and written in %.2f "
	       "ms, %lu slots\nstored.\n",
		SLOTS, ENDPOINTS, median, slots);
	return json_pack("{s:s, s:f, s:i}", "write", "table, one of 100 endpoints", "ms", median,
		"slots", (int)slots);
}

static void measure_slots(struct fl_agent *agent, json_t *rows, json_t **ret_one)
{
	/* All endpoints differ from those of the first; only one. */
	struct fl_service *services[] = { make_service(0), make_service(ENDPOINTS),
		make_service(1) };
	double ns[ROUNDS], one_ms[ROUNDS];
	uint64_t one_slots = 0;

	for (int i = 0; i < 3; i++)
		number(agent, services[i]);
	edit(agent, services[0]);
	for (int round = 0; round < ROUNDS; round++) {
		struct edit one;

		ns[round] = edit(agent, services[1]).store_ns;
		edit(agent, services[0]);
		one = edit(agent, services[2]);
		one_ms[round] = one.ns / 1e6;
		one_slots = one.slots;
		edit(agent, services[0]);
	}
	json_array_append_new(rows, report("slot, another endpoint", ns, ROUNDS));
	*ret_one = report_one(one_ms, one_slots);
	for (int i = 0; i < 3; i++)
		fl_service_unref(services[i]);
}

json_t *bench_writes(void)
{
	json_t *rows = json_array(), *one;
	struct fl_agent agent;

	write_config();
	bench_inside_start(&agent, CONFIG_PATH);
	if (fl_maps_reach(&agent.kernel->maps, FL_MAP_endpoints, ROWS + 1) < 0)
		errx(1, "out of memory");
	printf("\nWrites into maps, one after the other, each compared with what is there first: "
	       "processor time.\n\n  %-34s %10s %8s %14s\n",
		"", "ns", "±", "a second");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		json_array_append_new(rows, measure_rows(&agent.kernel->maps, &kinds[i]));
	measure_slots(&agent, rows, &one);
	json_array_append_new(rows, one);
	bench_inside_stop(&agent);
	return rows;
}
