/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_pull.h"

/* The text is read from an exact copy on the heap: the sanitised ring sees every
 * byte beyond it. */
static char *copy_of(const char *text, size_t length)
{
	char *copy = malloc(length ? length : 1);

	cr_assert(copy);
	memcpy(copy, text, length);
	return copy;
}

static const char *skip_all(const char *text, size_t length, bool *ret_good)
{
	char *copy = copy_of(text, length);
	struct fl_pull pull;

	fl_pull_open(&pull, copy, length);
	fl_pull_skip(&pull);
	*ret_good = fl_pull_finish(&pull);
	free(copy);
	return pull.error;
}

static const struct {
	const char *text;
	const char *error; /* NULL = it is right */
} documents[] = {
	{ "null", NULL },
	{ " [ ] ", NULL },
	{ "{}", NULL },
	{ "[1, -0, 0.5, 1e9, -1.25E-3, 120]", NULL },
	{ "{\"a\":{\"b\":[true,false,null,\"x\"]},\"c\":\"\"}", NULL },
	{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"", NULL },
	{ "\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"", NULL },
	{ "", "ends in the middle" },
	{ " \n", "ends in the middle" },
	{ "[", "ends in the middle" },
	{ "[1", "ends in the middle" },
	{ "{\"a\"", "no colon behind a key" },
	{ "{\"a\":", "ends in the middle" },
	{ "{\"a\":1", "ends in the middle" },
	{ "\"a", "ends in the middle of a text" },
	{ "\"a\\", "a text has a wrong escape" },
	{ "[1,]", "no value where one must be" },
	{ "[,1]", "no value where one must be" },
	{ "[1 2]", "no comma where one must be" },
	{ "[1}", "no comma where one must be" },
	{ "[}", "no value where one must be" },
	{ "{]", "no key where one must be" },
	{ "{\"a\":1,}", "no key where one must be" },
	{ "{a:1}", "no key where one must be" },
	{ "{1:1}", "no key where one must be" },
	{ "{\"a\" 1}", "no colon behind a key" },
	{ "{\"a\":1 \"b\":2}", "no comma where one must be" },
	{ "nul", "no value where one must be" },
	{ "True", "no value where one must be" },
	{ "01", "a number is wrong" },
	{ "-", "a number is wrong" },
	{ "1.", "a number is wrong" },
	{ "1e", "a number is wrong" },
	{ "1e+", "a number is wrong" },
	{ ".5", "no value where one must be" },
	{ "+1", "no value where one must be" },
	{ "1 1", "something follows" },
	{ "[] x", "something follows" },
	{ "\"a\nb\"", "a text has a control character" },
	{ "\"\xff\"", "a text is no UTF-8" },
	{ "\"\xc3\"", "a text is no UTF-8" },
	{ "\"\xed\xa0\x80\"", "a text is no UTF-8" },
	{ "\"\\x\"", "a text has a wrong escape" },
	{ "\"\\u00g0\"", "a text has a wrong \\u escape" },
	{ "\"\\u00", "a text has a wrong \\u escape" },
	{ "\"\\u0000\"", "a text has U+0000" },
	{ "\"\\ud800\"", "a text has half a surrogate pair" },
	{ "\"\\ud800\\u0041\"", "a text has half a surrogate pair" },
	{ "\"\\udc00\"", "a text has a wrong \\u escape" },
};

Test(json_pull, tells_json_from_the_rest)
{
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		const char *text = documents[i].text;
		const char *wanted = documents[i].error;
		bool good;
		const char *error = skip_all(text, strlen(text), &good);

		cr_expect_eq(good, !wanted, "'%s' is %s", text, wanted ? "wrong" : "right");
		cr_expect(wanted ? error && strcmp(error, wanted) == 0 : !error,
			"'%s': '%s', expected '%s'", text, error ? error : "",
			wanted ? wanted : "");
	}
}

/* Every document cut off anywhere, and with every byte replaced: jansson, which is
 * somebody else's, says whether it is JSON. Numbers beyond a double are the one
 * thing that they may see differently, and there are none. */
