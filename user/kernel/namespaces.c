/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/namespaces.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/vec.h"

/* Something that leads to a namespace. @return false to end */
typedef bool look_fn(void *context, int dir, const char *path);

static bool look_at_names(look_fn *look, void *context)
{
	DIR *dir = opendir("/run/netns");
	bool goes_on = true;

	if (!dir)
		return true;
	for (struct dirent *entry; goes_on && (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			goes_on = look(context, dirfd(dir), entry->d_name);
	closedir(dir);
	return goes_on;
}

static void look_at_processes(look_fn *look, void *context)
{
	DIR *dir = opendir("/proc");
	bool goes_on = true;

	if (!dir)
		return;
	for (struct dirent *entry; goes_on && (entry = readdir(dir));) {
		char path[64];

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%.20s/ns/net", entry->d_name);
		goes_on = look(context, dirfd(dir), path);
	}
	closedir(dir);
}

/* ----------------------------------------------------------------------- visit */

struct tour {
	uint32_t *inodes;
	size_t count;
	fl_namespace_fn *visit;
	void *context;
	int home;    /* where it began */
	int visited; /* how many */
	int error;   /* of the first visit that failed */
	bool lost;   /* it could not come back */
};

/* @return where it stands in the list, NULL = not there or visited */
static uint32_t *find(struct tour *tour, ino_t inode)
{
	for (size_t i = 0; i < tour->count; i++)
		if (tour->inodes[i] && tour->inodes[i] == inode)
			return &tour->inodes[i];
	return NULL;
}

static void visit_file(struct tour *tour, int dir, const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat status;
	uint32_t *wanted;
	int r;

	/* Without opening it, which may need more than looking. */
	if (fstatat(dir, path, &status, 0) < 0)
		return;
	wanted = find(tour, status.st_ino);
	if (!wanted)
		return;
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return; /* another way may lead there */
	*wanted = 0;
	tour->visited++;
	r = tour->visit(tour->context);
	if (r < 0 && tour->error == 0)
		tour->error = r;
	if (setns(tour->home, CLONE_NEWNET) < 0)
		tour->lost = true;
}

static bool is_over(const struct tour *tour)
{
	return tour->lost || (size_t)tour->visited == tour->count;
}

static bool visit_next(void *context, int dir, const char *path)
{
	struct tour *tour = context;

	visit_file(tour, dir, path);
	return !is_over(tour);
}

int fl_namespaces_visit(uint32_t *inodes, size_t count, fl_namespace_fn *visit, void *context)
{
	_cleanup_close_ int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct tour tour = { inodes, count, visit, context, .home = home };
	struct stat here;

	if (home < 0 || fstat(home, &here) < 0)
		return -errno;
	/* One's own needs no privilege. */
	if (find(&tour, here.st_ino)) {
		*find(&tour, here.st_ino) = 0;
		tour.visited++;
		tour.error = visit(context);
	}
	if (!is_over(&tour) && look_at_names(visit_next, &tour))
		look_at_processes(visit_next, &tour);
	if (tour.lost)
		return -EXDEV;
	return tour.error < 0 ? tour.error : tour.visited;
}

/* ------------------------------------------------------------------------ list */

struct list {
	FL_VEC(uint32_t) inodes;
	bool failed;
};

static bool note(struct list *list, ino_t inode)
{
	uint32_t *added;

	for (size_t i = 0; i < list->inodes.count; i++)
		if (list->inodes.items[i] == inode)
			return true;
	added = fl_vec_push(&list->inodes);
	if (added)
		*added = (uint32_t)inode;
	list->failed = !added;
	return added;
}

static bool note_next(void *context, int dir, const char *path)
{
	struct stat status;

	/* One that went meanwhile, or that we may not look at. */
	if (fstatat(dir, path, &status, 0) < 0)
		return true;
	return note(context, status.st_ino);
}

int fl_namespaces_list(uint32_t **ret, size_t *ret_count)
{
	struct list list = { 0 };

	if (note_next(&list, AT_FDCWD, "/proc/thread-self/ns/net") &&
		look_at_names(note_next, &list))
		look_at_processes(note_next, &list);
	if (list.failed) {
		fl_vec_done(&list.inodes);
		return -ENOMEM;
	}
	*ret = list.inodes.items;
	*ret_count = list.inodes.count;
	return 0;
}
