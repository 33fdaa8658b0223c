/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The file registry on a real loop and a real directory. Nothing is asserted
 * about how fast: each story waits for what it expects.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "config/config.h"
#include "registry/registry.h"

#define DEADLINE_MS 120000

/* Alone: the one that is filled by command says something as well, when it begins. */
extern const struct fl_registry_driver fl_registry_file;
static const struct fl_registry_driver *const drivers[] = { &fl_registry_file, NULL };

/* One registry "file" that watches `directory`, and the loop it runs on. */
struct world {
	char root[32];      /* removed at the end */
	char directory[96]; /* that is watched */
	uv_loop_t loop;
	uv_timer_t wake; /* so that conditions are looked at */
	uv_timer_t deadline;
	bool is_late;
	struct fl_registry_set set;
	unsigned changes; /* calls of `changed` */
};

static void on_changed(void *context)
{
	((struct world *)context)->changes++;
}

static void on_wake(uv_timer_t *timer)
{
	(void)timer;
}

static void on_deadline(uv_timer_t *timer)
{
	((struct world *)timer->data)->is_late = true;
}

/* @param root  where the state directory is */
static struct fl_config *config_of(const char *root, const char *registries)
{
	struct fl_environment environment = { 0 };
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;
	char text[1024];

	snprintf(text, sizeof(text), "state_dir: %s/state\nregistries: [%s]\n", root, registries);
	cr_assert_eq(
		fl_config_parse(text, strlen(text), "t.yaml", &environment, &problems, &config), 0,
		"%s", text);
	return config;
}

static void open_loop(struct world *w)
{
	fl_registry_drivers = drivers;
	cr_assert_eq(uv_loop_init(&w->loop), 0);
	uv_timer_init(&w->loop, &w->wake);
	uv_timer_init(&w->loop, &w->deadline);
	w->deadline.data = w;
}

/* @param below  the watched directory, below the root */
static void begin(struct world *w, const char *below)
{
	memset(w, 0, sizeof(*w));
	strcpy(w->root, "/tmp/fl-registry-XXXXXX");
	cr_assert_not_null(mkdtemp(w->root));
	snprintf(w->directory, sizeof(w->directory), "%s/state", w->root);
	cr_assert_eq(mkdir(w->directory, 0700), 0);
	snprintf(w->directory, sizeof(w->directory), "%s/%s", w->root, below);
	open_loop(w);
}

