/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>

#include "core/failure.h"

/**
 * @file bpffs.h
 * The file system in which maps, programs and links outlive the agent.
 *
 * A bpffs knows directories, pins and rename (atomic, also over an existing
 * pin and for directories); it refuses names with a dot. flock(2) works on its
 * directories.
 */

/** Whether `path`, or the nearest parent of it that exists, lies in a bpffs. */
bool fl_bpffs_holds(const char *path);

/**
 * Make the directory `path` (0700), and those above it, inside a bpffs. Where /sys/fs/bpf is no bpffs and
 * `path` lies below it, mounts one there (and logs that); it is never unmounted.
 * @return 0; -EINVAL (elsewhere than in a bpffs, or a dot in a name); -errno
 */
int fl_bpffs_prepare(const char *path, struct fl_failure *failure);

/** Whether the directory exists. */
bool fl_bpffs_is_there(const char *path);

/** Pin a map, program or link at dir/name; what was pinned there is replaced
 * atomically. @return 0, -errno */
int fl_bpffs_pin(int fd, const char *dir, const char *name);

/** Remove the pins in `dir`, then `dir`. Does not descend.
 * @return 0 (also when it does not exist), -errno */
int fl_bpffs_remove_dir(const char *dir);
