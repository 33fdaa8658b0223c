/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Services that name the registry they are to be written into.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "registry/registry.h"

static const struct fl_environment environment = { .host_name = "n1" };

#define REGISTRIES                                                                                 \
	"registries: [ consul: { name: shop }, file: { path: /nonexistent/services.d } ]\n"
#define SERVICE(word)                                                                              \
	"services: [{name: web, frontends: ['10.0.0.1:80/tcp'], register: " word                   \
	", endpoints: [{address: 192.0.2.1}]}]\n"

static struct fl_config *parse(const char *text)
{
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;

	cr_assert_eq(
		fl_config_parse(text, strlen(text), "t.yaml", &environment, &problems, &config), 0);
	fl_problems_done(&problems);
	return config;
}

Test(registry_written, only_some_registries_are)
{
	struct fl_config *config = parse(REGISTRIES);

	cr_expect(fl_registry_is_written(config, "shop"));
	cr_expect_not(
		fl_registry_is_written(config, "file"), "a file is nobody's but the operator's");
	cr_expect_not(fl_registry_is_written(config, "consul"), "that is its type");
	fl_config_free(config);
}

Test(registry_written, a_name_of_none_is_an_error_of_the_check)
{
	static const struct {
		const char *text, *error; /* NULL = none */
	} rows[] = {
		{ REGISTRIES SERVICE("shop"), NULL },
		{ REGISTRIES SERVICE("consul"),
			"services.register: consul is no registry that services are written into, "
			"expected the name of a consul registry of the configuration" },
		{ REGISTRIES SERVICE("file"),
			"services.register: file is no registry that services are written into, "
			"expected the name of a consul registry of the configuration" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_config *config = parse(rows[i].text);
		struct fl_problems problems = { 0 };
		int r = fl_registry_check(config, &problems);

		cr_expect_eq(r, rows[i].error ? -EINVAL : 0);
		cr_assert_eq(problems.errors, rows[i].error ? 1 : 0);
		for (size_t j = 0; j < problems.count && rows[i].error; j++)
			if (!problems.items[j].warning) /* the directory is not there */
				cr_expect_str_eq(problems.items[j].message, rows[i].error);
		fl_problems_done(&problems);
		fl_config_free(config);
	}
}