static void start(struct world *w)
{
	char text[160];
	struct fl_config *config;

	snprintf(text, sizeof(text), "file: { path: \"%s\" }", w->directory);
	config = config_of(w->root, text);
	cr_assert_eq(fl_registry_set_start(&w->set, &w->loop, config, on_changed, w), 0);
	fl_config_free(config); /* the set keeps what it needs */
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* As an agent ends: what is on disk stays. */
static void stop(struct world *w)
{
	fl_registry_set_stop(&w->set);
	uv_close((uv_handle_t *)&w->wake, NULL);
	uv_close((uv_handle_t *)&w->deadline, NULL);
	cr_expect_eq(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
	cr_expect_eq(uv_loop_close(&w->loop), 0, "handles are left open");
}

static void end(struct world *w)
{
	stop(w);
	remove_tree(w->root);
}

/* As the next agent begins. */
static void restart(struct world *w)
{
	stop(w);
	w->changes = 0;
	open_loop(w);
	start(w);
}

/* Run the loop until the condition is true. */
#define WAIT_FOR(w, condition)                                                                     \
	do {                                                                                       \
		(w)->is_late = false;                                                              \
		uv_timer_start(&(w)->wake, on_wake, 10, 10);                                       \
		uv_timer_start(&(w)->deadline, on_deadline, DEADLINE_MS, 0);                       \
		while (!(condition) && !(w)->is_late)                                              \
			uv_run(&(w)->loop, UV_RUN_ONCE);                                           \
		uv_timer_stop(&(w)->wake);                                                         \
		uv_timer_stop(&(w)->deadline);                                                     \
		cr_assert(condition, "waited in vain; there is \"%s\", %s", names(w),              \
			(w)->set.registries[0]->last_error);                                       \
	} while (0)

/* "api web": the services as published. */
static const char *names(const struct world *w)
{
	static char text[1024];
	const struct fl_registry *registry = w->set.registries[0];

	text[0] = '\0';
	for (size_t i = 0; i < registry->services.count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			registry->services.items[i]->name);
	return text;
}

static bool has(const struct world *w, const char *services)
{
	return w->set.registries[0]->published && strcmp(names(w), services) == 0;
}

static const char *error_of(const struct world *w)
{
	return w->set.registries[0]->last_error;
}

/* "below the watched directory" */
static const char *path_of(const struct world *w, const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", w->directory, name);
	return path;
}

static void write_text(const struct world *w, const char *name, const char *text)
{
	FILE *out = fopen(path_of(w, name), "w");

	cr_assert_not_null(out, "%s", path_of(w, name));
	fputs(text, out);
	fclose(out);
}

/* A file with one service that has `endpoints` endpoints. Names give addresses. */
static void write_service(
	const struct world *w, const char *file, const char *name, unsigned endpoints)
{
	char text[1024];
	unsigned hash = 0;

	for (const char *c = name; *c; c++)
		hash = hash * 31 + (unsigned char)*c;
	snprintf(text, sizeof(text),
		"services:\n- name: %s\n  frontends: [10.0.%u.%u:80/tcp]\n  endpoints: [", name,
		hash >> 8 & 255, hash & 255);
	for (unsigned i = 0; i < endpoints; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"{address: 192.0.2.%u}, ", i + 1);
	strcat(text, "]\n");
	write_text(w, file, text);
}

static void make_directory(const char *path)
{
	cr_assert_eq(mkdir(path, 0755), 0, "%s", path);
}

static void make_link(const char *target, const char *path)
{
	cr_assert_eq(symlink(target, path), 0, "%s", path);
}

Test(registry_file, files_come_change_and_go)
{
	struct world w;

	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 1);
	start(&w);
	cr_expect_not(fl_registry_set_is_ready(&w.set));
	WAIT_FOR(&w, has(&w, "web"));
	cr_expect(fl_registry_set_is_ready(&w.set));
	cr_expect(w.set.registries[0]->up);
	cr_expect_gt(w.set.registries[0]->published_ms, 0);
	cr_expect_eq(w.changes, 1);

	write_service(&w, "api.yaml", "api", 2); /* in order of file names */
	WAIT_FOR(&w, has(&w, "api web"));
	write_service(&w, "web.yaml", "web", 3); /* in place */
	WAIT_FOR(&w, w.set.registries[0]->services.items[1]->endpoint_count == 3);
	cr_expect_str_eq(w.set.registries[0]->services.items[1]->file, path_of(&w, "web.yaml"));
	unlink(path_of(&w, "api.yaml"));
	WAIT_FOR(&w, has(&w, "web"));
	cr_expect_str_eq(error_of(&w), "");
	cr_expect_eq(w.set.registries[0]->updates, 4);
	end(&w);
}

/* In one file, with a line for each. */
static void write_three(const struct world *w, const char *before, const char *second)
{
	char text[512];

	snprintf(text, sizeof(text),
		"services:\n%s"
		"- {name: a, frontends: [10.0.0.1:80/tcp], endpoints: [{address: 192.0.2.1}]}\n"
		"- {name: b, frontends: [10.0.0.2:80/tcp], endpoints: [{address: %s}]}\n"
		"- {name: c, frontends: [10.0.0.3:80/tcp], endpoints: [{address: 192.0.2.3}]}\n",
		before, second);
	write_text(w, "all.yaml", text);
}

Test(registry_file, what_stands_there_as_before_is_the_same_object)
{
	struct fl_service *kept[3];
	struct world w;

	begin(&w, "services.d");
	make_directory(w.directory);
	write_three(&w, "", "192.0.2.2");
	start(&w);
	WAIT_FOR(&w, has(&w, "a b c"));
	for (int i = 0; i < 3; i++)
		kept[i] = fl_service_ref(w.set.registries[0]->services.items[i]);
	write_three(&w, "", "192.0.2.9");
	WAIT_FOR(&w, w.set.registries[0]->services.items[1] != kept[1]);
	cr_expect_eq(w.set.registries[0]->services.items[0], kept[0]);
	cr_expect_eq(w.set.registries[0]->services.items[2], kept[2]);

	write_three(&w, "\n", "192.0.2.9"); /* where it stands is told in messages */
	WAIT_FOR(&w, w.set.registries[0]->services.items[0] != kept[0]);
	cr_expect_eq(w.set.registries[0]->services.items[2]->line, 5);
	for (int i = 0; i < 3; i++)
		fl_service_unref(kept[i]);
	end(&w);
}

Test(registry_file, renamed_over)
{
	struct world w;
	char aside[PATH_MAX];

	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, "web"));
	for (unsigned round = 2; round < 6; round++) {
		write_service(&w, ".web.yaml.new", "web", round);
		strcpy(aside, path_of(&w, ".web.yaml.new"));
		rename(aside, path_of(&w, "web.yaml"));
		WAIT_FOR(&w, w.set.registries[0]->services.items[0]->endpoint_count == round);
	}
	/* and to another name, which is the same service in another file */
	strcpy(aside, path_of(&w, "web.yaml"));
	rename(aside, path_of(&w, "zweb.yaml"));
	WAIT_FOR(&w, strstr(w.set.registries[0]->services.items[0]->file, "zweb.yaml") != NULL);
	cr_expect(has(&w, "web"));
	end(&w);
}

