/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Merging declarations: who wins, and what is said to the others.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/services.h"
#include "model/merger.h"

#define SOURCES 4

static const struct fl_limits wide = { 4096, 65536, 1048576, 1048576 };

/* Services of several registries, in order of precedence. */
struct world {
	fl_service_vec services[SOURCES];
	struct fl_declaration declarations[SOURCES];
	struct fl_problems problems;
	struct fl_snapshot *snapshot;
};

/* A service for each "NAME FRONTEND ENDPOINTS": as many endpoints as the number says. */
static void declare(struct world *w, size_t source, const char *name, const char *const *services)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	fputs("services:\n", out);
	for (; *services; services++) {
		char service[64], frontend[64];
		unsigned endpoints;

		cr_assert_eq(sscanf(*services, "%63s %63s %u", service, frontend, &endpoints), 3);
		fprintf(out, "- name: %s\n  frontends: [%s]\n  endpoints: [", service, frontend);
		for (unsigned i = 0; i < endpoints; i++)
			fprintf(out, "{address: 192.0.2.%u},", i + 1);
		fputs("]\n", out);
	}
	fclose(out);
	fl_services_parse(text, length, name, name, &w->problems, &w->services[source]);
	cr_assert_eq(w->problems.errors, 0, "%s", text);
	w->declarations[source] = (struct fl_declaration){ name, w->services[source].items,
		w->services[source].count };
	fl_problems_done(&w->problems);
	free(text);
}

static void merge(struct world *w, size_t sources, const struct fl_limits *limits)
{
	cr_assert_eq(
		fl_snapshot_merge(w->declarations, sources, limits, 7, &w->problems, &w->snapshot),
		0);
}

static void done(struct world *w)
{
	for (size_t i = 0; i < SOURCES; i++)
		fl_services_done(&w->services[i]);
	fl_snapshot_unref(w->snapshot);
	fl_problems_done(&w->problems);
}

static void expect_services(const struct world *w, const char *const *names)
{
	size_t i = 0;

	for (; names[i]; i++) {
		cr_assert_lt(i, w->snapshot->service_count, "%s is missing", names[i]);
		cr_expect_str_eq(w->snapshot->services[i]->name, names[i]);
		cr_expect_eq(fl_snapshot_find(w->snapshot, names[i]), w->snapshot->services[i]);
	}
	cr_expect_eq(w->snapshot->service_count, i);
}

static void expect_problem(const struct world *w, size_t index, const char *text)
{
	char line[512];

	cr_assert_lt(index, w->problems.count, "%s", text);
	cr_expect_str_eq(fl_problem_format(&w->problems.items[index], line, sizeof(line)), text);
}

Test(model_snapshot, services_are_merged_and_sorted)
{
	struct world w = { 0 };

	declare(&w, 0, "b.yaml",
		(const char *const[]){ "web 10.0.0.1:80/tcp 2", "dns 10.0.0.1:53/udp 3", NULL });
	declare(&w, 1, "a.yaml", (const char *const[]){ "api 10.0.0.2:80/tcp 1", NULL });
	merge(&w, 2, &wide);
	expect_services(&w, (const char *const[]){ "api", "dns", "web", NULL });
	cr_expect_eq(w.snapshot->endpoint_count, 6);
	cr_expect_eq(w.snapshot->generation, 7);
	cr_expect_eq(w.problems.count, 0);
	cr_expect_null(fl_snapshot_find(w.snapshot, "we"));
	cr_expect_null(fl_snapshot_find(w.snapshot, ""));
	done(&w);
}

Test(model_snapshot, of_nothing)
{
	struct world w = { 0 };

	merge(&w, 0, &wide);
	expect_services(&w, (const char *const[]){ NULL });
	cr_expect_null(fl_snapshot_find(w.snapshot, "web"));
	done(&w);
}

Test(model_snapshot, a_name_twice)
{
	struct world w = { 0 };

	declare(&w, 0, "a.yaml", (const char *const[]){ "web 10.0.0.1:80/tcp 1", NULL });
	declare(&w, 1, "b.yaml",
		(const char *const[]){ "api 10.0.0.2:80/tcp 1", "web 10.0.0.3:80/tcp 1", NULL });
	merge(&w, 2, &wide);
	expect_services(&w, (const char *const[]){ "api", "web", NULL });
	cr_expect_str_eq(fl_snapshot_find(w.snapshot, "web")->file, "a.yaml");
	expect_problem(&w, 0,
		"b.yaml:5:3: services.name: web is the name of another service (web at "
		"a.yaml:2:3), expected each only once; this one is left out");
	cr_expect_eq(w.problems.count, 1);
	done(&w);
}

