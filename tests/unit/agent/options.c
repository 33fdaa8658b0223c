/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/options.h"
#include "core/cleanup.h"
#include "core/defaults.h"

struct row {
	const char *name;
	const char *line; /* words after "fairleadd" */
	int result;
	enum fl_agent_mode mode;
	const char *config;
};

static const struct row rows[] = {
	{ "nothing runs with the default file", "", 0, FL_AGENT_RUN, FL_CONFIG_DEFAULT },
	{ "long option", "--config a.yaml", 0, FL_AGENT_RUN, "a.yaml" },
	{ "letter", "-c a.yaml", 0, FL_AGENT_RUN, "a.yaml" },
	{ "with an equals sign", "--config=a.yaml --check", 0, FL_AGENT_CHECK, "a.yaml" },
	{ "the last file counts", "-c a.yaml -c b.yaml", 0, FL_AGENT_RUN, "b.yaml" },
	{ "a mode twice is that mode", "--detach --detach", 0, FL_AGENT_DETACH, FL_CONFIG_DEFAULT },
	{ "help", "-h", 0, FL_AGENT_HELP, FL_CONFIG_DEFAULT },
	{ "version", "--version", 0, FL_AGENT_VERSION, FL_CONFIG_DEFAULT },
	{ "print", "--print-config", 0, FL_AGENT_PRINT_CONFIG, FL_CONFIG_DEFAULT },
	{ "two modes", "--check --detach", -EINVAL, 0, NULL },
	{ "a file is missing", "--config", -EINVAL, 0, NULL },
	{ "an empty file name", "--config=", -EINVAL, 0, NULL },
	{ "a value where none belongs", "--check=yes", -EINVAL, 0, NULL },
	{ "unknown", "--chek", -EINVAL, 0, NULL },
	{ "an argument", "fairlead.yaml", -EINVAL, 0, NULL },
	{ "a prefix is not an option", "--conf a.yaml", -EINVAL, 0, NULL },
};

static int parse(const char *line, FILE *errors, struct fl_agent_options *ret, char *storage)
{
	char *argv[8] = { "fairleadd" };
	int argc = 1;

	strcpy(storage, line);
	for (char *word = strtok(storage, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	return fl_agent_options_parse(argc, argv, errors, ret);
}

Test(agent_options, command_lines)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct fl_agent_options got = { 0 };
		_cleanup_free_ char *said = NULL;
		char storage[128];
		size_t length;
		FILE *errors = open_memstream(&said, &length);
		int r = parse(row->line, errors, &got, storage);

		fclose(errors);
		cr_expect_eq(r, row->result, "%s: returned %d", row->name, r);
		cr_expect_eq(length > 0, r < 0, "%s: said \"%s\"", row->name, said);
		if (r < 0 || row->result < 0)
			continue;
		cr_expect_eq(got.mode, row->mode, "%s: mode %d", row->name, (int)got.mode);
		cr_expect_str_eq(got.config, row->config, "%s", row->name);
	}
}

Test(agent_options, help_and_manual_name_every_option)
{
	_cleanup_free_ char *help = NULL;
	_cleanup_free_ char *page = NULL;
	_cleanup_fclose_ FILE *source = fopen("user/man/fairleadd.8.scd", "r");
	size_t length;
	FILE *out = open_memstream(&help, &length);

	fl_agent_options_help(out);
	fclose(out);
	cr_assert_not_null(source, "run from the top of the tree");
	cr_assert_gt(getdelim(&page, &length, '\0', source), 0);
	for (const struct fl_agent_option *row = fl_agent_options(); row->name; row++) {
		char bold[64];

		snprintf(bold, sizeof(bold), "*%s*", row->name);
		cr_expect(strstr(help, row->name), "--help lacks %s", row->name);
		cr_expect(strstr(page, bold), "fairleadd(8) lacks %s", row->name);
	}
}