Test(json_pull, agrees_with_jansson_about_damaged_documents)
{
	static const char noise[] = "\"\\{}[],:x0u\x80\x01 ";

	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		size_t length = strlen(documents[i].text);
		char *text = copy_of(documents[i].text, length);

		for (size_t j = 0; j < length; j++) {
			char kept = text[j];

			for (size_t k = 0; k < sizeof(noise); k++) {
				bool cut = k == sizeof(noise) - 1;
				size_t size = cut ? j : length;
				json_t *tree;
				bool good;

				text[j] = cut ? kept : noise[k];
				tree = json_loadb(text, size, JSON_DECODE_ANY, NULL);
				skip_all(text, size, &good);
				cr_expect_eq(good, tree != NULL, "'%.*s'", (int)size, text);
				json_decref(tree);
			}
			text[j] = kept;
		}
		free(text);
	}
}

Test(json_pull, reads_what_is_wanted_and_passes_over_the_rest)
{
	static const char text[] =
		"{\"skip\":[1,{\"id\":7}],\"id\":42,\"name\":\"a\\u00e9b\","
		"\"list\":[\"x\",3,\"y\"],\"none\":null,\"big\":9223372036854775808,"
		"\"half\":1.5,\"least\":-9223372036854775807}";
	char *copy = copy_of(text, sizeof(text) - 1);
	int64_t id = 0, least = 0, number = 11;
	char list[8] = "";
	unsigned refused = 0;
	char name[8] = "";
	struct fl_pull pull;
	const char *key;

	fl_pull_open(&pull, copy, sizeof(text) - 1);
	cr_assert(fl_pull_enter(&pull, FL_PULL_OBJECT));
	while ((key = fl_pull_key(&pull))) {
		if (strcmp(key, "id") == 0) {
			cr_expect(fl_pull_integer(&pull, &id));
		} else if (strcmp(key, "least") == 0) {
			cr_expect(fl_pull_integer(&pull, &least));
		} else if (strcmp(key, "name") == 0) {
			snprintf(name, sizeof(name), "%s", fl_pull_text(&pull));
		} else if (strcmp(key, "list") == 0) {
			cr_expect(fl_pull_enter(&pull, FL_PULL_LIST));
			while (fl_pull_item(&pull)) {
				const char *item = fl_pull_text(&pull);

				strcat(list, item ? item : "-");
			}
		} else if (strcmp(key, "none") == 0) {
			refused += !fl_pull_enter(&pull, FL_PULL_LIST);
		} else if (strcmp(key, "big") == 0 || strcmp(key, "half") == 0) {
			refused += !fl_pull_integer(&pull, &number);
		} else {
			fl_pull_skip(&pull);
		}
	}
	cr_expect(fl_pull_finish(&pull), "%s at %zu", pull.error, pull.where);
	cr_expect_eq(id, 42);
	cr_expect_eq(least, -9223372036854775807);
	cr_expect_str_eq(name, "a\xc3\xa9"
			       "b");
	cr_expect_str_eq(list, "x-y");
	cr_expect_eq(refused, 3);
	cr_expect_eq(number, 11, "what does not fit leaves the number alone");
	free(copy);
}

Test(json_pull, says_where_it_went_wrong_and_nothing_more_after_that)
{
	char text[] = "[1, 2, x, 3]";
	struct fl_pull pull;
	unsigned items = 0;

	fl_pull_open(&pull, text, strlen(text));
	cr_assert(fl_pull_enter(&pull, FL_PULL_LIST));
	while (fl_pull_item(&pull)) {
		fl_pull_skip(&pull);
		items++;
	}
	cr_expect_eq(items, 2);
	cr_expect_eq(pull.where, 7);
	cr_expect_eq(fl_pull_peek(&pull), FL_PULL_BROKEN);
	cr_expect_null(fl_pull_key(&pull));
	cr_expect_not(fl_pull_finish(&pull));

	fl_pull_fail(&pull, "another");
	cr_expect_str_eq(pull.error, "no value where one must be", "the first error stays");
}

Test(json_pull, depth_is_bounded)
{
	char text[2 * FL_PULL_DEPTH + 4];
	bool good;

	for (size_t depth = FL_PULL_DEPTH; depth <= FL_PULL_DEPTH + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		skip_all(text, 2 * depth, &good);
		cr_expect_eq(good, depth == FL_PULL_DEPTH, "depth %zu", depth);
	}
}