Test(model_snapshot, a_frontend_twice)
{
	struct world w = { 0 };

	declare(&w, 0, "a.yaml", (const char *const[]){ "web 10.0.0.1:80/tcp 1", NULL });
	declare(&w, 1, "b.yaml",
		(const char *const[]){ "api 10.0.0.1:80/tcp 1", "dns 10.0.0.1:80/udp 1", NULL });
	merge(&w, 2, &wide);
	expect_services(&w, (const char *const[]){ "dns", "web", NULL });
	expect_problem(&w, 0,
		"b.yaml:3:15: services.frontends: 10.0.0.1:80/tcp belongs to another service "
		"(web at a.yaml:3:15), expected each only once; api is left out");
	done(&w);
}

/* Places that are no files: a service of Consul, a key of its store. */
Test(model_snapshot, conflicts_between_registries)
{
	struct world w = { 0 };

	declare(&w, 0, "a.yaml", (const char *const[]){ "web 10.0.0.1:80/tcp 1", NULL });
	declare(&w, 1, "consul service web",
		(const char *const[]){ "web 10.0.0.3:80/tcp 1", "api 10.0.0.1:80/tcp 1", NULL });
	declare(&w, 2, "consul KV services/web",
		(const char *const[]){ "dns 10.0.0.9:80/tcp 1", NULL });
	declare(&w, 3, "d.yaml", (const char *const[]){ "dns 10.0.0.8:80/tcp 1", NULL });
	for (size_t i = 1; i < 3; i++)
		for (size_t j = 0; j < w.services[i].count; j++) {
			struct fl_service *service = w.services[i].items[j];

			service->line = service->column = 0;
			service->frontends[0].line = service->frontends[0].column = 0;
		}
	merge(&w, 4, &wide);
	expect_problem(&w, 0,
		"consul service web: services.name: web is the name of another service (web at "
		"a.yaml:2:3), expected each only once; this one is left out");
	expect_problem(&w, 1,
		"consul service web: services.frontends: 10.0.0.1:80/tcp belongs to another "
		"service "
		"(web at a.yaml:3:15), expected each only once; api is left out");
	expect_problem(&w, 2,
		"d.yaml:2:3: services.name: dns is the name of another service (dns at consul KV "
		"services/web), expected each only once; this one is left out");
	cr_expect_eq(w.problems.count, 3);
	done(&w);
}

/* Two nodes have the same file, and one writes it into a registry that both read. */
Test(model_snapshot, what_was_registered_comes_back_in_silence)
{
	struct world w = { 0 };

	declare(&w, 0, "a.yaml", (const char *const[]){ "web 10.0.0.1:80/tcp 1", NULL });
	declare(&w, 1, "consul service web",
		(const char *const[]){ "web 10.0.0.1:80/tcp 2", NULL });
	w.services[0].items[0]->registration.registry = strdup("shop");
	free(w.services[1].items[0]->registry);
	w.services[1].items[0]->registry = strdup("shop");
	merge(&w, 2, &wide);
	cr_expect_str_eq(fl_snapshot_find(w.snapshot, "web")->file, "a.yaml");
	cr_expect_eq(w.problems.count, 0);
	done(&w);
	w = (struct world){ 0 };

	/* from anywhere else it is a conflict like any other */
	declare(&w, 0, "a.yaml", (const char *const[]){ "web 10.0.0.1:80/tcp 1", NULL });
	declare(&w, 1, "b.yaml", (const char *const[]){ "web 10.0.0.1:80/tcp 2", NULL });
	w.services[0].items[0]->registration.registry = strdup("shop");
	merge(&w, 2, &wide);
	cr_expect_eq(w.problems.count, 1);
	done(&w);
}

