/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "kernel/kernel.h"

/**
 * @file sweeper.h
 * Runs the program `sweep` every few seconds: it forgets nat flows that have been
 * silent for too long. On a worker thread, since a large table takes long to walk.
 * While no agent does it, a timer in the kernel takes over.
 */
struct fl_sweeper;

/** @param kernel  must outlive the sweeper @return 0, -ENOMEM */
int fl_sweeper_start(const struct fl_kernel *kernel, uv_loop_t *loop, struct fl_sweeper **ret);
/** No further sweep. Memory goes when one that is under way has ended and the loop
 * has run once more. NULL is welcome. */
void fl_sweeper_stop(struct fl_sweeper *sweeper);
