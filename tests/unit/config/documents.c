/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What people read about options is what the rows say: fairlead.yaml(5) and the
 * example that is installed.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "core/cleanup.h"

static char *read_whole(const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "r");
	size_t room = 0;
	char *text = NULL;

	cr_assert_not_null(file, "%s: run from the top of the tree", path);
	cr_assert_gt(getdelim(&text, &room, '\0', file), 0);
	return text;
}

/* scdoc's escapes are for scdoc. */
static char *unescape(char *text)
{
	char *out = text;

	for (const char *c = text; *c; c++)
		if (*c != '\\')
			*out++ = *c;
	*out = '\0';
	return text;
}

/* An entry of the page: "*KEY*\n\tTYPE; default: FALLBACK[; restart needed]++\n" */
static void entry_of(const struct fl_option_doc *option, char *buffer, size_t size)
{
	bool is_required = strcmp(option->fallback, "must be given") == 0;

	snprintf(buffer, size, "\n*%s*\n\t%s; %s%s%s\n\n\t", option->key, option->type,
		is_required ? "" : "default: ", option->fallback,
		option->reloadable ? "" : "; restart needed");
}

Test(config_documents, the_page_tells_every_option_as_it_is)
{
	_cleanup_free_ char *page = unescape(read_whole("user/man/fairlead.yaml.5.scd"));

	for (const struct fl_option_doc *option = fl_config_options(); option->key; option++) {
		char entry[512];

		entry_of(option, entry, sizeof(entry));
		if (option->supported)
			cr_expect_not_null(strstr(page, entry), "fairlead.yaml(5) lacks:%s", entry);
		else
			cr_expect_null(
				strstr(page, entry), "fairlead.yaml(5) promises %s", option->key);
	}
}

static bool is_supported(const char *key, size_t length)
{
	for (const struct fl_option_doc *option = fl_config_options(); option->key; option++)
		if (strncmp(option->key, key, length) == 0 && !option->key[length])
			return option->supported;
	return false;
}

Test(config_documents, the_page_tells_nothing_else)
{
	_cleanup_free_ char *page = unescape(read_whole("user/man/fairlead.yaml.5.scd"));
	size_t entries = 0;

	for (const char *at = page; (at = strstr(at, "\n*")); at++) {
		size_t length = strcspn(at + 2, "*\n");

		if (at[2 + length] != '*' || at[3 + length] != '\n')
			continue;
		entries++;
		cr_expect(is_supported(at + 2, length), "%.*s", (int)length, at + 2);
	}
	cr_expect_gt(entries, 30);
}

static void expect_good(const char *text, const char *what)
{
	struct fl_environment environment = {
		.local_port_min = 32768, .local_port_max = 60999, .host_name = "h"
	};
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;
	char line[512] = "";

	fl_config_parse(text, strlen(text), what, &environment, &problems, &config);
	if (problems.count)
		fl_problem_format(&problems.items[0], line, sizeof(line));
	cr_expect_eq(problems.count, 0, "%s", line);
	fl_config_free(config);
	fl_problems_done(&problems);
}

/* As it is, and with every line in force that is there to be tried. */
Test(config_documents, the_example_is_a_good_configuration)
{
	_cleanup_free_ char *text = read_whole("scripts/dist/fairlead.yaml");
	char *out = text;

	expect_good(text, "as it is");
	for (const char *c = text; *c; c++) {
		bool begins_line = c == text || c[-1] == '\n';

		/* "#key" and "#  key" below one; "# Words" stay comments */
		if (begins_line && c[0] == '#' && c[1] != '\n' && (c[1] != ' ' || c[2] == ' ') &&
			strncmp(c, "#     fair", 10))
			continue;
		*out++ = *c;
	}
	*out = '\0';
	cr_expect_not_null(strstr(text, "\nedge:\n  interfaces: [eth0]\n"),
		"the test itself: nothing was tried");
	expect_good(text, "all in force");
}

/* What stands in code blocks of the page is a configuration, too. */
Test(config_documents, the_examples_of_the_page_are_good)
{
	_cleanup_free_ char *page = read_whole("user/man/fairlead.yaml.5.scd");
	size_t blocks = 0;

	for (char *at = strstr(page, "\n```\n"); at; at = strstr(at + 1, "\n```\n")) {
		char *end = strstr(at + 1, "\n```\n");

		cr_assert_not_null(end);
		end[1] = '\0';
		expect_good(at + 5, "block");
		end[1] = '`';
		at = end;
		blocks++;
	}
	cr_expect_geq(blocks, 3);
}

Test(config_documents, every_option_has_words)
{
	size_t count = 0;

	for (const struct fl_option_doc *option = fl_config_options(); option->key;
		option++, count++) {
		cr_expect(option->type && *option->type, "%s", option->key);
		cr_expect(option->fallback && *option->fallback, "%s", option->key);
		cr_expect(option->help && *option->help, "%s", option->key);
	}
	cr_expect_gt(count, 45);
}
