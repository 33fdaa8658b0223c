/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * @file neighbours.h
 * Programs of others at the hooks of the node path: on its cgroup, above or below it.
 *
 * All of them run, one after the other: those of a cgroup before those of the one above
 * it. What an earlier one rewrites is what a later one sees, so a frontend that another
 * socket balancer knows as well is balanced by whoever comes first.
 */
struct fl_neighbour {
	uint32_t id;      /**< of the program, as bpftool shows it */
	char name[16];    /**< of the program; "" = not known: that takes CAP_SYS_ADMIN */
	const char *hook; /**< "connect4"; static */
	char cgroup[256]; /**< where it is attached */
	bool before;      /**< it runs before ours */
};

struct fl_neighbours {
	struct fl_neighbour *items;
	size_t count;
	bool incomplete; /**< there are more, or not every cgroup below could be looked at */
};

/** More are not listed. */
#define FL_NEIGHBOURS_MAX 64
/** So many cgroups are looked at. */
#define FL_NEIGHBOURS_CGROUPS_MAX 4096

/**
 * Look for them. Takes nine system calls for each cgroup.
 * @param bpffs   whose pinned links are our own
 * @param cgroup  directory of the node path's cgroup
 * @param ret     to be freed by fl_neighbours_done
 * @return 0, -EPERM (needs CAP_NET_ADMIN), -ENOMEM, -errno
 */
int fl_neighbours_find(const char *bpffs, const char *cgroup, struct fl_neighbours *ret);
/** A zeroed one is welcome. */
void fl_neighbours_done(struct fl_neighbours *neighbours);
