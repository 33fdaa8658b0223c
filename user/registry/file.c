/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The file registry: a directory of *.yaml files, each with a `services:` list.
 *
 *   something changes (watch.c) → a short rest → a scan on a worker thread
 *   (scan.c) → what is new is adopted here → published
 *
 * A file is the operator's word, and so is its absence: when it is deleted, its
 * services go. A file with errors is no word at all: what it said before stands
 * until it is mended, also over a restart (copies.c). Where there is no before,
 * those of its services that have no error are used, which beats none. A
 * directory that does not exist is an empty one that is awaited; one that cannot
 * be read leaves everything as it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "registry/driver.h"
#include "registry/scan.h"
#include "registry/watch.h"

/* Changes often come in groups: look when it was quiet for REST_MS, but no later
 * than LATEST_MS after the first. */
#define REST_MS   50
#define LATEST_MS 400
/* A writer that pauses for longer than this is not waited for any more. */
#define PAUSE_MS 2000

struct state {
	struct fl_registry *registry; /* NULL = stopped: free when all is closed */
	struct fl_watch *watch;
	uv_timer_t rest;
	uint64_t first_ms; /* of the changes not looked at yet; 0 = there are none */
	uv_work_t work;
	struct fl_scan *scan; /* on the worker thread; NULL = none is under way */
	bool again;           /* something changed while it was */
	bool everything;      /* the next scan reads files that seem the same, too */
	bool is_closed;
	bool was_absent;
	bool has_adopted;  /* at least once */
	int copy_error;    /* as last told */
	fl_file_vec files; /* as last adopted */
};

static void look_soon(void *context);

/* ------------------------------------------------------------------ adopting */

static int by_name(const void *key, const void *item)
{
	const struct fl_file *file = item;

	/* Without memory for its name it is the last, and the scan failed. */
	return file->name ? strcmp(key, file->name) : -1;
}

/* A scan's files are in order of names. */
static struct fl_file *find_file(fl_file_vec *files, const char *name)
{
	return files->count
		       ? bsearch(name, files->items, files->count, sizeof(*files->items), by_name)
		       : NULL;
}

static void log_file(const struct state *s, const struct fl_file *file, const char *message)
{
	const char *registry = s->registry->config->name;

	fl_registry_log_problems(s->registry, &file->problems);
	if (message)
		fl_log(FL_LOG_ERROR, "registry", message, FL_STR("registry", registry),
			FL_STR("file", file->name), FL_UINT("errors", file->problems.errors),
			FL_UINT("services", file->services.count));
}

static bool is_same_problems(const struct fl_problems *a, const struct fl_problems *b)
{
	return a->errors == b->errors && fl_problems_equal(a, b);
}

static bool is_same_declaration(const struct fl_service *a, const struct fl_service *b)
{
	if (a->line != b->line || a->column != b->column || a->incomplete != b->incomplete ||
		a->varies != b->varies || !fl_service_equal(a, b))
		return false;
	for (size_t i = 0; i < a->frontend_count; i++)
		if (a->frontends[i].line != b->frontends[i].line ||
			a->frontends[i].column != b->frontends[i].column)
			return false;
	return true;
}

/* What stands there as before is the same object as before, so that nobody on the way
 * to the kernel looks into it. */
static void keep_objects(fl_service_vec *services, const fl_service_vec *old)
{
	for (size_t i = 0; i < services->count && i < old->count; i++) {
		struct fl_service **service = &services->items[i];

		if (!is_same_declaration(*service, old->items[i]))
			continue;
		fl_service_unref(*service);
		*service = fl_service_ref(old->items[i]);
	}
}

/* A file was read (again). @param old  what is known of it; NULL = it is new */
static void adopt_read(const struct state *s, struct fl_file *file, struct fl_file *old)
{
	const char *message = NULL;
	bool is_news = !old || !fl_file_stamp_equal(&old->stamp, &file->stamp) ||
		       !is_same_problems(&old->problems, &file->problems);

	if (file->bad && old && old->sound) {
		file->sound = true;
		fl_services_done(&file->services);
		file->services = old->services;
		old->services = (fl_service_vec){ 0 };
	} else if (old) {
		keep_objects(&file->services, &old->services);
	}
	if (file->bad && file->sound) {
		message = "a file has errors, keeping what it declared before";
	} else if (file->bad) {
		message = "a file has errors, using those of its services that have none";
	} else if (old && old->bad) {
		fl_log(FL_LOG_INFO, "registry", "a file is mended",
			FL_STR("registry", s->registry->config->name), FL_STR("file", file->name));
	}
	if (is_news)
		log_file(s, file, message);
}

