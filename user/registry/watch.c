/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/watch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/vec.h"
#include "registry/scan.h"

#define BUSY_MAX 256

#define SELF_EVENTS  (IN_DELETE_SELF | IN_MOVE_SELF)
#define ENTRY_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define FILE_EVENTS  (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)

typedef FL_VEC(char *) name_vec;

/* A symbolic link whose target is watched. */
struct link {
	char *name;
	int wd;
};

struct fl_watch {
	int fd;
	uv_poll_t poll;
	uv_timer_t pause; /* armed while files are being written */
	uint64_t pause_ms;
	unsigned handles; /* not closed yet */
	char *path;
	int directory; /* watch descriptor; -1 = the directory is absent */
	int above;     /* of its parent, or the nearest directory that exists; -1 = none */
	char *awaited; /* path of the entry in `above` that leads to the directory, or is it */
	FL_VEC(struct link) links;
	name_vec busy;
	void (*changed)(void *context);
	void *context;
};

/* -------------------------------------------------------------------- busy */

static void set_busy(struct fl_watch *watch, const char *name, bool is_busy)
{
	char **added;

	for (size_t i = 0; i < watch->busy.count; i++) {
		if (strcmp(watch->busy.items[i], name) != 0)
			continue;
		if (!is_busy) {
			free(watch->busy.items[i]);
			watch->busy.items[i] = watch->busy.items[--watch->busy.count];
		}
		return;
	}
	if (!is_busy || watch->busy.count == BUSY_MAX)
		return;
	added = fl_vec_push(&watch->busy);
	if (added && !(*added = strdup(name)))
		watch->busy.count--;
}

static void clear_busy(struct fl_watch *watch)
{
	for (size_t i = 0; i < watch->busy.count; i++)
		free(watch->busy.items[i]);
	watch->busy.count = 0;
}

static void on_pause(uv_timer_t *timer)
{
	struct fl_watch *watch = timer->data;

	clear_busy(watch);
	watch->changed(watch->context);
}

char *const *fl_watch_busy(const struct fl_watch *watch, size_t *ret_count)
{
	*ret_count = watch->busy.count;
	return watch->busy.items;
}

/* ------------------------------------------------------------------ events */

/* A plain file that was just created is empty: its writer will close it. */
static bool will_be_closed(const struct fl_watch *watch, const char *name)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%s/%s", watch->path, name) < 0) {
		path = NULL;
		return false;
	}
	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

/* Something happened to a file's content or rights. @return whether to look */
static bool file_changed(struct fl_watch *watch, const char *name, uint32_t mask)
{
	if (!fl_file_name_is_used(name))
		return false;
	if (mask & IN_MODIFY) {
		set_busy(watch, name, true);
		uv_timer_start(&watch->pause, on_pause, watch->pause_ms, 0);
	}
	if (mask & IN_CLOSE_WRITE) {
		set_busy(watch, name, false);
		if (!watch->busy.count)
			uv_timer_stop(&watch->pause);
	}
	return mask & (IN_CLOSE_WRITE | IN_ATTRIB);
}

/* Names that come and go may be links that others lead through (as in a mounted
 * ConfigMap), so all of them count. */
static bool entry_changed(struct fl_watch *watch, const struct inotify_event *event)
{
	const char *name = event->len ? event->name : "";

	if (event->mask & (SELF_EVENTS | IN_IGNORED | IN_UNMOUNT) || !event->len)
		return true;
	if (event->mask & FILE_EVENTS)
		return file_changed(watch, name, event->mask);
	if (event->mask & IN_CREATE)
		return !will_be_closed(watch, name);
	set_busy(watch, name, false); /* moved or deleted: a whole file, or none */
	return true;
}

static bool target_changed(struct fl_watch *watch, const struct inotify_event *event)
{
	bool look = false;

	for (size_t i = 0; i < watch->links.count; i++) {
		struct link *link = &watch->links.items[i];

		if (link->wd != event->wd)
			continue;
		if (event->mask & (SELF_EVENTS | IN_IGNORED | IN_UNMOUNT))
			look = true;
		else
			look |= file_changed(watch, link->name, event->mask);
		if (event->mask & IN_IGNORED)
			link->wd = -1;
	}
	return look;
}

/* @return whether to look at the directory again */
static bool handle(struct fl_watch *watch, const struct inotify_event *event)
{
	bool look;

	if (event->mask & IN_Q_OVERFLOW) {
		clear_busy(watch);
		return true;
	}
	if (event->wd == watch->directory)
		look = entry_changed(watch, event);
	else if (event->wd == watch->above)
		look = !event->len || strcmp(event->name, strrchr(watch->awaited, '/') + 1) == 0;
	else
		look = target_changed(watch, event);
	if (event->mask & IN_IGNORED && event->wd == watch->directory)
		watch->directory = -1;
	if (event->mask & IN_IGNORED && event->wd == watch->above)
		watch->above = -1;
	return look;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct fl_watch *watch = poll->data;
	char buffer[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	bool look = false;
	ssize_t n;

	(void)status, (void)events;
	while ((n = read(watch->fd, buffer, sizeof(buffer))) > 0) {
		for (char *at = buffer; at < buffer + n;) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			look |= handle(watch, event);
			at += sizeof(*event) + event->len;
		}
	}
	if (look)
		watch->changed(watch->context);
}

/* ------------------------------------------------------------------ arming */

static void replace_wd(struct fl_watch *watch, int *wd, int new_wd)
{
	if (*wd >= 0 && *wd != new_wd)
		inotify_rm_watch(watch->fd, *wd);
	*wd = new_wd;
}

/* Watch the directory that the path's last part is in, or else the nearest above
 * that exists. @return 0, -errno */
