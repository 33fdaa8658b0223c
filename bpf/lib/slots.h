/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/hash.h"
#include "fairlead/slot.h"
#include "lib/maps.h"
#include "lib/packet.h"

/**
 * @file slots.h
 * Slot tables: from a region and a hash to the slot.
 */

/* Rows by their number. */

static __always_inline struct fl_service_row *service_row(__u32 id)
{
	return bpf_map_lookup_elem(&fl_services, &id);
}

static __always_inline struct fl_endpoint_row *endpoint_row(__u32 id)
{
	return bpf_map_lookup_elem(&fl_endpoints, &id);
}

/** @return the number of slots of a region; 0 when there is no table */
static __always_inline __u32 region_size(fl_region region)
{
	static const __u32 sizes[FL_SIZE_CLASSES] = FL_SIZES;
	__u32 class = (__u32)FL_REGION_CLASS(region);

	return class < FL_SIZE_CLASSES ? sizes[class] : 0;
}

/**
 * Read the slot of a flow.
 * @param size       of the region's table
 * @param ret_slot   its place in the table
 * @param ret_index  its place in `slots`
 * @return 0 or a negative reason
 */
static __always_inline int slot_read(
	fl_region region, __u32 size, __u32 hash, __u32 *ret_slot, __u32 *ret_index, fl_slot *ret)
{
	__u32 index;
	fl_slot *slot;

	if (unlikely(!size))
		return -FL_DROP_NO_TABLE;
	*ret_slot = fl_hash_slot(hash, size);
	*ret_index = index = FL_REGION_BASE(region) + *ret_slot;
	slot = bpf_map_lookup_elem(&fl_slots, &index);
	if (unlikely(!slot))
		return -FL_DROP_INTERNAL;
	*ret = READ_ONCE(*slot);
	return 0;
}

/** The same, where only the region is known. */
static __always_inline int slot_lookup(
	fl_region region, __u32 hash, __u32 *ret_slot, __u32 *ret_index, fl_slot *ret)
{
	return slot_read(region, region_size(region), hash, ret_slot, ret_index, ret);
}