static void adopt_kept(struct fl_file *file, struct fl_file *old)
{
	bool is_busy = !fl_file_stamp_equal(&old->stamp, &file->stamp);

	file->services = old->services;
	file->problems = old->problems;
	file->bad = old->bad;
	file->sound = old->sound;
	if (is_busy)
		file->stamp = old->stamp; /* what it is now has not been read */
	file->stamp.settled = old->stamp.settled;
	old->services = (fl_service_vec){ 0 };
	old->problems = (struct fl_problems){ 0 };
}

/* Put the answer in place of what was known. @return whether anything is new */
static bool adopt(struct state *s, fl_file_vec *files)
{
	bool is_news = files->count != s->files.count;

	for (size_t i = 0; i < files->count; i++) {
		struct fl_file *file = &files->items[i];
		struct fl_file *old = find_file(&s->files, file->name);

		if (file->kept && old) {
			adopt_kept(file, old);
			continue;
		}
		is_news = true;
		adopt_read(s, file, old);
	}
	fl_files_done(&s->files);
	s->files = *files;
	*files = (fl_file_vec){ 0 };
	s->has_adopted = true;
	return is_news;
}

static void publish(struct state *s)
{
	struct fl_problems problems = { 0 };
	fl_service_vec services = { 0 };

	if (s->was_absent)
		fl_problem_warn(&problems, (struct fl_place){ .file = s->registry->config->path },
			"does not exist: no services until it does");
	for (size_t i = 0; i < s->files.count; i++) {
		const struct fl_file *file = &s->files.items[i];

		fl_problems_copy(&problems, &file->problems);
		for (size_t j = 0; j < file->services.count; j++) {
			struct fl_service **service = fl_vec_push(&services);

			if (!service) {
				fl_services_done(&services);
				fl_problems_done(&problems);
				fl_registry_failed(s->registry, "out of memory");
				return;
			}
			*service = fl_service_ref(file->services.items[j]);
		}
	}
	fl_registry_publish(s->registry, &services, &problems);
}

/* ------------------------------------------------------------------ looking */

/* Follow the links there are now; what they lead to may have changed meanwhile. */
static void watch_links(struct state *s)
{
	FL_VEC(char *) names = { 0 };

	for (size_t i = 0; i < s->files.count; i++) {
		char **name = s->files.items[i].is_link ? fl_vec_push(&names) : NULL;

		if (name)
			*name = s->files.items[i].name;
	}
	if (fl_watch_links(s->watch, names.items, names.count))
		look_soon(s);
	fl_vec_done(&names);
}

static void say_absent(struct state *s, bool is_absent)
{
	if (is_absent && !s->was_absent)
		fl_log(FL_LOG_INFO, "registry", "the directory does not exist, waiting for it",
			FL_STR("registry", s->registry->config->name),
			FL_STR("path", s->registry->config->path));
	s->was_absent = is_absent;
}

static void say_copies(struct state *s, int error)
{
	if (error && error != s->copy_error)
		fl_log(FL_LOG_WARNING, "registry",
			"cannot keep copies in the state directory; a restart with a broken file "
			"would lose its services",
			FL_STR("registry", s->registry->config->name), FL_ERR(error));
	s->copy_error = error;
}

/* The directory could not be read. What is known stands; at the start that is
 * what copies tell, and what they do not tell may still come. */
static void on_failed(struct state *s, struct fl_scan *scan)
{
	struct stat st;

	if (!s->has_adopted && scan->files.count) {
		adopt(s, &scan->files);
		publish(s);
		if (stat(scan->copies, &st) == 0) /* read well then, or later */
			s->registry->published_ms = (uint64_t)st.st_mtim.tv_sec * 1000;
	}
	if (scan->error == -E2BIG)
		fl_registry_failed(
			s->registry, "%s: more than %d files", scan->directory, FL_FILES_MAX);
	else
		fl_registry_failed(
			s->registry, "%s: %s", scan->directory, fl_log_errno(scan->error));
}

static void on_scanned(struct state *s, struct fl_scan *scan)
{
	bool was_absent = s->was_absent;
	bool is_news;

	if (scan->error < 0 && scan->error != -ENOENT) {
		on_failed(s, scan);
		return;
	}
	say_copies(s, scan->copy_error);
	say_absent(s, scan->error == -ENOENT);
	is_news = adopt(s, &scan->files);
	if (is_news || was_absent != s->was_absent || !s->registry->up)
		publish(s);
	watch_links(s);
}

