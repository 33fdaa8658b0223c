/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "fairlead/reasons.h"
#include "kernel/kernel.h"

/**
 * @file links.h
 * The programs on their interfaces: attached when an interface is there,
 * native where the driver can, replaced atomically when an earlier agent's link
 * is found, attached anew when an interface went and came back.
 */
enum fl_xdp_mode { FL_XDP_NONE, FL_XDP_NATIVE, FL_XDP_GENERIC };

struct fl_interface {
	char name[16];
	uint32_t ifindex;       /**< 0 = absent */
	enum fl_path path;      /**< edge or target */
	enum fl_xdp_mode mode;
	char reason[256];       /**< why it is generic, or not attached; "" = as wished */
	int link_fd;            /**< -1 = none */
};

struct fl_links;

/** Attach to every configured interface and go on watching.
 * @return 0 even when some could not be attached (see their reasons); -errno
 * when netlink itself does not work */
int fl_links_start(struct fl_kernel *kernel, const struct fl_config *config, uv_loop_t *loop,
	struct fl_failure *failure, struct fl_links **ret);
/** A reload: interfaces that were added or removed, another mode. */
int fl_links_configure(struct fl_links *links, const struct fl_config *config);
/** Stop watching; links stay pinned. */
void fl_links_stop(struct fl_links *links);
const struct fl_interface *fl_links_list(const struct fl_links *links, size_t *ret_count);
const char *fl_xdp_mode_name(enum fl_xdp_mode mode); /**< "none", "native", "generic" */
