/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "spec.h"

/**
 * @file spec_icmp.h
 * ICMP errors in the model: whom they concern, and what they say of endpoints.
 */

/**
 * A packet that is neither TCP nor UDP.
 * @param flow  set: when it is not about a flow of nat, but about some answer, the packet that
 *              was answered, as far as it can be known; else left as it is
 */
struct spec_verdict spec_icmp(struct spec_state *s, const struct headers *h, const uint8_t *frame,
	uint32_t length, struct headers *flow);
