/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/failure.h"

/**
 * @file listen.h
 * The Unix socket that the server listens on; net/bind.h has those of TCP.
 */

/** A Unix socket in the file system. Its mode and group are the access control:
 * who may open it may use it. */
struct fl_unix_socket {
	int fd; /**< -1 = none */
	char *path;
	dev_t device; /**< which file is ours, so that we never remove another's */
	ino_t inode;
	bool group_missing; /**< the group does not exist: root only */
};

/**
 * Create and listen. A socket left by a dead agent is replaced; one that
 * answers, or a file that is no socket, is left alone.
 *
 * The directory is made if it is missing (mode 0755). The socket is root's
 * alone until owner, group and mode are set, so nobody slips in before.
 * @param group  NULL or "" = leave the group; one that does not exist sets
 *               `group_missing` and leaves the socket to root
 * @return 0; -EADDRINUSE (something answers there), -EEXIST (no socket),
 *         -ENAMETOOLONG, -errno, each with words
 */
int fl_unix_socket_listen(const char *path, mode_t mode, const char *group,
	struct fl_failure *failure, struct fl_unix_socket *ret);
/** Remove the file if it is still ours, and close. Whoever took `fd` over closes it
 * after this: while it is open, no other file can have our inode's number. */
void fl_unix_socket_close(struct fl_unix_socket *socket);
