/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "config/config.h"
#include "core/failure.h"
#include "kernel/kernel.h"

/**
 * @file target.h
 * What the target path has to know: which balancers may send it tunnelled packets
 * (`target.from`), and which addresses this node has. The addresses are followed
 * by netlink; those on `lo` and on dummy devices are where services live.
 */
struct fl_target;

/** Fill the maps and go on watching. What an earlier agent left in them stays as far
 * as it is still true. @param kernel  must outlive it @return 0, -errno */
int fl_target_start(struct fl_kernel *kernel, const struct fl_config *config, uv_loop_t *loop,
	struct fl_failure *failure, struct fl_target **ret);
/** A reload: other balancers. @return 0, -errno */
int fl_target_configure(struct fl_target *target, const struct fl_config *config);
/** Stop watching; the maps stay. Some memory goes when the loop has run once more.
 * NULL is welcome. */
void fl_target_stop(struct fl_target *target);
