/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files of services: what must stand in them, and many services and endpoints.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/services.h"
#include "config/yaml.h"
#include "model/merger.h"

static int parse(const char *text, struct fl_problems *problems, fl_service_vec *ret)
{
	return fl_services_parse(text, strlen(text), "s.yaml", "file", problems, ret);
}

Test(config_services, only_services_stand_in_such_a_file)
{
	static const struct {
		const char *text;
		const char *error; /* NULL = none */
		size_t services;
	} rows[] = {
		{ "services: []\n", NULL, 0 },
		{ "services:\n- {name: a, frontends: ['10.0.0.1:80/tcp'], endpoints: []}\n", NULL,
			1 },
		/* what an editor leaves for a moment is no word that all shall go */
		{ "", "s.yaml:1:1: services: missing, must be given (services: [] = none)", 0 },
		{ "# services:\n",
			"s.yaml:1:1: services: missing, must be given (services: [] = none)", 0 },
		{ "services:", "s.yaml:1:10: services: no value, expected a list ([] = none)", 0 },
		{ "- name: a\n",
			"s.yaml:1:1: services: a list does not fit, expected services: [...]", 0 },
		{ "log: {level: info}\nservices: []\n",
			"s.yaml:1:1: log: unknown key, expected services and no other in this file",
			0 },
		{ "{\"services\": []}", NULL, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_problems problems = { 0 };
		fl_service_vec services = { 0 };
		char line[512] = "";
		int r = parse(rows[i].text, &problems, &services);

		cr_expect_eq(r, rows[i].error ? -EINVAL : 0, "%s", rows[i].text);
		cr_expect_eq(problems.errors, rows[i].error ? 1 : 0, "%s", rows[i].text);
		if (rows[i].error)
			cr_expect_str_eq(fl_problem_format(&problems.items[0], line, sizeof(line)),
				rows[i].error);
		cr_expect_eq(services.count, rows[i].services, "%s", rows[i].text);
		fl_services_done(&services);
		fl_problems_done(&problems);
	}
}

Test(config_services, the_good_ones_of_a_bad_file_are_returned)
{
	struct fl_problems problems = { 0 };
	fl_service_vec services = { 0 };
	int r = parse(
		"services:\n"
		"- {name: a, frontends: ['10.0.0.1:80/tcp'], endpoints: [{address: 192.0.2.1}]}\n"
		"- {name: b, frontends: ['10.0.0.2:80/tcp'], endpoints: [{address: nowhere}]}\n"
		"- {name: c, frontends: ['10.0.0.3:80/tcp'], endpoints: [{address: 192.0.2.3}]}\n",
		&problems, &services);

	cr_expect_eq(r, -EINVAL);
	cr_expect_eq(problems.errors, 1);
	cr_assert_eq(services.count, 2);
	cr_expect_str_eq(services.items[0]->name, "a");
	cr_expect_str_eq(services.items[1]->name, "c");
	cr_expect_str_eq(services.items[1]->registry, "file");
	cr_expect_str_eq(services.items[1]->file, "s.yaml");
	fl_services_done(&services);
	fl_problems_done(&problems);
}

/* Names as long as they may be, and one longer. */
Test(config_services, long_names)
{
	for (int length = 127; length <= 130; length++) {
		struct fl_problems problems = { 0 };
		fl_service_vec services = { 0 };
		char name[200] = { 0 };
		char text[400];

		memset(name, 'n', (size_t)length);
		snprintf(text, sizeof(text),
			"services: [{name: %s, frontends: ['10.0.0.1:1/tcp'], endpoints: []}]",
			name);
		parse(text, &problems, &services);
		cr_expect_eq(services.count, length <= 128 ? 1 : 0, "%d", length);
		fl_services_done(&services);
		fl_problems_done(&problems);
	}
}

/* @return a file with `services` services of `endpoints` endpoints each */
static char *many(unsigned services, unsigned endpoints, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);

	fputs("services:\n", out);
	for (unsigned i = 0; i < services; i++) {
		fprintf(out,
			"- name: service-%u\n  frontends: [\"10.%u.%u.%u:80/tcp\"]\n  endpoints:\n",
			i, i >> 16 & 255, i >> 8 & 255, i & 255);
		for (unsigned j = 0; j < endpoints; j++)
			fprintf(out, "  - { address: \"192.168.%u.%u:8080\", weight: %u }\n",
				j >> 8, j & 255, j % 7);
	}
	fclose(out);
	return text;
}

