/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <bpf/libbpf.h>
#include <stddef.h>

#include "core/failure.h"
#include "kernel/kernel.h"

/**
 * @file node_links.h
 * The links between programs of the node path and the cgroup, pinned at
 * BPFFS/links/node-HOOK. They outlive the agent; a new one replaces the programs in
 * them, so that no connection meets a cgroup without.
 */

/** One place where a program sits on a cgroup. */
struct fl_node_hook {
	const char *pin;     /**< "node-connect4" */
	const char *program; /**< in its object: "node_connect4" */
	enum bpf_attach_type type;
};

/**
 * Attach the program of each hook that `object` (loaded) has to `cgroup`, or replace the program in the link of
 * an earlier agent. One that is on another cgroup is removed first.
 * @param path  of the cgroup, for words
 * @return 0, -errno with words; some may be attached then: remove all
 */
int fl_node_links_attach(const struct fl_kernel *kernel, const struct fl_node_hook *hooks,
	size_t count, const struct bpf_object *object, int cgroup, const char *path,
	struct fl_failure *failure);

/** Detach and unpin. @return whether there was any */
bool fl_node_links_remove(
	const struct fl_kernel *kernel, const struct fl_node_hook *hooks, size_t count);
