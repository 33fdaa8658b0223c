/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>
#include <stdio.h>

/**
 * @file duration.h
 * Durations as people write them: "90s", "15m", "1h30m", "250ms", "0". Each unit (d, h, m, s,
 * ms) at most once, the largest first.
 */

/** @return 0, -EINVAL, -ERANGE; -EDOM: a number without its unit */
int fl_duration_parse(const char *text, int64_t *ret_ms);
/** @param smallest  the unit of nothing at all */
void fl_duration_print(int64_t ms, const char *smallest, FILE *out);