Test(config_services, endpoints_of_one_service)
{
	static const struct {
		unsigned endpoints;
		size_t services;
		const char *problem; /* NULL = none */
	} rows[] = {
		{ 655, 1, NULL },
		{ 656, 1,
			"s.yaml:2:3: warning: services.endpoints: service-0 has 656 endpoints in "
			"one table" },
		{ 4096, 1,
			"s.yaml:2:3: warning: services.endpoints: service-0 has 4096 endpoints in "
			"one table" },
		{ 4097, 0, "s.yaml:5:3: services.endpoints: 4097 items, expected at most 4096" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_problems problems = { 0 };
		fl_service_vec services = { 0 };
		char line[512] = "";
		size_t length = 0;
		char *text = many(1, rows[i].endpoints, &length);

		fl_services_parse(text, length, "s.yaml", "file", &problems, &services);
		cr_expect_eq(services.count, rows[i].services, "%u", rows[i].endpoints);
		cr_assert_eq(problems.count, rows[i].problem ? 1 : 0, "%u", rows[i].endpoints);
		if (rows[i].problem) {
			fl_problem_format(&problems.items[0], line, sizeof(line));
			cr_expect(strncmp(line, rows[i].problem, strlen(rows[i].problem)) == 0,
				"%s", line);
		}
		if (services.count)
			cr_expect_eq(services.items[0]->endpoint_count, rows[i].endpoints);
		fl_services_done(&services);
		fl_problems_done(&problems);
		free(text);
	}
}

Test(config_services, a_hundred_thousand_endpoints)
{
	static const struct {
		uint32_t limit;
		size_t services, endpoints, errors;
	} rows[] = {
		{ 100000, 1000, 100000, 0 },
		{ 99999, 999, 99900, 1 },
		{ 65536, 655, 65500, 345 },
	};
	struct fl_problems problems = { 0 };
	fl_service_vec services = { 0 };
	size_t length = 0;
	char *text = many(1000, 100, &length);

	cr_assert_eq(fl_services_parse(text, length, "s.yaml", "file", &problems, &services), 0);
	cr_assert_eq(services.count, 1000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_declaration declared = { "file", services.items, services.count };
		struct fl_limits limits = { 4096, rows[i].limit, 1048576, 1048576 };
		struct fl_snapshot *snapshot = NULL;

		cr_assert_eq(fl_snapshot_merge(&declared, 1, &limits, 1, &problems, &snapshot), 0);
		cr_expect_eq(snapshot->service_count, rows[i].services, "%u: %zu", rows[i].limit,
			snapshot->service_count);
		cr_expect_eq(snapshot->endpoint_count, rows[i].endpoints);
		cr_expect_eq(
			problems.errors, rows[i].errors, "%u: %zu", rows[i].limit, problems.errors);
		fl_snapshot_unref(snapshot);
		fl_problems_done(&problems);
	}
	fl_services_done(&services);
	free(text);
}

Test(config_services, a_file_that_is_not_there)
{
	struct fl_problems problems = { 0 };
	fl_service_vec services = { 0 };

	cr_expect_eq(
		fl_services_load("/nonexistent/s.yaml", "file", &problems, &services), -ENOENT);
	cr_expect_eq(services.count, 0);
	cr_assert_eq(problems.errors, 1);
	cr_expect_str_eq(problems.items[0].file, "/nonexistent/s.yaml");
	fl_problems_done(&problems);
}

/* ------------------------------------------------- one service from elsewhere */

static const struct {
	const char *name; /* of the row */
	const char *text;
	const char *error; /* the first; NULL = good */
	size_t endpoints;
} mappings[] = {
	{ "without endpoints", "frontends: ['10.0.0.1:80/tcp']\n", NULL, 0 },
	{ "with endpoints", "frontends: ['10.0.0.1:80/tcp']\nendpoints: [{address: 192.0.2.1}]\n",
		NULL, 1 },
	{ "with its own name", "name: a/b\nfrontends: ['10.0.0.1:80/tcp']\n", NULL, 0 },
	{ "with another name", "name: other\nfrontends: ['10.0.0.1:80/tcp']\n",
		"kv x:1:7: services.name: is other here, expected a/b or none", 0 },
	{ "without frontends", "forward: nat\n",
		"kv x:1:1: services.frontends: missing, must be given", 0 },
	{ "an unknown key", "frontends: ['10.0.0.1:80/tcp']\nforwards: nat\n",
		"kv x:2:1: services.forwards: unknown key, expected forward?", 0 },
	{ "a list", "- frontends: ['10.0.0.1:80/tcp']\n",
		"kv x:1:1: services: a list does not fit, expected a mapping", 0 },
	{ "a word", "web\n", "kv x:1:1: services: web does not fit, expected a mapping", 0 },
	{ "nothing but null", "null\n", "kv x:1:1: services.frontends: missing", 0 },
};

Test(config_services, one_service_may_get_name_and_endpoints_from_elsewhere)
{
	for (size_t i = 0; i < sizeof(mappings) / sizeof(mappings[0]); i++) {
		const char *text = mappings[i].text;
		struct fl_problems problems = { 0 };
		struct fl_service *service = NULL;
		struct fl_yaml yaml;
		char line[512] = "";
		int r;

		cr_assert_eq(fl_yaml_parse(text, strlen(text), "kv x", &problems, &yaml), 0);
		r = fl_service_begin(yaml.root, "a/b", "kv x", "consul", &problems, &service);
		if (problems.count)
			fl_problem_format(&problems.items[0], line, sizeof(line));
		if (mappings[i].error) {
			cr_expect(r == -EINVAL && !service, "%s: %d", mappings[i].name, r);
			cr_expect_eq(strncmp(line, mappings[i].error, strlen(mappings[i].error)), 0,
				"%s: %s", mappings[i].name, line);
		} else {
			cr_assert(r == 0 && service, "%s: %d %s", mappings[i].name, r, line);
			cr_expect_str_eq(service->name, "a/b");
			cr_expect_str_eq(service->registry, "consul");
			cr_expect_eq(service->endpoint_count, mappings[i].endpoints);
			cr_expect_eq(problems.count, 0, "%s: %s", mappings[i].name, line);
			fl_service_unref(service);
		}
		fl_yaml_done(&yaml);
		fl_problems_done(&problems);
	}
}

Test(config_services, what_another_machine_declares_runs_nothing_here)
{
	static const char text[] =
		"services: [{name: a, frontends: ['10.0.0.1:80/tcp'], endpoints: "
		"[{address: 192.0.2.1}], check: {exec: [/bin/true]}}]";
	struct fl_problems problems = { 0 };
	fl_service_vec services = { 0 };

	cr_assert_eq(fl_services_parse(text, strlen(text), "x", "file", &problems, &services), 0);
	fl_services_done(&services);
	cr_assert_lt(
		fl_services_parse_kept(text, strlen(text), "x", "consul", &problems, &services), 0);
	cr_assert(strstr(problems.items[0].message, "from which no command is run"));
	fl_services_done(&services);
	fl_problems_done(&problems);
}
