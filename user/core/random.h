/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

/**
 * @file random.h
 * Random bits for jitter: not for secrets.
 */

/** 32 of them, from the kernel, or of the clock where it has none yet. */
uint32_t fl_random_bits(void);
