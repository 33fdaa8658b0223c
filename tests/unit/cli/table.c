/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"

static const struct fl_column columns[] = {
	{ "NAME", "name", FL_COLUMN_TEXT },
	{ "AT", "at", FL_COLUMN_LIST },
	{ "COUNT", "deep.count", FL_COLUMN_NUMBER },
	{ "FOR", "since", FL_COLUMN_SINCE },
	{ "AGE", "age", FL_COLUMN_DURATION },
	{ "WHY", "why", FL_COLUMN_TEXT },
	{ NULL },
};

static void expect_table(const char *json, int indent, const char *expected)
{
	json_t *rows = json_loads(json, 0, NULL);
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	cr_assert_not_null(rows, "%s", json);
	fl_table_print(rows, columns, 1000000000, indent, out); /* 2001-09-09T01:46:40Z */
	fclose(out);
	cr_expect_str_eq(text, expected, "\n%s", text);
	free(text);
	json_decref(rows);
}

Test(cli_table, columns_line_up)
{
	expect_table("[]", 0, "NAME  AT  COUNT  FOR  AGE  WHY\n");
	expect_table("[{\"name\":\"web\",\"at\":[\"a:1\",\"bb:2\"],\"deep\":{\"count\":12345678},"
		     "\"since\":\"2001-09-09T01:46:00Z\",\"age\":3725,\"why\":\"ok\"},"
		     "{\"name\":\"longer-name\",\"at\":[],\"deep\":{\"count\":1},\"since\":null,"
		     "\"why\":null}]",
		0,
		"NAME         AT       COUNT  FOR    AGE  WHY\n"
		"web          a:1   12345678  40s  1h02m  ok\n"
		"             bb:2\n"
		"longer-name  -            1    -      -  -\n");
	expect_table("[{\"name\":true,\"deep\":{\"count\":1.5}}]", 2,
		"  NAME  AT  COUNT  FOR  AGE  WHY\n"
		"  yes   -     1.5    -    -  -\n");
}

Test(cli_table, scripts_of_all_widths_line_up)
{
	expect_table("[{\"name\":\"z\xc3\xbcrich\",\"deep\":{\"count\":1}},"
		     "{\"name\":\"\xe6\x9d\xb1\xe4\xba\xac\",\"deep\":{\"count\":1}},"
		     "{\"name\":\"e\xcc\x81t\xe9\x9b\xa8\",\"deep\":{\"count\":1}}]",
		0,
		"NAME    AT  COUNT  FOR  AGE  WHY\n"
		"z\xc3\xbcrich  -       1    -    -  -\n"
		"\xe6\x9d\xb1\xe4\xba\xac    -       1    -    -  -\n"
		"e\xcc\x81t\xe9\x9b\xa8    -       1    -    -  -\n");
}

Test(cli_table, nothing_reaches_the_terminal_but_text)
{
	expect_table("[{\"name\":\"a\\u001b[31mb\\n\",\"why\":\"\\u202ex\\u009b\"}]", 0,
		"NAME            AT  COUNT  FOR  AGE  WHY\n"
		"a\\x1b[31mb\\x0a  -       -    -    -  \\xe2\\x80\\xaex\\xc2\\x9b\n");
}

Test(cli_table, times_that_are_none)
{
	expect_table("[{\"since\":\"yesterday\",\"age\":-5},{\"since\":7,\"age\":\"x\"},"
		     "{\"since\":\"2031-01-01T00:00:00Z\",\"age\":0}]",
		0,
		"NAME  AT  COUNT  FOR  AGE  WHY\n"
		"-     -       -    -    -  -\n"
		"-     -       -    -    -  -\n"
		"-     -       -   0s   0s  -\n");
}

Test(cli_table, durations)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} rows[] = {
		{ 0, "0s" },
		{ 59, "59s" },
		{ 60, "1m00s" },
		{ 3599, "59m59s" },
		{ 3600, "1h00m" },
		{ 172799, "47h59m" },
		{ 172800, "2d00h" },
		{ UINT64_MAX, "213503982334601d07h" },
	};
	char buffer[24];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(fl_duration_format(rows[i].seconds, buffer), rows[i].text);
}

Test(cli_table, widths)
{
	static const struct {
		const char *text;
		int width;
	} rows[] = {
		{ "", 0 }, { "abc", 3 }, { "\xc3\xbc", 1 }, { "\xe6\x9d\xb1", 2 },
		{ "\xf0\x9f\x9a\xa2", 2 }, { "e\xcc\x81", 1 }, { "\x1b", 4 }, { "\xff\xfe", 8 },
		{ "\xc0\x80", 8 },          /* an overlong NUL */
		{ "\xed\xa0\x80", 12 },     /* half a surrogate pair */
		{ "\xe6\x9d", 8 },          /* cut short */
		{ "\xf4\x90\x80\x80", 16 }, /* beyond Unicode */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(fl_text_width(rows[i].text), rows[i].width, "row %zu", i);
}
