/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

/**
 * @file namespaces.h
 * Going into other network namespaces. They are known by the inode of their file, as in
 * `ls -l /proc/self/ns/net`.
 */

/** Called in the namespace. @return 0, -errno: kept, and the next is visited */
typedef int fl_namespace_fn(void *context);

/**
 * Visit each namespace of a list, as far as a process or a name in /run/netns leads
 * there, and come back. The calling thread is elsewhere meanwhile. Needs CAP_SYS_ADMIN for
 * any but its own, and CAP_SYS_PTRACE to see those of other users' processes.
 * @param inodes  are marked by 0 when visited
 * @return how many were; -errno of the first visit that failed; -EXDEV = it cannot
 *         come back, and the process should end
 */
int fl_namespaces_visit(uint32_t *inodes, size_t count, fl_namespace_fn *visit, void *context);

/**
 * All that a process or a name leads to, the own one first.
 * @param ret  to be freed @return 0, -errno
 */
int fl_namespaces_list(uint32_t **ret, size_t *ret_count);
