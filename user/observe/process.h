/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

/**
 * @file process.h
 * What the kernel says of this process: /proc/self, for the process_ metrics.
 */
struct fl_process {
	double cpu_s;
	double started_s; /**< CLOCK_REALTIME */
	uint64_t resident_bytes;
	uint64_t virtual_bytes;
	uint64_t open_fds;
	uint64_t max_fds;
	uint64_t threads;
};

/** @return 0, -errno (no /proc) */
int fl_process_read(struct fl_process *ret);
