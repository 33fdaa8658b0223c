/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

/* What one call writes to standard error. */
#define CAPTURE(buffer, call)                                                                      \
	do {                                                                                       \
		int saved = dup(STDERR_FILENO);                                                    \
		FILE *file = tmpfile();                                                            \
		size_t length;                                                                     \
                                                                                                   \
		dup2(fileno(file), STDERR_FILENO);                                                 \
		call;                                                                              \
		dup2(saved, STDERR_FILENO);                                                        \
		close(saved);                                                                      \
		rewind(file);                                                                      \
		length = fread(buffer, 1, sizeof(buffer) - 1, file);                               \
		buffer[length] = '\0';                                                             \
		fclose(file);                                                                      \
	} while (0)

Test(core_log, a_line_for_people)
{
	char line[1024];

	CAPTURE(line,
		fl_log(FL_LOG_WARNING, "registry", "a file has errors", FL_STR("plain", "web.yaml"),
			FL_STR("spaced", "two words"), FL_STR("quoted", "a \"b\" \\ \n\t\x01"),
			FL_STR("empty", ""), FL_STR("none", NULL), FL_STR("sign", "a=b"),
			FL_INT("int", -5), FL_UINT("uint", 18446744073709551615ull),
			FL_DBL("double", 0.25), FL_ERR(-ENOENT)));
	/* 2026-01-02T03:04:05.678Z */
	cr_assert_gt(strlen(line), 25);
	cr_expect_eq(line[4], '-');
	cr_expect_eq(line[10], 'T');
	cr_expect_eq(line[19], '.');
	cr_expect_eq(line[23], 'Z');
	cr_expect_str_eq(line + 24,
		" warning registry: a file has errors plain=web.yaml spaced=\"two words\" "
		"quoted=\"a \\\"b\\\" \\\\ \\n\\u0009\\u0001\" empty=\"\" none=\"\" sign=\"a=b\" "
		"int=-5 "
		"uint=18446744073709551615 double=0.25 err=\"No such file or directory\"\n");
}

Test(core_log, a_line_for_machines)
{
	char line[1024];
	json_error_t error;
	json_t *object;

	fl_log_setup(FL_LOG_INFO, FL_LOG_JSON);
	CAPTURE(line, fl_log(FL_LOG_ERROR, "kernel", "no \"luck\"",
			      FL_STR("text", "two\nlines \xc3\xa4 \x1b"), FL_INT("number", -7),
			      FL_DBL("share", 0.5)));
	cr_expect_eq(strchr(line, '\n'), line + strlen(line) - 1, "one event, one line");
	object = json_loads(line, JSON_REJECT_DUPLICATES, &error);
	cr_assert_not_null(object, "%s: %s", error.text, line);
	cr_expect_str_eq(json_string_value(json_object_get(object, "level")), "error");
	cr_expect_str_eq(json_string_value(json_object_get(object, "area")), "kernel");
	cr_expect_str_eq(json_string_value(json_object_get(object, "message")), "no \"luck\"");
	cr_expect_str_eq(
		json_string_value(json_object_get(object, "text")), "two\nlines \xc3\xa4 \x1b");
	cr_expect_eq(json_integer_value(json_object_get(object, "number")), -7);
	cr_expect_float_eq(json_real_value(json_object_get(object, "share")), 0.5, 1e-9);
	cr_expect_not_null(json_object_get(object, "time"));
	json_decref(object);
}

Test(core_log, levels)
{
	for (enum fl_log_level shown = FL_LOG_ERROR; shown <= FL_LOG_DEBUG; shown++) {
		fl_log_setup(shown, FL_LOG_TEXT);
		for (enum fl_log_level level = FL_LOG_ERROR; level <= FL_LOG_DEBUG; level++) {
			char line[256];

			CAPTURE(line, fl_log(level, "test", "hello"));
			cr_expect_eq(line[0] != '\0', level <= shown);
			cr_expect_eq(fl_log_is_on(level), level <= shown);
		}
	}
}

Test(core_log, errors_in_words)
{
	cr_expect_str_eq(fl_log_errno(-EACCES), "Permission denied");
	cr_expect_str_eq(fl_log_errno(EACCES), "Permission denied");
}
