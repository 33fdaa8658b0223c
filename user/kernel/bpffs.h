/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>

#include "core/failure.h"

/**
 * @file bpffs.h
 * The directory below a bpffs where everything is pinned.
 */

/**
 * Make sure that `path` is a directory inside a bpffs: mounts one at
 * /sys/fs/bpf if that is where it lies and none is there (and logs it; it is
 * never unmounted), makes the directory (0700) and those above it.
 * @return 0; -EINVAL (outside of any bpffs, not absolute), -EPERM, -errno
 */
int fl_bpffs_prepare(const char *path, struct fl_failure *failure);

/** Whether the directory exists. */
bool fl_bpffs_is_there(const char *path);
