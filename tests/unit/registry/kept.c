/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/cleanup.h"
#include "lib/declared.h"
#include "registry/kept.h"

#define TAKEN_MS 1700000000123ull
#define NOW_MS   1800000000000ull

static char root[32];
static char directory[64];

static void begin(void)
{
	strcpy(root, "/tmp/fl-kept-XXXXXX");
	cr_assert_not_null(mkdtemp(root));
	snprintf(directory, sizeof(directory), "%s/registries/consul", root);
}

static void end(void)
{
	_cleanup_free_ char *command = NULL;

	cr_assert_gt(asprintf(&command, "rm -r %s", root), 0);
	cr_assert_eq(system(command), 0);
}

TestSuite(registry_kept, .init = begin, .fini = end);

static char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void expect_loaded(fl_service_vec *expected, uint64_t taken_ms)
{
	struct fl_kept kept;

	cr_assert_eq(fl_kept_load(directory, "consul", NOW_MS, &kept), 0, "%s", kept.message);
	cr_expect_eq(kept.taken_ms, taken_ms);
	cr_expect_eq(kept.problems.errors, 0, "%s",
		kept.problems.count ? kept.problems.items[0].message : "");
	cr_assert_eq(kept.services.count, expected->count);
	for (size_t i = 0; i < expected->count; i++) {
		cr_expect(fl_service_equal(kept.services.items[i], expected->items[i]), "%s",
			expected->items[i]->name);
		cr_expect_str_eq(kept.services.items[i]->registry, "consul");
	}
	fl_kept_done(&kept);
}

/* ------------------------------------------------------------- there and back */

/* One service with everything that can be said. */
static const char everything[] =
	"services:\n"
	"- name: team/web.1\n"
	"  frontends: [ '10.0.0.10:80/tcp', '[2001:db8::10]:80/udp' ]\n"
	"  forward: ipip\n"
	"  slots: 4093\n"
	"  settle: { tcp: 90s, udp: 2h }\n"
	"  udp: move\n"
	"  balance: round-robin\n"
	"  key: source\n"
	"  affinity: 1h\n"
	"  locality: zone\n"
	"  spill: 150\n"
	"  max_fails: 0\n"
	"  stale: close\n"
	"  fail_timeout: 1m\n"
	"  max_ejected: 20\n"
	"  cross_family: true\n"
	"  register: elsewhere\n"
	"  tags: [ a, \"with, comma\", \"quo\\\"te\", 'true', '1' ]\n"
	"  meta: { key: value, other: x }\n"
	"  check: { http: /healthz, interval: 3s, timeout: 2s, rise: 4, fall: 5 }\n"
	"  endpoints:\n"
	"  - { address: '192.0.2.11:80', weight: 2, zone: a, node: n1, state: up }\n"
	"  - { address: '192.0.2.12:80', weight: 0, state: draining }\n"
	"  - { address: '192.0.2.13:80', weight: 65535, state: maintenance, zone: 'on' }\n"
	"  - { address: '[2001:db8::1]', state: down }\n"
	"- name: 'on'\n"
	"  frontends: [ '10.0.0.11:443/tcp' ]\n"
	"  endpoints: []\n";

static fl_service_vec parse(const char *text)
{
	struct fl_problems problems = { 0 };
	fl_service_vec list = { 0 };

	cr_assert_eq(fl_services_parse(text, strlen(text), "t", "consul", &problems, &list), 0,
		"%s", problems.count ? problems.items[0].message : "");
	fl_problems_done(&problems);
	return list;
}

