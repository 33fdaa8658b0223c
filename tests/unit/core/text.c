/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "core/text.h"

Test(core_text, grows_and_keeps_what_it_has)
{
	struct fl_text text = { 0 };
	char *long_word = malloc(10001);

	memset(long_word, 'x', 10000);
	long_word[10000] = '\0';
	for (int i = 0; i < 1000; i++) {
		fl_text_puts(&text, "ab");
		fl_text_putc(&text, 'c');
		fl_text_put(&text, "\0d", 2);
	}
	fl_text_printf(&text, "%s|%d", long_word, 7); /* longer than its buffer */
	cr_expect_eq(text.length, 1000 * 5 + 10000 + 2);
	cr_expect_eq(memcmp(text.data + 4995, "abc\0dxxx", 8), 0);
	cr_expect_eq(memcmp(text.data + text.length - 3, "x|7", 3), 0);
	cr_expect_not(text.failed);
	fl_text_done(&text);
	fl_text_done(&text);
	free(long_word);
}

Test(core_text, numbers)
{
	static const uint64_t numbers[] = { 0, 9, 10, 4294967296u, UINT64_MAX };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct fl_text text = { 0 };
		char expected[32];

		snprintf(expected, sizeof(expected), "%" PRIu64, numbers[i]);
		fl_text_uint(&text, numbers[i]);
		fl_text_putc(&text, '\0');
		cr_expect_str_eq(text.data, expected);
		fl_text_done(&text);
	}
}

Test(core_text, characters)
{
	static const struct {
		const char *bytes;
		size_t length;
	} rows[] = {
		{ "a", 1 },
		{ "\xc2\x80", 2 },
		{ "\xdf\xbf", 2 },
		{ "\xe0\xa0\x80", 3 },
		{ "\xed\x9f\xbf", 3 },
		{ "\xef\xbf\xbf", 3 },
		{ "\xf0\x90\x80\x80", 4 },
		{ "\xf4\x8f\xbf\xbf", 4 },
		{ "\x80", 0 },     /* in the middle of one */
		{ "\xc1\xbf", 0 }, /* longer than needed */
		{ "\xe0\x9f\xbf", 0 },
		{ "\xf0\x8f\xbf\xbf", 0 },
		{ "\xed\xa0\x80", 0 },     /* half a surrogate pair */
		{ "\xf4\x90\x80\x80", 0 }, /* beyond Unicode */
		{ "\xf5\x80\x80\x80", 0 },
		{ "\xc3", 0 }, /* cut short */
		{ "\xe2\x82", 0 },
		{ "\xe2\x28\xa1", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(fl_text_utf8(rows[i].bytes, strlen(rows[i].bytes)), rows[i].length,
			"row %zu", i);
}

/* What is written is what a parser reads, whatever the bytes. */
Test(core_text, json_is_read_back)
{
	struct fl_text text = { 0 };
	struct fl_json_text json = { .text = &text };
	char nasty[256];
	json_error_t error;
	json_t *value;

	for (int i = 1; i < 256; i++)
		nasty[i - 1] = (char)i;
	nasty[255] = '\0';
	fl_json_object(&json, NULL);
	fl_json_string(&json, "ascii \"\\\n", "/\x01\x1f\x7f\t\r\n\"\\");
	fl_json_string(&json, "bytes", nasty);
	fl_json_string(&json, "unicode", "z\xc3\xbc\xe6\x9d\xb1\xf0\x9f\x9a\xa2");
	fl_json_string(&json, "nothing", NULL);
	fl_json_list(&json, "list");
	fl_json_uint(&json, NULL, INT64_MAX);
	fl_json_bool(&json, NULL, true);
	fl_json_null(&json, NULL);
	fl_json_list(&json, NULL);
	fl_json_end(&json);
	fl_json_object(&json, NULL);
	fl_json_end(&json);
	fl_json_end(&json);
	fl_json_time(&json, "when", 1000000000);
	fl_json_time(&json, "never", 0);
	fl_json_end(&json);
	cr_expect_eq(json.depth, 0);
	value = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &error);
	cr_assert_not_null(value, "%s: %.*s", error.text, (int)text.length, text.data);
	cr_expect_str_eq(json_string_value(json_object_get(value, "ascii \"\\\n")),
		"/\x01\x1f\x7f\t\r\n\"\\");
	cr_expect_str_eq(json_string_value(json_object_get(value, "unicode")),
		"z\xc3\xbc\xe6\x9d\xb1\xf0\x9f\x9a\xa2");
	cr_expect_eq(strncmp(json_string_value(json_object_get(value, "bytes")), nasty, 127), 0);
	cr_expect_str_eq(json_string_value(json_object_get(value, "when")), "2001-09-09T01:46:40Z");
	cr_expect(json_is_null(json_object_get(value, "never")));
	cr_expect_eq(json_array_size(json_object_get(value, "list")), 5);
	cr_expect_eq(
		json_integer_value(json_array_get(json_object_get(value, "list"), 0)), INT64_MAX);
	json_decref(value);
	fl_text_done(&text);
}