Test(registry_file, a_bad_file_keeps_what_it_declared)
{
	static const char *const garbage[] = { "services: [", "", "services:\n", "\177ELF\001\002",
		"services:\n- {name: web, frontends: [10.0.0.1:80/tcp], endpoints: [x]}\n",
		"- just\n- a list\n" };
	struct world w;

	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 2);
	write_service(&w, "api.yaml", "api", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, "api web"));
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		write_text(&w, "web.yaml", garbage[i]);
		WAIT_FOR(&w, *error_of(&w));
		cr_expect(has(&w, "api web"), "%zu: %s", i, names(&w));
		cr_expect(w.set.registries[0]->up);
		cr_expect_not_null(strstr(error_of(&w), "web.yaml:"), "%s", error_of(&w));
		cr_expect_geq(w.set.registries[0]->problems.errors, 1);

		write_service(&w, "api.yaml", "api", 2 + (unsigned)i); /* the others go on */
		WAIT_FOR(&w, w.set.registries[0]->services.items[0]->endpoint_count == 2 + i);
		cr_expect(has(&w, "api web"));
		cr_expect_eq(w.set.registries[0]->services.items[1]->endpoint_count, 2);
		cr_expect_neq(*error_of(&w), '\0', "still shown");

		write_service(&w, "web.yaml", "web", 2); /* mended */
		WAIT_FOR(&w, !*error_of(&w));
	}
	write_text(&w, "web.yaml", garbage[0]);
	WAIT_FOR(&w, *error_of(&w));
	unlink(path_of(&w, "web.yaml")); /* a deleted file declares nothing */
	WAIT_FOR(&w, has(&w, "api"));
	cr_expect_str_eq(error_of(&w), "");
	end(&w);
}

