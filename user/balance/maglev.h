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
 * Balancer", NSDI '16, section 3.4; weights by giving an endpoint turns in
 * proportion. The permutation of an endpoint comes from the bytes of its address
 * and port, never from its id, and the result does not depend on the order of
 * the input: every node that knows the same endpoints builds the same table.
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
 * @param size   a prime, larger than the number of entries; see FL_SIZES
 * @param table  `size` ids
 * @return 0, -EINVAL (size is no prime of at least 2), -ENOMEM
 */
int fl_maglev_build(const struct fl_maglev_entry *entries, size_t count, uint32_t size,
	uint32_t *table);