Test(registry_kept, everything_there_and_back)
{
	fl_service_vec list = parse(everything);
	struct stat st;

	cr_assert_eq(fl_kept_store(directory, "consul", TAKEN_MS, list.items, list.count), 0);
	expect_loaded(&list, TAKEN_MS);
	cr_assert_eq(stat(path_of(FL_KEPT_FILE), &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600, "there may be secrets in it");
	cr_assert_eq(stat(directory, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0700);
	fl_services_done(&list);
}

Test(registry_kept, nothing_there_and_back)
{
	fl_service_vec none = { 0 };
	struct fl_kept kept;

	cr_expect_eq(fl_kept_load(directory, "consul", NOW_MS, &kept), -ENOENT);
	cr_assert_eq(fl_kept_store(directory, "consul", TAKEN_MS, NULL, 0), 0);
	expect_loaded(&none, TAKEN_MS);
}

Test(registry_kept, the_newer_one_counts)
{
	fl_service_vec list = parse(everything);

	cr_assert_eq(fl_kept_store(directory, "consul", TAKEN_MS, list.items, 2), 0);
	cr_assert_eq(fl_kept_store(directory, "consul", TAKEN_MS + 1000, list.items, 1), 0);
	fl_service_unref(list.items[1]);
	list.count = 1;
	expect_loaded(&list, TAKEN_MS + 1000);
	cr_assert_eq(fl_kept_touch(directory, TAKEN_MS + 5000), 0);
	expect_loaded(&list, TAKEN_MS + 5000);
	cr_assert_eq(fl_kept_touch(directory, NOW_MS + 5000), 0);
	expect_loaded(&list, TAKEN_MS + 1000); /* a clock that was wrong */
	fl_kept_forget(directory);
	cr_expect_neq(access(directory, F_OK), 0);
	fl_services_done(&list);
}

/* 2000 services with 20 endpoints each: several documents. */
Test(registry_kept, many_there_and_back)
{
	fl_service_vec list = { 0 };

	for (unsigned i = 0; i < 2000; i++) {
		char name[32], frontend[48], endpoints[1024] = "";

		snprintf(name, sizeof(name), "service-%u", i);
		snprintf(frontend, sizeof(frontend), "10.0.%u.%u:80/tcp", i / 250, i % 250);
		for (unsigned j = 0; j < 20; j++)
			snprintf(endpoints + strlen(endpoints),
				sizeof(endpoints) - strlen(endpoints), "192.0.%u.%u:8080*%u ",
				i % 250, j, j + 1);
		*(struct fl_service **)fl_vec_push(&list) = test_service(name, frontend, endpoints);
	}
	cr_assert_eq(fl_kept_store(directory, "consul", TAKEN_MS, list.items, list.count), 0);
	expect_loaded(&list, TAKEN_MS);
	fl_services_done(&list);
}

/* ------------------------------------------------------------------- damage */

struct damage_row {
	char name[40];
	char from[24], to[24]; /* the first such text is replaced by another of its length */
	long cut;              /* bytes cut off its end */
	char expect[48];       /* part of the message */
};

static const struct damage_row damages[] = {
	{ "a weight was changed", "weight: 2", "weight: 3", 0, "its checksum does not fit" },
	{ "cut in the middle", "", "", 100, "it was cut off" },
	{ "cut by a byte", "", "", 1, "it was cut off" },
	{ "another version", "snapshot=1", "snapshot=2", 0, "another version of Fairlead" },
	{ "no head", "# snapshot", "# snipshot", 0, "it is no snapshot" },
	{ "no documents", "---\n", "___\n", 0, "it is no snapshot" },
	{ "a NUL", "services", "serv\0ces", 0, "its checksum does not fit" },
	{ "letters for numbers", "bytes=0", "bytes=x", 0, "it is no snapshot" },
};

static void damage(const struct damage_row *row)
{
	static char text[65536];
	FILE *file = fopen(path_of(FL_KEPT_FILE), "r+");
	size_t length;
	char *at;

	cr_assert_not_null(file);
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	at = strstr(text, row->from);
	cr_assert_not_null(at, "%s", row->name);
	memcpy(at, row->to, strlen(row->from));
	rewind(file);
	fwrite(text, 1, length, file);
	fflush(file);
	cr_assert_eq(ftruncate(fileno(file), (off_t)length - row->cut), 0);
	fclose(file);
}

Test(registry_kept, what_is_damaged_is_set_aside)
{
	fl_service_vec list = parse(everything);

	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		const struct damage_row *row = &damages[i];
		struct fl_kept kept;

		cr_assert_eq(
			fl_kept_store(directory, "consul", TAKEN_MS, list.items, list.count), 0);
		damage(row);
		cr_expect_eq(fl_kept_load(directory, "consul", NOW_MS, &kept), -EBADMSG, "%s",
			row->name);
		cr_expect(strstr(kept.message, row->expect), "%s: %s", row->name, kept.message);
		cr_expect(strstr(kept.message, FL_KEPT_ASIDE), "%s", kept.message);
		cr_expect_eq(kept.services.count, 0);
		cr_expect_eq(access(path_of(FL_KEPT_ASIDE), F_OK), 0, "%s", row->name);
		cr_expect_eq(fl_kept_load(directory, "consul", NOW_MS, &kept), -ENOENT);
	}
	fl_services_done(&list);
}

Test(registry_kept, what_is_no_file_is_an_error)
{
	struct fl_kept kept;

	cr_assert_eq(fl_kept_store(directory, "consul", TAKEN_MS, NULL, 0), 0);
	unlink(path_of(FL_KEPT_FILE));
	cr_assert_eq(mkfifo(path_of(FL_KEPT_FILE), 0600), 0);
	cr_expect_eq(fl_kept_load(directory, "consul", NOW_MS, &kept), -EFBIG);
	cr_expect_neq(*kept.message, '\0');
}

Test(registry_kept, a_directory_that_cannot_be_made)
{
	int fd = open(root, O_RDONLY);
	char path[64];

	snprintf(path, sizeof(path), "%s/registries", root);
	fclose(fopen(path, "w"));
	cr_expect_lt(fl_kept_store(directory, "consul", TAKEN_MS, NULL, 0), 0);
	close(fd);
}
