/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"

#define PID_FILE "fairleadd.pid"

/* Make a directory and those above it. */
static int make_directories(const char *path)
{
	char partial[4096];
	size_t length = strlen(path);

	if (length >= sizeof(partial))
		return -ENAMETOOLONG;
	memcpy(partial, path, length + 1);
	for (char *at = partial + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(partial, 0755) < 0 && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	if (mkdir(partial, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

/* The pid that the holder of a state directory wrote down, or 0. */
static long holder_of(int directory_fd)
{
	_cleanup_fclose_ FILE *file = NULL;
	int fd = openat(directory_fd, PID_FILE, O_RDONLY | O_CLOEXEC);
	long pid = 0;

	if (fd < 0)
		return 0;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return 0;
	}
	return fscanf(file, "%ld", &pid) == 1 ? pid : 0;
}

static void write_pid(int directory_fd)
{
	_cleanup_close_ int fd =
		openat(directory_fd, PID_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
		fl_log(FL_LOG_WARNING, "agent",
			"cannot write the pid file, which is information only", FL_ERR(errno));
}

static int lock_directory(
	const char *path, const char *what, int *ret_fd, struct fl_failure *failure)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char who[32] = "";
	long holder;

	if (fd < 0)
		return fl_fail(
			failure, -errno, "cannot open the %s %s: %s", what, path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	if (errno != EWOULDBLOCK)
		return fl_fail(
			failure, -errno, "cannot lock the %s %s: %s", what, path, strerror(errno));
	holder = holder_of(fd);
	if (holder)
		snprintf(who, sizeof(who), " (pid %ld)", holder);
	fl_fail(failure, 0, "another agent%s holds the lock on the %s %s", who, what, path);
	fl_fail_hint(failure, "stop it first, or give this one a state_dir and a bpffs of its own");
	return -EWOULDBLOCK;
}

int fl_lock_take(
	struct fl_lock *lock, const char *state_dir, const char *bpffs, struct fl_failure *failure)
{
	_cleanup_close_ int state_fd = -1;
	_cleanup_close_ int bpffs_fd = -1;
	int r = make_directories(state_dir);

	if (r < 0)
		return fl_fail(failure, r, "cannot make the state directory %s: %s", state_dir,
			fl_log_errno(r));
	r = lock_directory(state_dir, "state directory", &state_fd, failure);
	if (r < 0)
		return r;
	if (bpffs) {
		r = lock_directory(bpffs, "bpffs directory", &bpffs_fd, failure);
		if (r < 0)
			return r;
	}
	write_pid(state_fd);
	lock->state_fd = TAKE_FD(state_fd);
	lock->bpffs_fd = TAKE_FD(bpffs_fd);
	return 0;
}

void fl_lock_release(struct fl_lock *lock)
{
	if (lock->state_fd >= 0) {
		unlinkat(lock->state_fd, PID_FILE, 0);
		close(lock->state_fd);
	}
	if (lock->bpffs_fd >= 0)
		close(lock->bpffs_fd);
	*lock = (struct fl_lock)FL_LOCK_NONE;
}
