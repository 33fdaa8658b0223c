/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tree of nodes: places, and what bounds it.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/yaml.h"

static int parse(const char *text, size_t length, struct fl_problems *problems, struct fl_yaml *ret)
{
	return fl_yaml_parse(text, length, "t.yaml", problems, ret);
}

/* Expect no tree, and one problem that ends with `message`. */
static void expect_refusal(const char *name, const char *text, size_t length, const char *message)
{
	struct fl_problems problems = { 0 };
	struct fl_yaml yaml = { 0 };
	char line[512];

	cr_expect_eq(parse(text, length, &problems, &yaml), -EINVAL, "%s", name);
	cr_expect_null(yaml.root, "%s", name);
	cr_assert_eq(problems.count, 1, "%s", name);
	fl_problem_format(&problems.items[0], line, sizeof(line));
	cr_expect_not_null(strstr(line, message), "%s: %s", name, line);
	fl_problems_done(&problems);
	fl_yaml_done(&yaml);
}

Test(config_yaml, nodes_know_their_places)
{
	static const char text[] = "a: 1\nb:\n  - \xc3\xa4\xc3\xb6: 'x'\n    c: [ \"y\", z ]\n";
	struct fl_problems problems = { 0 };
	struct fl_yaml yaml = { 0 };
	const struct fl_node *item;
	const struct fl_node *node;

	cr_assert_eq(parse(text, strlen(text), &problems, &yaml), 0);
	cr_assert_eq(yaml.root->kind, FL_NODE_MAP);
	cr_expect_eq(yaml.root->count, 2);
	node = fl_node_get(yaml.root, "a");
	cr_expect(node->plain && node->line == 1 && node->column == 4 && node->key_column == 1);
	item = fl_node_get(yaml.root, "b")->first;
	cr_expect(item->kind == FL_NODE_MAP && item->line == 3 && item->column == 5);
	node = fl_node_get(item, "\xc3\xa4\xc3\xb6");
	cr_expect(!node->plain && node->line == 3 && node->column == 9 && node->key_column == 5);
	node = fl_node_get(item, "c");
	cr_expect(node->kind == FL_NODE_LIST && node->count == 2 && node->line == 4 &&
		  node->column == 8);
	cr_expect_str_eq(node->first->next->text, "z");
	cr_expect_eq(node->first->next->column, 15);
	cr_expect_null(node->first->next->next);
	cr_expect_null(fl_node_get(yaml.root, "c"));
	cr_expect_eq(problems.count, 0);
	fl_yaml_done(&yaml);
}

/* `opening` n times, then `closing` n times. */
static char *nested(const char *opening, const char *closing, size_t n)
{
	char *text = calloc(n, strlen(opening) + strlen(closing) + 1);
	char *end = text;

	for (size_t i = 0; i < n; i++)
		end = stpcpy(end, opening);
	for (size_t i = 0; i < n; i++)
		end = stpcpy(end, closing);
	return text;
}