Test(registry_file, a_bad_file_at_the_start)
{
	struct world w;

	begin(&w, "services.d");
	make_directory(w.directory);
	write_text(&w, "a.yaml",
		"services:\n- {name: good, frontends: [10.0.0.1:80/tcp], endpoints: []}\n"
		"- {name: bad, frontends: [nowhere], endpoints: []}\n");
	write_text(&w, "b.yaml", "{{{");
	start(&w);
	WAIT_FOR(&w, has(&w, "good"));
	cr_expect_not_null(strstr(error_of(&w), "a.yaml:3:"), "%s", error_of(&w));
	cr_expect_not_null(strstr(error_of(&w), "(and 1 more)"), "%s", error_of(&w));
	cr_expect(fl_registry_set_is_ready(&w.set));
	write_service(&w, "a.yaml", "better", 1);
	WAIT_FOR(&w, has(&w, "better"));
	end(&w);
}

/* Nothing is read but NAME.yaml; the last file is there to be waited for. */
Test(registry_file, other_files_are_not_read)
{
	static const char *const others[] = { ".hidden.yaml", "web.yaml~", "#web.yaml#",
		".web.yaml.swp", "web.yml", "web.yaml.bak", "README", "yaml", ".yaml", "4913" };
	struct world w;

	begin(&w, "services.d");
	make_directory(w.directory);
	start(&w);
	WAIT_FOR(&w, has(&w, ""));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		write_service(&w, others[i], "wrong", 1);
	write_service(&w, "right.yaml", "right", 1);
	WAIT_FOR(&w, has(&w, "right"));
	cr_expect_str_eq(error_of(&w), "");
	end(&w);
}

Test(registry_file, a_directory_that_comes_later)
{
	struct world w;
	char path[PATH_MAX];

	begin(&w, "a/b/services.d");
	start(&w);
	WAIT_FOR(&w, has(&w, ""));
	cr_expect(fl_registry_set_is_ready(&w.set), "absent is empty");
	cr_expect(w.set.registries[0]->up);
	cr_expect_str_eq(error_of(&w), "");
	cr_expect_eq(w.set.registries[0]->problems.count, 1, "but said");

	snprintf(path, sizeof(path), "%s/a", w.root);
	make_directory(path);
	strcat(path, "/b");
	make_directory(path);
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 1);
	WAIT_FOR(&w, has(&w, "web"));
	cr_expect_eq(w.set.registries[0]->problems.count, 0);
	end(&w);
}

Test(registry_file, a_directory_that_goes_and_comes_back)
{
	struct world w;

	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, "web"));
	for (unsigned round = 1; round < 4; round++) {
		remove_tree(w.directory);
		WAIT_FOR(&w, has(&w, ""));
		make_directory(w.directory);
		write_service(&w, "web.yaml", "web", round);
		WAIT_FOR(&w, has(&w, "web"));
		write_service(&w, "web.yaml", "web", round + 1); /* it is watched again */
		WAIT_FOR(&w, w.set.registries[0]->services.items[0]->endpoint_count == round + 1);
	}
	end(&w);
}

/* Another directory is moved to its place, and so is one above it. */
Test(registry_file, a_directory_that_is_exchanged)
{
	struct world w;
	struct world other;
	char old[PATH_MAX];

	begin(&w, "etc/services.d");
	snprintf(old, sizeof(old), "%s/etc", w.root);
	make_directory(old);
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, "web"));

	other = w;
	snprintf(other.directory, sizeof(other.directory), "%s/etc/next", w.root);
	make_directory(other.directory);
	write_service(&other, "api.yaml", "api", 1);
	snprintf(old, sizeof(old), "%s/etc/last", w.root);
	rename(w.directory, old);
	rename(other.directory, w.directory);
	WAIT_FOR(&w, has(&w, "api"));
	write_service(&w, "more.yaml", "more", 1);
	WAIT_FOR(&w, has(&w, "api more"));

	snprintf(old, sizeof(old), "%s/etc", w.root);
	snprintf(other.directory, sizeof(other.directory), "%s/etc.old", w.root);
	rename(old, other.directory);
	WAIT_FOR(&w, has(&w, ""));
	rename(other.directory, old);
	WAIT_FOR(&w, has(&w, "api more"));
	end(&w);
}

