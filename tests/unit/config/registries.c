/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"

static struct fl_config *config_of(const char *registry)
{
	struct fl_environment environment = { 0 };
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;
	char text[512];

	snprintf(text, sizeof(text), "registries: [ %s ]\n", registry);
	cr_assert_eq(
		fl_config_parse(text, strlen(text), "t.yaml", &environment, &problems, &config), 0,
		"%s: %s", registry, problems.count ? problems.items[0].message : "");
	fl_problems_done(&problems);
	return config;
}

struct equal_row {
	char name[40];
	char a[128], b[128];
	bool equal;
};

ParameterizedTestParameters(config_registries, equal)
{
	static struct equal_row rows[] = {
		{ "the same words", "consul: { tags: [a, b] }", "consul: { tags: [a, b] }", true },
		{ "a default, said", "consul: {}", "consul: { url: \"http://127.0.0.1:8500\" }",
			true },
		{ "the same time", "consul: { wait: 60s }", "consul: { wait: 1m }", true },
		{ "another address", "consul: {}", "consul: { url: \"http://127.0.0.1:8501\" }",
			false },
		{ "other tags", "consul: { tags: [a, b] }", "consul: { tags: [a] }", false },
		{ "a file inside tls", "consul: { url: \"https://a\", tls: { ca: /a } }",
			"consul: { url: \"https://a\", tls: { ca: /b } }", false },
		{ "a flag", "consul: { cached: true }", "consul: { cached: false }", false },
		{ "a filter that is gone", "consul: { filter: x }", "consul: {}", false },
		{ "another name", "consul: { name: a }", "consul: { name: b }", false },
		{ "another type", "consul: { name: a }", "file: { name: a }", false },
		{ "another path", "file: { path: /a }", "file: { path: /b }", false },
	};

	return cr_make_param_array(struct equal_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct equal_row *row, config_registries, equal)
{
	struct fl_config *a = config_of(row->a), *b = config_of(row->b);

	cr_expect_eq(fl_registry_config_equal(a->registries[0], b->registries[0]), row->equal, "%s",
		row->name);
	cr_expect_eq(fl_registry_config_equal(b->registries[0], a->registries[0]), row->equal,
		"%s, the other way", row->name);
	cr_expect(fl_registry_config_equal(a->registries[0], a->registries[0]), "%s", row->name);
	fl_config_free(a);
	fl_config_free(b);
}

Test(config_registries, outlive_their_configuration)
{
	struct fl_config *config = config_of("consul: { tags: [a] }");
	struct fl_registry_config *registry = fl_registry_config_ref(config->registries[0]);

	fl_config_free(config);
	cr_expect_str_eq(registry->consul.tags[0], "a");
	fl_registry_config_unref(registry);
	fl_registry_config_unref(NULL);
}
