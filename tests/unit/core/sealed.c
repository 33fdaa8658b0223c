/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/sealed.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/fairlead-sealed-XXXXXX";

static void make_directory(void)
{
	cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void)
{
	static const char *const names[] = { "health", "health.bad", ".health.new" };
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}

TestSuite(sealed, .init = make_directory, .fini = remove_directory);

static char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static int load(char **text, size_t *length)
{
	struct fl_failure failure = { 0 };
	int r = fl_sealed_load(directory, "health", &failure, text, length);

	cr_assert((r < 0 && r != -ENOENT) == !!failure.message[0], "%d %s", r, failure.message);
	return r;
}

Test(sealed, what_is_stored_is_loaded)
{
	char *text = NULL;
	size_t length = 0;

	cr_assert_eq(load(&text, &length), -ENOENT);
	cr_assert_eq(fl_sealed_store(directory, "health", "one\ntwo\n", 8), 0);
	cr_assert_eq(load(&text, &length), 0);
	cr_assert_str_eq(text, "one\ntwo\n");
	cr_assert_eq(length, 8);
	free(text);
	cr_assert_eq(fl_sealed_store(directory, "health", "", 0), 0, "nothing is something");
	cr_assert_eq(load(&text, &length), 0);
	cr_assert_eq(length, 0);
	free(text);
	cr_assert_neq(access(path_of(".health.new"), F_OK), 0, "nothing lies about");
}

/* What may happen to a file of 8 bytes behind its first line. */
static const struct {
	const char *name;
	long at; /* from the end, or from the begin when >= 0 */
	const char *bytes;
	long cut;
} harms[] = {
	{ "a byte of the text is another", -3, "X", 0 },
	{ "the end is missing", 0, NULL, 1 },
	{ "the first line is missing", 0, "hello\n", 0 },
	{ "something was added", -1, "\nmore", 0 },
};

Test(sealed, what_was_harmed_is_set_aside)
{
	for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++) {
		char *text = NULL;
		size_t length = 0;
		struct stat st;
		FILE *file;

		cr_assert_eq(fl_sealed_store(directory, "health", "one\ntwo\n", 8), 0);
		cr_assert_eq(stat(path_of("health"), &st), 0);
		file = fopen(path_of("health"), "r+");
		cr_assert_not_null(file);
		if (harms[i].bytes) {
			fseek(file, harms[i].at, harms[i].at < 0 ? SEEK_END : SEEK_SET);
			fputs(harms[i].bytes, file);
		}
		fclose(file);
		if (harms[i].cut)
			cr_assert_eq(truncate(path_of("health"), st.st_size - harms[i].cut), 0);
		cr_assert_eq(load(&text, &length), -EBADMSG, "%s", harms[i].name);
		cr_assert_eq(access(path_of("health.bad"), F_OK), 0, "%s", harms[i].name);
		cr_assert_eq(load(&text, &length), -ENOENT, "%s", harms[i].name);
	}
}

Test(sealed, without_a_directory_there_is_nothing)
{
	struct fl_failure failure = { 0 };
	char *text = NULL;
	size_t length = 0;

	cr_assert_eq(fl_sealed_load("/nonexistent", "health", &failure, &text, &length), -ENOENT);
	cr_assert_lt(fl_sealed_store("/nonexistent", "health", "", 0), 0);
}