Test(registry_file, what_is_no_directory_keeps_everything)
{
	struct world w;
	char old[PATH_MAX];

	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, "web"));
	snprintf(old, sizeof(old), "%s/old", w.root);
	rename(w.directory, old);
	make_link("services.d", w.directory); /* leads to itself: cannot be opened */
	WAIT_FOR(&w, !w.set.registries[0]->up);
	cr_expect(has(&w, "web"));
	cr_expect_not_null(strstr(error_of(&w), "services.d: Too many levels of symbolic links"),
		"%s", error_of(&w));
	unlink(w.directory);
	fclose(fopen(w.directory, "w")); /* a file in its place */
	WAIT_FOR(&w, strstr(error_of(&w), "services.d: Not a directory") != NULL);
	cr_expect(has(&w, "web"));
	unlink(w.directory);
	rename(old, w.directory);
	WAIT_FOR(&w, w.set.registries[0]->up);
	cr_expect(has(&w, "web"));
	cr_expect_str_eq(error_of(&w), "");
	end(&w);
}

/* The rights of a file or a directory are taken away and given back. */
Test(registry_file, what_is_unreadable_keeps_everything)
{
	struct world w;

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		cr_skip_test("root may read everything");
	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "api.yaml", "api", 1);
	write_service(&w, "web.yaml", "web", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, "api web"));

	chmod(path_of(&w, "web.yaml"), 0);
	WAIT_FOR(&w, *error_of(&w));
	cr_expect_not_null(strstr(error_of(&w), "web.yaml: cannot be read: Permission denied"),
		"%s", error_of(&w));
	cr_expect(has(&w, "api web"));
	cr_expect(w.set.registries[0]->up);
	chmod(path_of(&w, "web.yaml"), 0644);
	WAIT_FOR(&w, !*error_of(&w));

	chmod(w.directory, 0);
	WAIT_FOR(&w, !w.set.registries[0]->up);
	cr_expect_not_null(
		strstr(error_of(&w), "services.d: Permission denied"), "%s", error_of(&w));
	cr_expect(has(&w, "api web"));
	chmod(w.directory, 0755);
	WAIT_FOR(&w, w.set.registries[0]->up);
	cr_expect(has(&w, "api web"));
	write_service(&w, "zoo.yaml", "zoo", 1);
	WAIT_FOR(&w, has(&w, "api web zoo"));
	end(&w);
}

Test(registry_file, an_unreadable_directory_at_the_start)
{
	struct world w;

	begin(&w, "services.d");
	make_link("services.d", w.directory);
	start(&w);
	WAIT_FOR(&w, fl_registry_set_is_ready(&w.set));
	cr_expect_not(w.set.registries[0]->published);
	cr_expect_eq(w.changes, 1, "the owner is told that there is an answer");
	unlink(w.directory);
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 1);
	WAIT_FOR(&w, has(&w, "web"));
	end(&w);
}

Test(registry_file, symbolic_links)
{
	struct world w;
	struct world outside;
	char target[PATH_MAX];
	char path[PATH_MAX];

	begin(&w, "services.d");
	make_directory(w.directory);
	outside = w;
	snprintf(outside.directory, sizeof(outside.directory), "%s/outside", w.root);
	make_directory(outside.directory);
	write_service(&outside, "real", "one", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, ""));
	strcpy(target, path_of(&outside, "real"));
	make_link(target, path_of(&w, "link.yaml"));
	WAIT_FOR(&w, has(&w, "one"));
	write_service(&outside, "real", "two", 1); /* what it leads to is written */
	WAIT_FOR(&w, has(&w, "two"));
	write_service(&outside, "next", "three", 1); /* and replaced */
	strcpy(path, path_of(&outside, "next"));
	rename(path, target);
	WAIT_FOR(&w, has(&w, "three"));
	write_service(&outside, "real", "four", 1); /* and watched again */
	WAIT_FOR(&w, has(&w, "four"));

	unlink(target); /* a link that leads nowhere is an error, not a deletion */
	WAIT_FOR(&w, *error_of(&w));
	cr_expect(has(&w, "four"));
	unlink(path_of(&w, "link.yaml"));
	WAIT_FOR(&w, has(&w, ""));
	end(&w);
}

