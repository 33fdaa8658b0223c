/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/maps.h"
#include "lib/packet.h"

/**
 * @file nat_table.h
 * The tables of nat flows: generations from the newest to the oldest.
 */

static __always_inline void *nat_generation(__u32 position)
{
	return bpf_map_lookup_elem(&fl_nat, &position);
}

/** Find an entry in whatever generation holds it. */
static __always_inline struct fl_nat_entry *nat_find(const struct fl_flow *key)
{
	struct fl_nat_entry *entry;
	__u32 i;

#pragma unroll
	for (i = 0; i < FL_NAT_GENERATIONS; i++) {
		void *table = nat_generation(i);

		if (!table)
			return 0;
		entry = bpf_map_lookup_elem(table, key);
		if (entry)
			return entry;
	}
	return 0;
}
