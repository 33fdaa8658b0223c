/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "fairlead/reasons.h"
#include "kernel/kernel.h"
#include "kernel/xdp.h"

/**
 * @file links.h
 * The programs on their interfaces: attached when an interface is there,
 * native where the driver can, replaced atomically when an earlier agent's link
 * is found, attached anew when an interface went and came back.
 *
 * Each link is pinned at BPFFS/links/edge-INTERFACE (target-INTERFACE), so it
 * outlives the agent. A dot in an interface's name (eth0.100) is a colon there:
 * bpffs keeps dots for itself, and no interface has a colon.
 *
 * An interface carries one program: one that is configured for both paths gets
 * `edge`, and the row of `target` says so.
 *
 * Edge interfaces are also put into `tx_ports`, since a packet may leave by
 * another interface than it came in. The kernel takes a device out of that map
 * when it goes. Note for veth: what is redirected or XDP_TX'd into one is
 * dropped unless its peer has a program too, or GRO switched on.
 */
struct fl_interface {
	char name[16];
	uint32_t ifindex;  /**< 0 = absent */
	enum fl_path path; /**< edge or target */
	enum fl_xdp_mode mode;
	bool is_down;     /**< it is there, and off or without a carrier: the program stays on it */
	char reason[256]; /**< why it is generic, or not attached; "" = as wished */
	int link_fd;      /**< -1 = none */
	struct fl_link seen; /**< the device when attaching was last tried */
};

struct fl_links;

/** Attach to every configured interface and go on watching. Pinned links of
 * interfaces that are no longer configured are removed.
 * @return 0 even when some could not be attached (see their reasons); -errno
 * when netlink or the links directory does not work */
int fl_links_start(struct fl_kernel *kernel, const struct fl_config *config, uv_loop_t *loop,
	struct fl_failure *failure, struct fl_links **ret);
/** A reload: interfaces that were added or removed, another mode. @return 0, -ENOMEM */
int fl_links_configure(struct fl_links *links, const struct fl_config *config);
/** Stop watching; links stay pinned. Memory goes when the loop has run once
 * more. NULL is welcome. */
void fl_links_stop(struct fl_links *links);
/** All rows, edge first, each as configured. Borrowed, until the loop runs on. */
const struct fl_interface *fl_links_list(const struct fl_links *links, size_t *ret_count);

/**
 * Let packets leave by an interface: put it into the devmap `tx_ports`.
 * @param map_fd  a devmap keyed by ifindex; -1 = there is none
 * @return 0 (also when it was there, or without a map), -E2BIG, -ENODEV, -errno
 */
int fl_links_add_port(int map_fd, uint32_t ifindex);