Test(config_yaml, depth_is_bounded)
{
	static const struct {
		const char *opening, *closing;
		size_t depth;
		bool is_good;
	} rows[] = {
		{ "[", "]", 32, true },
		{ "[", "]", 33, false },
		{ "{a: ", "}", 32, true },
		{ "{a: ", "}", 33, false },
		{ "- ", "", 32, true },
		{ "- ", "", 33, false },
		{ "[", "]", 100000, false },
		{ "[\n", "]", 100000, false },
		{ "{a: ", "}", 100000, false },
		{ "? ", "", 100000, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = nested(rows[i].opening, rows[i].closing, rows[i].depth);
		struct fl_problems problems = { 0 };
		struct fl_yaml yaml = { 0 };

		if (rows[i].is_good)
			cr_expect_eq(parse(text, strlen(text), &problems, &yaml), 0, "%s %zu",
				rows[i].opening, rows[i].depth);
		else
			expect_refusal(rows[i].opening, text, strlen(text),
				"YAML: nested too deeply, expected at most 32 levels");
		fl_yaml_done(&yaml);
		fl_problems_done(&problems);
		free(text);
	}
}

Test(config_yaml, keys_of_a_mapping_are_bounded)
{
	for (int count = 256; count <= 257; count++) {
		struct fl_problems problems = { 0 };
		struct fl_yaml yaml = { 0 };
		char *text = NULL;
		size_t length = 0;
		FILE *out = open_memstream(&text, &length);

		for (int i = 0; i < count; i++)
			fprintf(out, "k%d: 1\n", i);
		fclose(out);
		if (count == 256)
			cr_expect_eq(parse(text, length, &problems, &yaml), 0);
		else
			expect_refusal("257 keys", text, length,
				"t.yaml:257:1: YAML: too many keys, expected at most 256");
		fl_yaml_done(&yaml);
		free(text);
	}
}

Test(config_yaml, nodes_are_bounded)
{
	char *text = nested("-\n", "", FL_YAML_NODES_MAX);

	expect_refusal("two million and one", text, strlen(text),
		"YAML: too many values, expected at most 2000000");
	free(text);
}

Test(config_yaml, huge_texts_are_shown_short)
{
	size_t length = 8u << 20;
	char *text = malloc(length + 1);
	struct fl_problems problems = { 0 };
	struct fl_yaml yaml = { 0 };
	char shown[FL_NODE_TEXT];

	memset(text, 'x', length);
	text[length] = '\0';
	cr_assert_eq(parse(text, length, &problems, &yaml), 0);
	cr_expect_eq(strlen(yaml.root->text), length);
	cr_expect_eq(strlen(fl_node_show(yaml.root, shown)), 55);
	cr_expect_str_eq(shown + 50, "xx...");
	fl_yaml_done(&yaml);
	free(text);
}

Test(config_yaml, texts_are_cut_between_characters)
{
	static const char long_text[] = "\"0123456789012345678901234567890123456789012345678\xf0"
					"\x9f\x9a\xa2\xf0\x9f\x9a\xa2\xf0\x9f\x9a\xa2\"";
	struct fl_problems problems = { 0 };
	struct fl_yaml yaml = { 0 };
	char shown[FL_NODE_TEXT];

	cr_assert_eq(parse(long_text, strlen(long_text), &problems, &yaml), 0);
	cr_expect_str_eq(fl_node_show(yaml.root, shown),
		"0123456789012345678901234567890123456789012345678\xf0\x9f\x9a\xa2...");
	fl_yaml_done(&yaml);
}

Test(config_yaml, bytes_that_are_no_yaml)
{
	uint32_t state = 1;

	for (int round = 0; round < 2000; round++) {
		char text[64];
		struct fl_problems problems = { 0 };
		struct fl_yaml yaml = { 0 };
		int r;

		for (size_t i = 0; i < sizeof(text); i++) {
			state = state * 1664525 + 1013904223;
			/* all bytes in half of the rounds, what YAML gives a meaning in the others */
			text[i] = round % 2 ? (char)(state >> 24)
					    : "[]{}:,-?&*!|>'\"%@` \n\tab#"[(state >> 24) % 25];
		}
		r = parse(text, sizeof(text), &problems, &yaml);
		cr_expect(r == 0 || problems.errors > 0, "round %d", round);
		fl_yaml_done(&yaml);
		fl_problems_done(&problems);
	}
}

Test(config_yaml, files)
{
	char directory[] = "/tmp/fl-yaml-XXXXXX";
	struct fl_problems problems = { 0 };
	size_t length = 0;
	char path[64];
	char *text = NULL;
	FILE *out;

	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/f", directory);

	out = fopen(path, "w");
	cr_assert_eq(ftruncate(fileno(out), FL_YAML_BYTES_MAX), 0);
	cr_expect_eq(fl_yaml_read_file(path, &problems, &text, &length), 0);
	cr_expect_eq(length, FL_YAML_BYTES_MAX);
	free(text);
	cr_assert_eq(ftruncate(fileno(out), FL_YAML_BYTES_MAX + 1), 0);
	cr_expect_eq(fl_yaml_read_file(path, &problems, &text, &length), -EFBIG);
	cr_expect_str_eq(problems.items[0].message, "too large, expected at most 16 MiB");
	fclose(out);
	unlink(path);
	fl_problems_done(&problems);

	/* nobody writes into it: reading must not wait */
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(fl_yaml_read_file(path, &problems, &text, &length), -EINVAL);
	unlink(path);
	fl_problems_done(&problems);
	rmdir(directory);
}
