/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

/**
 * @file backoff.h
 * How long to wait before the next try: exponential with full jitter, as in
 * "Exponential Backoff And Jitter" (M. Brooker, AWS Architecture Blog, 2015). Pure.
 */
struct fl_backoff {
	uint32_t base_ms;  /**< ceiling of the first wait */
	uint32_t cap_ms;   /**< no ceiling is higher */
	uint32_t failures; /**< in a row */
};

/**
 * A failure happened.
 * @param random  32 random bits
 * @return milliseconds to wait: even in [1, min(cap, base × 2^failures before this one)]
 */
uint32_t fl_backoff_next(struct fl_backoff *backoff, uint32_t random);
/** It worked. */
void fl_backoff_reset(struct fl_backoff *backoff);

/**
 * What `Retry-After` asks for (RFC 9110, 10.2.3): seconds or an HTTP date.
 * @param now_s  CLOCK_REALTIME
 * @return milliseconds, at most an hour; 0 = nothing that can be obeyed
 */
uint32_t fl_retry_after_ms(const char *value, int64_t now_s);