static void do_work(uv_work_t *work)
{
	struct state *s = work->data;

	fl_scan_run(s->scan);
}

static void free_if_done(struct state *s)
{
	if (s->registry || s->scan || !s->is_closed)
		return;
	fl_files_done(&s->files);
	free(s);
}

static void after_work(uv_work_t *work, int status)
{
	struct state *s = work->data;
	struct fl_scan *scan = TAKE_PTR(s->scan);

	if (s->registry && status == 0)
		on_scanned(s, scan);
	fl_scan_free(scan);
	if (s->registry && s->again)
		look_soon(s);
	s->again = false;
	free_if_done(s);
}

/* Tell the scan what need not be read. @return 0, -ENOMEM */
static int tell_known(const struct state *s, struct fl_scan *scan)
{
	size_t busy_count;
	char *const *busy = fl_watch_busy(s->watch, &busy_count);
	int r = 0;

	for (size_t i = 0; i < busy_count && r == 0; i++) {
		const struct fl_file *file = find_file((fl_file_vec *)&s->files, busy[i]);

		r = fl_scan_know(
			scan, busy[i], file ? &file->stamp : NULL, true, file && file->is_link);
	}
	for (size_t i = 0; i < s->files.count && r == 0 && !s->everything; i++) {
		const struct fl_file *file = &s->files.items[i];

		r = fl_scan_know(scan, file->name, &file->stamp, false, file->is_link);
	}
	return r;
}

static int begin_scan(struct state *s)
{
	struct fl_scan *scan;
	int r = fl_watch_arm(s->watch);

	if (r < 0) {
		fl_log(FL_LOG_ERROR, "registry", "cannot watch the directory; SIGHUP looks again",
			FL_STR("registry", s->registry->config->name), FL_ERR(r),
			FL_STR("hint", r == -ENOSPC ? "raise fs.inotify.max_user_watches" : ""));
	}
	scan = fl_scan_new(
		s->registry->config->path, s->registry->config->name, s->registry->state_dir);
	if (!scan)
		return -ENOMEM;
	scan->is_first = !s->has_adopted;
	r = tell_known(s, scan);
	if (r < 0) {
		fl_scan_free(scan);
		return r;
	}
	s->scan = scan;
	s->work.data = s;
	r = uv_queue_work(s->registry->loop, &s->work, do_work, after_work);
	if (r < 0) {
		s->scan = NULL;
		fl_scan_free(scan);
		return r;
	}
	s->everything = false;
	return 0;
}

static void look(struct state *s)
{
	int r;

	uv_timer_stop(&s->rest);
	s->first_ms = 0;
	if (s->scan) {
		s->again = true;
		return;
	}
	r = begin_scan(s);
	if (r < 0)
		fl_registry_failed(s->registry, "cannot look: %s", fl_log_errno(r));
}

static void on_rest(uv_timer_t *timer)
{
	look(timer->data);
}

static void look_soon(void *context)
{
	struct state *s = context;
	uint64_t now_ms = uv_now(s->registry->loop);
	uint64_t latest_ms;

	if (!s->first_ms)
		s->first_ms = now_ms;
	latest_ms = s->first_ms + LATEST_MS;
	uv_timer_start(&s->rest, on_rest,
		now_ms + REST_MS < latest_ms ? REST_MS
		: latest_ms > now_ms         ? latest_ms - now_ms
					     : 0,
		0);
}

/* ------------------------------------------------------------------- driver */

static void on_closed(uv_handle_t *handle)
{
	struct state *s = handle->data;

	s->is_closed = true;
	free_if_done(s);
}

static int start(struct fl_registry *registry)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = fl_watch_open(
		registry->loop, registry->config->path, PAUSE_MS, look_soon, s, &s->watch);
	if (r < 0) {
		free(s);
		return r;
	}
	s->registry = registry;
	uv_timer_init(registry->loop, &s->rest);
	s->rest.data = s;
	registry->state = s;
	look(s);
	return 0;
}

static void stop(struct fl_registry *registry)
{
	struct state *s = TAKE_PTR(registry->state);

	s->registry = NULL;
	fl_watch_close(TAKE_PTR(s->watch));
	if (s->scan)
		uv_cancel((uv_req_t *)&s->work);
	uv_close((uv_handle_t *)&s->rest, on_closed);
}

static void refresh(struct fl_registry *registry)
{
	struct state *s = registry->state;

	s->everything = true;
	look(s);
}

extern const struct fl_registry_driver fl_registry_file;
const struct fl_registry_driver fl_registry_file = {
	.type = "file",
	.start = start,
	.stop = stop,
	.refresh = refresh,
};