/* As kubelet mounts a ConfigMap: all files change at once by one renamed link. */
Test(registry_file, links_through_a_directory_that_is_exchanged)
{
	struct world w;
	char first[PATH_MAX];

	begin(&w, "services.d");
	make_directory(w.directory);
	make_directory(path_of(&w, "..1"));
	make_directory(path_of(&w, "..2"));
	write_service(&w, "..1/web.yaml", "old", 1);
	write_service(&w, "..2/web.yaml", "new", 1);
	make_link("..1", path_of(&w, "..data"));
	make_link("..data/web.yaml", path_of(&w, "web.yaml"));
	start(&w);
	WAIT_FOR(&w, has(&w, "old"));
	make_link("..2", path_of(&w, "..data_tmp"));
	strcpy(first, path_of(&w, "..data_tmp"));
	rename(first, path_of(&w, "..data"));
	WAIT_FOR(&w, has(&w, "new"));
	end(&w);
}

/* Half of a file is there while another one changes: whether its writer is waited
 * for or not, what comes out in the end is the whole. */
Test(registry_file, half_written)
{
	struct world w;
	FILE *out;

	begin(&w, "services.d");
	make_directory(w.directory);
	start(&w);
	WAIT_FOR(&w, has(&w, ""));
	out = fopen(path_of(&w, "web.yaml"), "w");
	fputs("services:\n- {name: web, frontends: [10.9.0.1:80/tcp], endpoints: []}\n- {name: "
	      "api, fron",
		out);
	fflush(out);
	write_service(&w, "other.yaml", "other", 1);
	WAIT_FOR(&w, strstr(names(&w), "other") != NULL);
	fputs("tends: [10.9.0.2:80/tcp], endpoints: []}\n", out);
	fclose(out);
	WAIT_FOR(&w, has(&w, "other web api"));
	WAIT_FOR(&w, !*error_of(&w));
	end(&w);
}

Test(registry_file, many_files_at_once)
{
	struct world w;

	begin(&w, "services.d");
	make_directory(w.directory);
	start(&w);
	WAIT_FOR(&w, has(&w, ""));
	for (unsigned i = 0; i < 300; i++) {
		char file[32], name[32];

		snprintf(file, sizeof(file), "f%03u.yaml", i);
		snprintf(name, sizeof(name), "s%03u", i);
		write_service(&w, file, name, 1);
	}
	WAIT_FOR(&w, w.set.registries[0]->services.count == 300);
	for (unsigned i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "s%03u", i);
		cr_expect_str_eq(w.set.registries[0]->services.items[i]->name, name);
	}
	end(&w);
}

static void expect_no_repeat(uv_handle_t *handle, void *context)
{
	(void)context;
	if (handle->type == UV_TIMER)
		cr_expect_eq(uv_timer_get_repeat((uv_timer_t *)handle), 0);
}

/* An idle registry has no timer: only inotify can wake it. */
Test(registry_file, idle_means_asleep)
{
	struct world w;

	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, "web"));
	WAIT_FOR(&w, (uv_timer_stop(&w.wake), uv_timer_stop(&w.deadline), uv_update_time(&w.loop),
			     w.loop.active_reqs.count == 0 && uv_backend_timeout(&w.loop) == -1));
	uv_timer_set_repeat(&w.wake, 0);
	uv_walk(&w.loop, expect_no_repeat, NULL);
	end(&w);
}

