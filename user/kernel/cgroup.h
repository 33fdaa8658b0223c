/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * @file cgroup.h
 * Where the tree of cgroups (version 2) is.
 */

/** A place where the tree, or a part of it, can be seen. */
struct fl_cgroup2_mount {
	char path[256];
	bool is_root; /**< of the whole tree: inside of a container it may be the container's own */
};

#define FL_CGROUP2_MOUNTS_MAX 16

/** Mounts of /proc/self/mountinfo (proc(5)) that are not hidden below others.
 * @param ret  `max` rows @return how many were filled in */
size_t fl_cgroup2_mounts(struct fl_cgroup2_mount *ret, size_t max);

/** The first of them. @return whether there is one */
bool fl_cgroup2_find(char *path, size_t size);

/** Id of the cgroup that this process is in, as programs know it; 0 = not known. */
uint64_t fl_cgroup2_own(void);
