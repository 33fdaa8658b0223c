/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "config/config.h"
#include "kernel/kernel.h"
#include "kernel/neighbours.h"
#include "kernel/node_maps.h"
#include "kernel/sock_walk.h"

/**
 * @file node_path.h
 * The programs of the node path on a cgroup: connect, sendmsg, recvmsg and
 * getpeername of IPv4 and IPv6, all of them or none. Sockets of every process
 * below that cgroup, in whatever network namespace, are theirs.
 *
 * Links are pinned at BPFFS/links/node-HOOK and outlive the agent; a new agent
 * replaces the programs in them.
 */
struct fl_node_path {
	struct fl_node_maps maps; /**< open while enabled */
	struct fl_sock_walk walk; /**< closes stale connections; way FL_CLOSE_NOT = it cannot */
	char walk_reason[200];    /**< why it cannot; "" = it can */
	bool enabled;             /**< every hook is attached, and was seen to fire */
	char cgroup[256];         /**< where; "" = nowhere */
	struct fl_neighbours neighbours; /**< programs of others there, when it was attached */
	char reason[480];                /**< why it is not enabled; "" = it is */
	char hint[480];                  /**< what to do about it; "" = nothing */
};

/**
 * Do as the configuration says: attach, or remove what an earlier agent attached.
 * A node path that cannot be had does not keep the edge path from working: the
 * reason is in `ret`, and logged.
 */
void fl_node_path_start(
	const struct fl_kernel *kernel, const struct fl_config *config, struct fl_node_path *ret);

/** Close descriptors: pins stay, and connections go on being made. */
void fl_node_path_stop(struct fl_node_path *path);
