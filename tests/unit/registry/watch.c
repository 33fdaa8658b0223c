/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which events count as a change, and which files count as being written.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "registry/watch.h"

#define HOUR_MS     3600000
#define DEADLINE_MS 120000

struct world {
	char directory[32];
	uv_loop_t loop;
	uv_timer_t deadline;
	bool is_late;
	struct fl_watch *watch;
	unsigned changes;
};

static void on_changed(void *context)
{
	((struct world *)context)->changes++;
}

static void on_deadline(uv_timer_t *timer)
{
	((struct world *)timer->data)->is_late = true;
}

static void begin(struct world *w, uint64_t pause_ms)
{
	memset(w, 0, sizeof(*w));
	strcpy(w->directory, "/tmp/fl-watch-XXXXXX");
	cr_assert_not_null(mkdtemp(w->directory));
	uv_loop_init(&w->loop);
	uv_timer_init(&w->loop, &w->deadline);
	w->deadline.data = w;
	cr_assert_eq(fl_watch_open(&w->loop, w->directory, pause_ms, on_changed, w, &w->watch), 0);
	cr_assert_eq(fl_watch_arm(w->watch), 0);
}

static void end(struct world *w)
{
	fl_watch_close(w->watch);
	uv_close((uv_handle_t *)&w->deadline, NULL);
	cr_expect_eq(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
	cr_expect_eq(uv_loop_close(&w->loop), 0);
	rmdir(w->directory);
}

#define WAIT_FOR(w, condition)                                                                     \
	do {                                                                                       \
		(w)->is_late = false;                                                              \
		uv_timer_start(&(w)->deadline, on_deadline, DEADLINE_MS, 0);                       \
		while (!(condition) && !(w)->is_late)                                              \
			uv_run(&(w)->loop, UV_RUN_ONCE);                                           \
		uv_timer_stop(&(w)->deadline);                                                     \
		cr_assert(condition);                                                              \
	} while (0)

static const char *path_of(const struct world *w, const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", w->directory, name);
	return path;
}

static bool is_busy(const struct world *w, const char *name)
{
	size_t count;
	char *const *busy = fl_watch_busy(w->watch, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(busy[i], name) == 0)
			return true;
	return false;
}

Test(registry_watch, a_file_is_busy_until_it_is_closed)
{
	struct world w;
	int fd;

	begin(&w, HOUR_MS);
	fd = open(path_of(&w, "web.yaml"), O_WRONLY | O_CREAT, 0644);
	cr_assert_eq(write(fd, "x", 1), 1);
	WAIT_FOR(&w, is_busy(&w, "web.yaml"));
	cr_expect_eq(w.changes, 0, "it is half written");
	close(fd);
	WAIT_FOR(&w, w.changes == 1);
	cr_expect_not(is_busy(&w, "web.yaml"));
	unlink(path_of(&w, "web.yaml"));
	WAIT_FOR(&w, w.changes == 2);
	end(&w);
}

Test(registry_watch, a_silent_writer_is_not_waited_for)
{
	struct world w;
	int fd;

	begin(&w, 1);
	fd = open(path_of(&w, "web.yaml"), O_WRONLY | O_CREAT, 0644);
	cr_assert_eq(write(fd, "x", 1), 1);
	WAIT_FOR(&w, w.changes == 1);
	cr_expect_not(is_busy(&w, "web.yaml"));
	close(fd);
	unlink(path_of(&w, "web.yaml"));
	WAIT_FOR(&w, w.changes >= 2);
	end(&w);
}

/* Each does one thing with the files of a directory; the last thing is a link
 * that is made, which always counts, so that it is seen when nothing else does. */
static void create_and_write(const struct world *w)
{
	int fd = open(path_of(w, "a.yaml"), O_WRONLY | O_CREAT, 0644);

	cr_assert_eq(write(fd, "x", 1), 1);
	close(fd);
}

static void change_rights(const struct world *w)
{
	cr_assert_eq(chmod(path_of(w, "old.yaml"), 0600), 0);
}

static void rename_aside(const struct world *w)
{
	char from[PATH_MAX];

	strcpy(from, path_of(w, "old.yaml"));
	cr_assert_eq(rename(from, path_of(w, "old.bak")), 0);
}

static void delete(const struct world *w)
{
	unlink(path_of(w, "old.yaml"));
}

static void write_another_kind(const struct world *w)
{
	int fd = open(path_of(w, "a.swp"), O_WRONLY | O_CREAT, 0644);

	cr_assert_eq(write(fd, "x", 1), 1);
	close(fd);
}

static void hard_link(const struct world *w)
{
	char from[PATH_MAX];

	strcpy(from, path_of(w, "old.yaml"));
	cr_assert_eq(link(from, path_of(w, "new.yaml")), 0);
}

static void read_only(const struct world *w)
{
	int fd = open(path_of(w, "old.yaml"), O_RDONLY);

	close(fd);
}

Test(registry_watch, what_counts_as_a_change)
{
	static const struct {
		const char *name;
		void (*act)(const struct world *w);
		bool counts;
	} rows[] = {
		{ "a file is written", create_and_write, true },
		{ "rights change", change_rights, true },
		{ "a file is renamed", rename_aside, true },
		{ "a file is deleted", delete, true },
		{ "a hard link is made", hard_link, true },
		{ "an editor's file is written", write_another_kind, false },
		{ "a file is read", read_only, false },
	};
	static const char *const leftovers[] = { "old.yaml", "a.yaml", "a.swp", "old.bak",
		"new.yaml", "end" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;

		begin(&w, HOUR_MS);
		close(open(path_of(&w, "old.yaml"), O_WRONLY | O_CREAT, 0644));
		WAIT_FOR(&w, w.changes == 1);
		w.changes = 0;
		rows[i].act(&w);
		if (rows[i].counts)
			WAIT_FOR(&w, w.changes > 0);
		cr_assert_eq(symlink("nowhere", path_of(&w, "end")), 0);
		/* one turn reads all events there are: those of the act stood before */
		w.changes = 0;
		WAIT_FOR(&w, w.changes > 0);
		if (!rows[i].counts)
			cr_expect_eq(w.changes, 1, "%s", rows[i].name);
		for (size_t j = 0; j < sizeof(leftovers) / sizeof(leftovers[0]); j++)
			unlink(path_of(&w, leftovers[j]));
		end(&w);
	}
}

/* One path may be written in many ways. */
Test(registry_watch, paths)
{
	static const char *const forms[] = { "%s/", "%s//", "/%s", "%s" };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct world w;
		char path[PATH_MAX];

		begin(&w, HOUR_MS);
		fl_watch_close(w.watch);
		snprintf(path, sizeof(path), forms[i], w.directory);
		cr_assert_eq(fl_watch_open(&w.loop, path, HOUR_MS, on_changed, &w, &w.watch), 0);
		cr_assert_eq(fl_watch_arm(w.watch), 0);
		rmdir(w.directory); /* seen from inside and from above */
		WAIT_FOR(&w, w.changes > 0);
		cr_assert_eq(fl_watch_arm(w.watch), 0);
		uv_run(&w.loop, UV_RUN_NOWAIT);
		w.changes = 0;
		cr_assert_eq(mkdir(w.directory, 0755), 0);
		WAIT_FOR(&w, w.changes > 0);
		end(&w);
	}
}
