/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

/**
 * @file capabilities.h
 * The capabilities of the calling thread. libc has no wrapper, and libcap would be one more
 * library for it. Only system calls: safe after fork(2).
 */

/**
 * Keep those of a set that it has, and no way to get others: nothing is inherited, and a
 * program that it runs gets no more (no_new_privs).
 * @param set  bit 1 << CAP_… for each; 0 = none
 * @return 0, -errno
 */
int fl_capabilities_keep(uint64_t set);
/** Those in force. 0 also when they cannot be asked for. */
uint64_t fl_capabilities_effective(void);
