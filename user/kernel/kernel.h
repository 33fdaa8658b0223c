/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "config/config.h"
#include "core/failure.h"
#include "kernel/maps.h"

/**
 * @file kernel.h
 * Loading and adopting: from nothing, or from what an earlier agent left, to
 * maps and programs in the kernel. Together with the files beside it the only
 * code that calls libbpf.
 */
struct fl_migration;

struct fl_kernel {
	char *bpffs;
	struct fl_maps maps;
	bool adopted;                   /**< maps of an earlier agent were found and are in use */
	int edge_fd;                    /**< program `edge`; -1 = no edge path */
	int explain_fd;                 /**< program `explain` */
	int target_fd;                  /**< program `target`; -1 = no target path */
	int sweep_fd;                   /**< program `sweep` */
	struct fl_migration *migration; /**< maps of other limits are being left; NULL = none */
};

/**
 * Bring maps and programs into the kernel and pin them.
 *
 * Mounts a bpffs at /sys/fs/bpf if there is none (and logs it), makes the
 * directory, reuses pinned maps whose ABI fits (so flows go on; for other limits
 * they move into new ones, see migration.h), and loads the programs with `config`'s switches. Links are links.h's.
 * @return 0; -EPROTO (pinned maps of another ABI, or more in use than the limits allow: the failure
 *         names the --detach line); -EPERM and others with message and hint
 */
int fl_kernel_open(
	const struct fl_config *config, struct fl_failure *failure, struct fl_kernel **ret);
/** The same without programs: whatever runs already goes on with the same maps. */
int fl_kernel_open_maps(
	const struct fl_config *config, struct fl_failure *failure, struct fl_kernel **ret);
/** Close descriptors. Pins stay, and so does forwarding. NULL is welcome. */
void fl_kernel_close(struct fl_kernel *kernel);

/**
 * Forget nat flows that have been silent for too long; see sweeper.h. Walks all of
 * them. May be called on any thread, by one at a time.
 * @param now_s  CLOCK_BOOTTIME; 0 = now
 * @return 0, -errno
 */
int fl_kernel_sweep(const struct fl_kernel *kernel, uint32_t now_s, uint32_t *ret_freed);

/** Remove every link, program and map below `bpffs`, and the directory.
 * @return 0 (also when there was nothing), -errno */
int fl_kernel_detach(const char *bpffs, struct fl_failure *failure);
