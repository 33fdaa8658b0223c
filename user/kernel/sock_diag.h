/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/node.h"

/**
 * @file sock_diag.h
 * Closing sockets of other processes by netlink (NETLINK_SOCK_DIAG, SOCK_DESTROY), for kernels
 * whose programs cannot (CONFIG_INET_DIAG_DESTROY).
 */

/**
 * Close one socket of the network namespace that the caller is in. Its process sees
 * ECONNABORTED. The cookie makes sure that it is the one that was seen.
 * @return 0; -ENOENT (it is gone); -EOPNOTSUPP (this kernel cannot); -EPERM; -errno
 */
int fl_sock_diag_destroy(const struct fl_stale_socket *socket);

/** Whether this kernel can: asks it to close a socket that does not exist.
 * @return 0, -EOPNOTSUPP, -errno */
int fl_sock_diag_probe(void);
