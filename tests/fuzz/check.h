/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "spec.h"

/**
 * @file check.h
 * Whether the bytes that came out are those that the model's verdict asks for.
 */

/** @return what is wrong, or NULL */
const char *check_output(const struct world *w, const struct spec_verdict *v,
	const struct headers *h, const uint8_t *in, uint32_t in_length, const uint8_t *out,
	uint32_t out_length);
