/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "config/config.h"
#include "core/failure.h"
#include "fairlead/node.h"
#include "kernel/kernel.h"
#include "kernel/node_maps.h"

/**
 * @file sock_walk.h
 * Closes the sockets that are connected, by the node path, to an endpoint in the map
 * `stale`: in every network namespace, and nobody else's. See bpf/sock_close.bpf.c.
 */

/** How sockets are closed. */
enum fl_close_way {
	FL_CLOSE_NOT = 0,  /**< this kernel can do it in neither way */
	FL_CLOSE_BPF = 1,  /**< bpf_sock_destroy, while they are visited (Linux 6.5) */
	FL_CLOSE_DIAG = 2, /**< they are listed, and closed by netlink (sock_diag.h) */
};
const char *fl_close_way_name(enum fl_close_way way); /**< "bpf_sock_destroy" */

struct fl_sock_walk {
	enum fl_close_way way;
	/** Links of iterators; -1 = none. Without `find`, which tells namespaces that have anything to do,
	 * all are walked through: some kernels let nobody visit what sockets remember. */
	int find, tcp, udp;
};
#define FL_SOCK_WALK_NONE (struct fl_sock_walk){ .find = -1, .tcp = -1, .udp = -1 }

/** The best way that this kernel has. */
enum fl_close_way fl_sock_walk_way(void);

/**
 * Load the programs for one way. Needs CAP_BPF and CAP_PERFMON.
 * @return 0, -EOPNOTSUPP (FL_CLOSE_NOT), -errno with words
 */
int fl_sock_walk_open(const struct fl_kernel *kernel, const struct fl_config *config,
	const struct fl_node_maps *maps, enum fl_close_way way, struct fl_failure *failure,
	struct fl_sock_walk *ret);
/** Welcome when nothing is open. */
void fl_sock_walk_close(struct fl_sock_walk *walk);

/** Called for each stale socket that was met; `closed` says whether it is. @return 0 to go on */
typedef int fl_sock_walk_fn(void *context, const struct fl_stale_socket *socket);

/**
 * Walk once. The calling thread goes through network namespaces meanwhile, see
 * namespaces.h for what that needs.
 * @return 0; -ENOENT: a namespace with stale sockets in it cannot be reached (not told without
 *         `find`); -EXDEV: see fl_namespaces_visit; -errno
 */
int fl_sock_walk(const struct fl_sock_walk *walk, fl_sock_walk_fn *each, void *context);