/* Looking again finds what no event told: SIGHUP is the last resort. */
Test(registry_file, refresh_reads_everything_again)
{
	struct world w;
	uint64_t before_ms;
	unsigned changes;

	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, "web"));
	changes = w.changes;
	before_ms = w.set.registries[0]->published_ms;
	fl_registry_set_refresh(&w.set);
	WAIT_FOR(&w, w.changes > changes);
	cr_expect_geq(w.set.registries[0]->published_ms, before_ms);
	cr_expect_eq(w.set.registries[0]->updates, 1, "it is the same as before");
	end(&w);
}

/* Stopping in the middle of everything leaves nothing behind (ASan looks). */
Test(registry_file, stop_at_any_moment)
{
	for (unsigned turns = 0; turns < 12; turns++) {
		struct world w;

		begin(&w, "services.d");
		make_directory(w.directory);
		write_service(&w, "web.yaml", "web", 1);
		start(&w);
		for (unsigned i = 0; i < turns; i++) {
			if (i == 4)
				write_service(&w, "web.yaml", "web", 2);
			uv_run(&w.loop, UV_RUN_NOWAIT);
		}
		end(&w);
	}
}

/* A reload keeps what did not change, starts what is new, stops what is gone. */
Test(registry_file, another_configuration)
{
	struct world w;
	char second[200];
	char both[500];
	struct fl_config *config;
	struct fl_registry *kept;

	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, "web"));
	write_text(&w, "web.yaml", "broken");
	WAIT_FOR(&w, *error_of(&w));
	kept = w.set.registries[0];

	snprintf(second, sizeof(second), "file: { name: second, path: %s/second.d }", w.root);
	snprintf(both, sizeof(both), "{ %s }, { file: { path: %s } }", second, w.directory);
	config = config_of(w.root, both);
	cr_assert_eq(fl_registry_set_configure(&w.set, config), 0);
	fl_config_free(config);
	cr_assert_eq(w.set.count, 2);
	cr_expect_eq(w.set.registries[1], kept, "its last good content would be lost");
	cr_expect_str_eq(kept->services.items[0]->name, "web");
	cr_expect_not(fl_registry_set_is_ready(&w.set));
	WAIT_FOR(&w, fl_registry_set_is_ready(&w.set));
	cr_expect_str_eq(w.set.registries[0]->config->name, "second");

	config = config_of(w.root, "");
	cr_assert_eq(fl_registry_set_configure(&w.set, config), 0);
	fl_config_free(config);
	cr_expect_eq(w.set.count, 0);
	cr_expect(fl_registry_set_is_ready(&w.set));
	end(&w);
}

/* What a file said before it was broken outlives the agent. */
Test(registry_file, a_restart_with_a_broken_file)
{
	struct world w;

	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 2);
	write_service(&w, "api.yaml", "api", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, "api web"));
	write_service(&w, "web.yaml", "web", 3); /* the last good one counts */
	WAIT_FOR(&w, w.set.registries[0]->services.items[1]->endpoint_count == 3);
	write_text(&w, "web.yaml", "services: [");
	for (int round = 0; round < 2; round++) {
		restart(&w);
		WAIT_FOR(&w, has(&w, "api web"));
		cr_expect_eq(w.set.registries[0]->services.items[1]->endpoint_count, 3);
		cr_expect_str_eq(
			w.set.registries[0]->services.items[1]->file, path_of(&w, "web.yaml"));
		cr_expect_not_null(strstr(error_of(&w), "web.yaml:"), "%s", error_of(&w));
	}
	write_text(&w, "web.yaml", "still broken");
	WAIT_FOR(&w, strstr(error_of(&w), "still broken does not fit") != NULL);
	cr_expect(has(&w, "api web"));
	unlink(path_of(&w, "web.yaml"));
	WAIT_FOR(&w, has(&w, "api"));
	write_text(&w, "web.yaml", "services: [");
	WAIT_FOR(&w, *error_of(&w));
	restart(&w); /* it was deleted: nothing of it is left */
	WAIT_FOR(&w, has(&w, "api"));
	end(&w);
}