/* Who was left out holds nothing: neither its name nor its frontends. */
Test(model_snapshot, losers_claim_nothing)
{
	struct world w = { 0 };

	declare(&w, 0, "a.yaml", (const char *const[]){ "web 10.0.0.1:80/tcp 1", NULL });
	declare(&w, 1, "b.yaml",
		(const char *const[]){ "web 10.0.0.9:80/tcp 1", "api 10.0.0.1:80/tcp 1", NULL });
	declare(&w, 2, "c.yaml", (const char *const[]){ "api 10.0.0.9:80/tcp 1", NULL });
	merge(&w, 3, &wide);
	expect_services(&w, (const char *const[]){ "api", "web", NULL });
	cr_expect_str_eq(fl_snapshot_find(w.snapshot, "api")->file, "c.yaml");
	cr_expect_eq(w.problems.errors, 2);
	done(&w);
}

Test(model_snapshot, every_port_beside_an_exact_one)
{
	struct world w = { 0 };

	declare(&w, 0, "a.yaml",
		(const char *const[]){ "all 10.0.0.1:0/tcp 1", "web 10.0.0.1:80/tcp 1",
			"udp 10.0.0.1:0/udp 1", NULL });
	declare(&w, 1, "b.yaml", (const char *const[]){ "all-again 10.0.0.1:0/tcp 1", NULL });
	merge(&w, 2, &wide);
	expect_services(&w, (const char *const[]){ "all", "udp", "web", NULL });
	cr_expect_eq(w.problems.errors, 1);
	done(&w);
}

Test(model_snapshot, limits)
{
	static const struct {
		uint32_t services, endpoints;
		const char *names[4];
		size_t errors;
	} rows[] = {
		{ 3, 9, { "a", "b", "c", NULL }, 0 },
		{ 2, 9, { "a", "b", NULL }, 1 },
		{ 0, 9, { NULL }, 3 },
		{ 3, 8, { "a", "b", NULL }, 1 },
		/* what fits is taken, whatever stands before it */
		{ 3, 5, { "a", "c", NULL }, 1 },
		{ 3, 0, { NULL }, 3 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_limits limits = { rows[i].services, rows[i].endpoints, 1048576, 1048576 };
		struct world w = { 0 };

		declare(&w, 0, "a.yaml",
			(const char *const[]){ "a 10.0.0.1:80/tcp 2", "b 10.0.0.2:80/tcp 4",
				"c 10.0.0.3:80/tcp 3", NULL });
		merge(&w, 1, &limits);
		expect_services(&w, rows[i].names);
		cr_expect_eq(w.problems.errors, rows[i].errors, "row %zu", i);
		done(&w);
	}
}

Test(model_snapshot, frontends_over_all_services_are_limited)
{
	struct fl_problems problems = { 0 };
	size_t count = FL_FRONTENDS_MAX + 1;
	struct fl_service **services = calloc(count, sizeof(*services));
	struct fl_declaration declaration = { "file", services, count };
	struct fl_limits limits = { 65535, 65536, 1048576, 1048576 };
	struct fl_snapshot *snapshot = NULL;

	for (size_t i = 0; i < count; i++) {
		struct fl_frontend *frontend;
		char text[32];

		snprintf(text, sizeof(text), "s%zu", i);
		services[i] = fl_service_new(text);
		frontend = fl_service_add_frontend(services[i]);
		snprintf(text, sizeof(text), "10.0.%zu.%zu", i >> 8, i & 255);
		fl_ip_parse(text, &frontend->addr);
		frontend->proto = 6;
	}
	cr_assert_eq(fl_snapshot_merge(&declaration, 1, &limits, 1, &problems, &snapshot), 0);
	cr_expect_eq(snapshot->service_count, FL_FRONTENDS_MAX);
	cr_expect_eq(problems.errors, 1);
	for (size_t i = 0; i < count; i++)
		fl_service_unref(services[i]);
	free(services);
	fl_snapshot_unref(snapshot);
	fl_problems_done(&problems);
}

/* Services are shared, and live as long as anyone has them. */
Test(model_snapshot, services_outlive_their_registry)
{
	struct world w = { 0 };
	struct fl_snapshot *second;

	declare(&w, 0, "a.yaml", (const char *const[]){ "web 10.0.0.1:80/tcp 1", NULL });
	merge(&w, 1, &wide);
	second = fl_snapshot_ref(w.snapshot);
	cr_expect_eq(w.snapshot->services[0]->references, 2);
	fl_services_done(&w.services[0]);
	fl_snapshot_unref(w.snapshot);
	w.snapshot = second;
	expect_services(&w, (const char *const[]){ "web", NULL });
	done(&w);
	fl_snapshot_unref(NULL);
}
