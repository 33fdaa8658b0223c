/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

/**
 * @file maglev.h
 * Weighted Maglev tables.
 *
 * Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
 * Balancer", NSDI '16, section 3.4: endpoints take turns, and with each turn an
 * endpoint takes the next slot of its own permutation that is still free. The
 * permutation comes from the bytes of its address and port, never from its id,
 * and the result does not depend on the order of the input: every node that
 * knows the same endpoints builds the same table.
 *
 * Weights decide whose turn it is. Taking turns until the slots are gone is what
 * an election by Webster's method does with seats: the turn number k (from 0) of
 * an endpoint of weight w is due at (k + 1/2) / w, and the earliest is served
 * first. So the share of each stays within about one slot of its exact part,
 * whatever the weights, and equal weights give plain rounds. The first turn
 * of each is due at once, so that a small weight beside a large one gets a slot.
 * Pure.
 */
struct fl_maglev_entry {
	struct fl_ip addr;
	uint16_t port; /**< host order */
	uint16_t weight;
	uint32_t id; /**< what is written into the table */
};

/**
 * Build a table. Entries of weight 0 get no slot; without any other entry all
 * slots are 0. Each entry with a weight gets at least one slot where there is room.
 * Costs about size × (ln size + log2 count) steps: milliseconds for 65537 slots.
 * @param size   a prime, larger than the number of entries; see FL_SIZES
 * @param table  `size` ids; untouched on failure
 * @return 0, -EINVAL (size is no prime of at least 2), -ENOMEM
 */
int fl_maglev_build(
	const struct fl_maglev_entry *entries, size_t count, uint32_t size, uint32_t *table);