Test(registry_file, a_restart_with_an_unreadable_directory)
{
	struct world w;
	char aside[PATH_MAX];

	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 2);
	write_service(&w, "api.yaml", "api", 1);
	start(&w);
	WAIT_FOR(&w, has(&w, "api web"));
	stop(&w);
	snprintf(aside, sizeof(aside), "%s/aside", w.root);
	rename(w.directory, aside);
	make_link("services.d", w.directory);
	open_loop(&w);
	start(&w);
	WAIT_FOR(&w, has(&w, "api web"));
	WAIT_FOR(&w, !w.set.registries[0]->up);
	cr_expect(w.set.registries[0]->published);
	cr_expect_gt(w.set.registries[0]->published_ms, 0);
	cr_expect_not_null(strstr(error_of(&w), "symbolic links"), "%s", error_of(&w));
	unlink(w.directory);
	rename(aside, w.directory);
	WAIT_FOR(&w, w.set.registries[0]->up);
	cr_expect(has(&w, "api web"));
	end(&w);
}

/* Copies that are damaged, or that cannot be written, break nothing. */
Test(registry_file, copies_that_are_no_help)
{
	struct world w;
	struct world copies;
	char state[PATH_MAX];

	begin(&w, "services.d");
	make_directory(w.directory);
	write_service(&w, "web.yaml", "web", 2);
	start(&w);
	WAIT_FOR(&w, has(&w, "web"));
	copies = w;
	snprintf(copies.directory, sizeof(copies.directory), "%s/state/registries/file", w.root);
	write_text(&copies, "web.yaml", "damaged");
	write_text(&w, "web.yaml",
		"services:\n- {name: part, frontends: [10.0.0.1:80/tcp], endpoints: []}\n- x\n");
	restart(&w);
	WAIT_FOR(&w, has(&w, "part"));

	snprintf(state, sizeof(state), "%s/state", w.root);
	remove_tree(state);
	write_service(&w, "web.yaml", "web", 1);
	WAIT_FOR(&w, has(&w, "web"));
	cr_expect_str_eq(error_of(&w), "");
	end(&w);
}

/* --check tells of all files at once, and of conflicts between them. */
Test(registry_file, check)
{
	struct world w;
	struct fl_problems problems = { 0 };
	struct fl_config *config;
	char text[200];
	char line[512];

	begin(&w, "services.d");
	/* a registry elsewhere is not asked: nothing is said of the one that is not there */
	snprintf(text, sizeof(text), "consul: { url: \"http://127.0.0.1:1\" }, file: { path: %s }",
		w.directory);
	config = config_of(w.root, text);
	cr_expect_eq(fl_registry_check(config, &problems), 0);
	cr_assert_eq(problems.count, 1);
	cr_expect(problems.items[0].warning, "an absent directory is no error");
	fl_problems_done(&problems);

	make_directory(w.directory);
	write_service(&w, "a.yaml", "web", 1);
	cr_expect_eq(fl_registry_check(config, &problems), 0);
	cr_expect_eq(problems.count, 0);
	write_service(&w, "b.yaml", "web", 1);
	write_text(&w, "c.yaml", "nothing\n");
	cr_expect_lt(fl_registry_check(config, &problems), 0);
	cr_assert_eq(problems.errors, 2);
	fl_problem_format(&problems.items[0], line, sizeof(line));
	cr_expect_not_null(strstr(line, "c.yaml:1:1: services: nothing does not fit"), "%s", line);
	fl_problem_format(&problems.items[1], line, sizeof(line));
	cr_expect_not_null(
		strstr(line, "b.yaml:2:3: services.name: web is the name of another service"), "%s",
		line);
	fl_problems_done(&problems);
	fl_config_free(config);
	end(&w);
}
