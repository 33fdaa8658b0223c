/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/**
 * @file cgroup.h
 * Where the tree of cgroups (version 2) is.
 */

/** Where a cgroup2 is mounted, by /proc/self/mountinfo (proc(5)): the first. Inside of a
 * container it may be the container's own. @return whether there is one */
bool fl_cgroup2_find(char *path, size_t size);
