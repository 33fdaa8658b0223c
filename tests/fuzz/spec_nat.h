/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "spec.h"

/**
 * @file spec_nat.h
 * Forward mode `nat` of the model: connections.
 */

/** A sound packet from a client, for a service in mode `nat`. */
struct spec_verdict spec_nat_forward(const struct world *w, struct spec_state *s,
	const struct headers *h, struct spec_verdict v);
/** A whole packet that is for no frontend. */
struct spec_verdict spec_nat_reply(const struct world *w, struct spec_state *s, struct headers *h,
	const uint8_t *frame, uint32_t length);
