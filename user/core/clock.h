/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

/**
 * @file clock.h
 * The clocks that edges read; pure modules are handed the time instead.
 */

/** "2026-01-02T03:04:05.678Z" with NUL. */
#define FL_TIME_TEXT 32

uint64_t fl_clock_real_ms(void); /**< CLOCK_REALTIME, for people */
uint64_t fl_clock_mono_ns(void); /**< CLOCK_MONOTONIC, for durations */
uint32_t fl_clock_boot_s(void);  /**< CLOCK_BOOTTIME in seconds: what the programs store */

/** RFC 3339, UTC, with or without milliseconds. @return `buffer` */
char *fl_time_format_ms(uint64_t real_ms, char buffer[FL_TIME_TEXT]);
char *fl_time_format_s(uint64_t real_s, char buffer[FL_TIME_TEXT]);

/** A second of CLOCK_BOOTTIME as CLOCK_REALTIME seconds. The same second gives the
 * same answer, unless the clock is set. */
uint64_t fl_clock_boot_to_real_s(uint32_t boot_s);
