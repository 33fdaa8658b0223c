/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "net/secret.h"

#define DEADLINE_NS 60000000000ull

static char directory[32];
static char path[48];

static void begin(void)
{
	strcpy(directory, "/tmp/fl-secret-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/token", directory);
}

static void end(void)
{
	unlink(path);
	rmdir(path);
	rmdir(directory);
}

static void put(const char *bytes, size_t count)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	fwrite(bytes, 1, count, file);
	fclose(file);
}

TestSuite(secret, .init = begin, .fini = end);

struct secret_row {
	char name[32];
	char text[24];
	size_t count;
	int error;
	char expect[24];
};

Test(secret, what_a_file_may_hold)
{
	static const struct secret_row rows[] = {
		{ "as echo writes it", "s3cret\n", 7, 0, "s3cret" },
		{ "as an editor on Windows does", " s3cret \r\n\r\n", 12, 0, "s3cret" },
		{ "without an end of line", "s3cret", 6, 0, "s3cret" },
		{ "a space within", "a b", 3, 0, "a b" },
		{ "empty", "", 0, -EINVAL, "" },
		{ "white space alone", " \n\t\n", 4, -EINVAL, "" },
		{ "two lines", "a\nX-Other: b", 12, -EINVAL, "" },
		{ "a NUL within", "a\0b", 3, -EINVAL, "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fl_secret *secret = fl_secret_open(path);
		const char *value = "";

		put(rows[i].text, rows[i].count);
		cr_expect_eq(fl_secret_get(secret, &value), rows[i].error, "%s", rows[i].name);
		cr_expect_str_eq(value, rows[i].expect, "%s", rows[i].name);
		fl_secret_close(secret);
	}
}

Test(secret, eight_kib_and_no_more)
{
	struct fl_secret *secret = fl_secret_open(path);
	static char text[8193];
	const char *value;

	memset(text, 'x', sizeof(text));
	put(text, 8192);
	cr_expect_eq(fl_secret_get(secret, &value), 0);
	cr_expect_eq(strlen(value), 8192);
	put(text, 8193);
	fl_secret_refused(secret);
	cr_expect_eq(fl_secret_get(secret, &value), -EINVAL);
	fl_secret_close(secret);
}

Test(secret, is_read_again_once_it_was_refused)
{
	struct fl_secret *secret = fl_secret_open(path);
	const char *value;

	cr_expect_eq(fl_secret_get(secret, &value), -ENOENT);
	put("old", 3);
	fl_secret_refused(secret);
	cr_expect_eq(fl_secret_get(secret, &value), 0);
	cr_expect_str_eq(value, "old");
	put("new", 3);
	fl_secret_refused(secret);
	cr_expect_eq(fl_secret_get(secret, &value), 0);
	cr_expect_str_eq(value, "new");
	unlink(path);
	fl_secret_refused(secret);
	cr_expect_eq(fl_secret_get(secret, &value), -ENOENT);
	fl_secret_close(secret);
}

Test(secret, a_change_is_seen_in_time)
{
	struct fl_secret *secret = fl_secret_open(path);
	uint64_t end_ns = fl_clock_mono_ns() + DEADLINE_NS;
	const char *value;

	put("old", 3);
	cr_expect_eq(fl_secret_get(secret, &value), 0);
	cr_expect_str_eq(value, "old");
	put("new", 3);
	while (strcmp(value, "new") != 0) {
		cr_assert_lt(fl_clock_mono_ns(), end_ns, "still %s", value);
		usleep(50000);
		cr_assert_eq(fl_secret_get(secret, &value), 0);
	}
	fl_secret_close(secret);
}

Test(secret, only_plain_files)
{
	struct fl_secret *secret = fl_secret_open(path);
	const char *value;

	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(fl_secret_get(secret, &value), -EINVAL, "a pipe would block");
	unlink(path);
	cr_assert_eq(mkdir(path, 0700), 0);
	fl_secret_refused(secret);
	cr_expect_eq(fl_secret_get(secret, &value), -EISDIR);
	fl_secret_close(secret);
}
