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

static void visit_names(struct tour *tour)
{
	DIR *dir = opendir("/run/netns");

	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir)) && !is_over(tour);)
		if (entry->d_name[0] != '.')
			visit_file(tour, dirfd(dir), entry->d_name);
	closedir(dir);
}

static void visit_processes(struct tour *tour)
{
	DIR *dir = opendir("/proc");

	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir)) && !is_over(tour);) {
		char path[64];

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%.20s/ns/net", entry->d_name);
		visit_file(tour, dirfd(dir), path);
	}
	closedir(dir);
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
	if (!is_over(&tour))
		visit_names(&tour);
	if (!is_over(&tour))
		visit_processes(&tour);
	if (tour.lost)
		return -EXDEV;
	return tour.error < 0 ? tour.error : tour.visited;
}
