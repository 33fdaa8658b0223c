/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"

/**
 * @file lock.h
 * One agent for one state directory and one bpffs directory: flock on both.
 * The kernel lets go of it however the process ends.
 */
struct fl_lock {
	int state_fd; /**< -1 = not held */
	int bpffs_fd;
};
#define FL_LOCK_NONE { .state_fd = -1, .bpffs_fd = -1 }

/**
 * Take both, or none. Makes the state directory (0700) if it is absent and
 * writes `fairleadd.pid` into it, for information only.
 * @param bpffs  must exist; NULL = only the state directory
 * @return 0; -EWOULDBLOCK (another agent: who, by its pid file); -errno
 */
int fl_lock_take(
	struct fl_lock *lock, const char *state_dir, const char *bpffs, struct fl_failure *failure);
void fl_lock_release(struct fl_lock *lock);
