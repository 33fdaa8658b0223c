/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "spec.h"

/**
 * @file spec_slot.h
 * Where a slot sends a packet, pins included: the rules of fairlead/slot.h once more,
 * for a world in which pins never lack room.
 */

/** Fill in the endpoint, which may be down; 0 = none. Service and hash are given. */
void spec_slot_choose(const struct world *w, struct spec_state *s, const struct headers *h,
	const uint8_t *frame, uint32_t length, struct spec_verdict *v);
