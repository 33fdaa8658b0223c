/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>

/**
 * @file base64.h
 * Base64 as in RFC 4648, section 4: with padding, and nothing else between.
 */

/** Most bytes that `length` characters decode to. */
#define FL_BASE64_DECODED(length) ((length) / 4 * 3)

/**
 * Decode. @param ret  of FL_BASE64_DECODED(length) bytes at least
 * @return 0, -EINVAL
 */
int fl_base64_decode(const char *text, size_t length, void *ret, size_t *ret_length);