static int arm_above(struct fl_watch *watch)
{
	_cleanup_free_ char *path = strdup(watch->path);
	int wd = -1;

	while (wd < 0) {
		char *slash = path ? strrchr(path, '/') : NULL;

		if (!path)
			return -ENOMEM;
		if (!slash[1])
			return -ENOENT; /* not even / can be watched */
		free(watch->awaited);
		watch->awaited = strdup(path);
		if (!watch->awaited)
			return -ENOMEM;
		slash[slash == path] = '\0'; /* "/etc" is in "/" */
		/* IN_ATTRIB: a directory whose rights are given back cannot say so itself */
		wd = inotify_add_watch(
			watch->fd, path, ENTRY_EVENTS | SELF_EVENTS | IN_ATTRIB | IN_ONLYDIR);
		if (wd < 0 && errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			return -errno;
	}
	replace_wd(watch, &watch->above, wd);
	return 0;
}

int fl_watch_arm(struct fl_watch *watch)
{
	/* What is awaited may appear while it is looked for: once for each level. */
	for (int tries = 0; tries < 64; tries++) {
		int wd;
		int r = arm_above(watch);

		if (r < 0)
			return r;
		wd = inotify_add_watch(watch->fd, watch->path,
			ENTRY_EVENTS | FILE_EVENTS | SELF_EVENTS | IN_ONLYDIR);
		r = wd < 0 ? errno : 0;
		replace_wd(watch, &watch->directory, wd);
		if (r == ENOSPC || r == ENOMEM)
			return -r;
		if (r != ENOENT || access(watch->awaited, F_OK) < 0)
			return 0;
	}
	return 0;
}

static struct link *find_link(struct fl_watch *watch, const char *name)
{
	for (size_t i = 0; i < watch->links.count; i++)
		if (strcmp(watch->links.items[i].name, name) == 0)
			return &watch->links.items[i];
	return NULL;
}

static bool is_listed(char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static bool is_used(const struct fl_watch *watch, int wd)
{
	for (size_t i = 0; i < watch->links.count; i++)
		if (watch->links.items[i].wd == wd)
			return true;
	return false;
}

static void forget_links(struct fl_watch *watch, char *const *names, size_t count)
{
	for (size_t i = 0; i < watch->links.count;) {
		struct link link = watch->links.items[i];

		if (is_listed(names, count, link.name)) {
			i++;
			continue;
		}
		watch->links.items[i] = watch->links.items[--watch->links.count];
		if (link.wd >= 0 && !is_used(watch, link.wd))
			inotify_rm_watch(watch->fd, link.wd);
		free(link.name);
	}
}

/* @return whether another file is watched than before */
static bool follow_link(struct fl_watch *watch, const char *name)
{
	struct link *link = find_link(watch, name);
	_cleanup_free_ char *path = NULL;
	int wd;
	int old;

	if (asprintf(&path, "%s/%s", watch->path, name) < 0) {
		path = NULL;
		return false;
	}
	wd = inotify_add_watch(watch->fd, path, FILE_EVENTS | SELF_EVENTS);
	if (!link) {
		link = fl_vec_push(&watch->links);
		if (!link)
			return false;
		link->name = strdup(name);
		link->wd = -1;
		if (!link->name) {
			watch->links.count--;
			return false;
		}
	}
	old = link->wd;
	link->wd = wd;
	if (old >= 0 && old != wd && !is_used(watch, old))
		inotify_rm_watch(watch->fd, old);
	return wd >= 0 && wd != old;
}

bool fl_watch_links(struct fl_watch *watch, char *const *names, size_t count)
{
	bool look = false;

	forget_links(watch, names, count);
	for (size_t i = 0; i < count; i++)
		look |= follow_link(watch, names[i]);
	return look;
}

/* ---------------------------------------------------------- begin and end */

static void on_closed(uv_handle_t *handle)
{
	struct fl_watch *watch = handle->data;

	if (--watch->handles)
		return;
	forget_links(watch, NULL, 0);
	fl_vec_done(&watch->links);
	clear_busy(watch);
	fl_vec_done(&watch->busy);
	close(watch->fd);
	free(watch->awaited);
	free(watch->path);
	free(watch);
}

void fl_watch_close(struct fl_watch *watch)
{
	if (!watch)
		return;
	uv_close((uv_handle_t *)&watch->poll, on_closed);
	uv_close((uv_handle_t *)&watch->pause, on_closed);
}

/* Without slashes at the end or in a row, so that what follows each is a name. */
static char *trimmed(const char *path)
{
	char *copy = strdup(path);
	char *end = copy;

	for (; copy && *path; path++)
		if (*path != '/' || (path[1] && path[1] != '/'))
			*end++ = *path;
	if (copy)
		*end = '\0';
	return copy;
}

int fl_watch_open(uv_loop_t *loop, const char *path, uint64_t pause_ms,
	void (*changed)(void *context), void *context, struct fl_watch **ret)
{
	struct fl_watch *watch = calloc(1, sizeof(*watch));
	int r = -ENOMEM;

	if (!watch)
		return -ENOMEM;
	watch->pause_ms = pause_ms;
	watch->changed = changed;
	watch->context = context;
	watch->directory = watch->above = -1;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd < 0)
		r = -errno;
	else if ((watch->path = trimmed(path)))
		r = uv_poll_init(loop, &watch->poll, watch->fd);
	if (r < 0) {
		if (watch->fd >= 0)
			close(watch->fd);
		free(watch->path);
		free(watch);
		return r;
	}
	uv_timer_init(loop, &watch->pause);
	watch->handles = 2;
	watch->poll.data = watch->pause.data = watch;
	uv_poll_start(&watch->poll, UV_READABLE, on_readable);
	*ret = watch;
	return 0;
}
