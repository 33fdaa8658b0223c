/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/hash.h"
#include "fairlead/slot.h"
#include "lib/flow.h"
#include "lib/maps.h"
#include "lib/packet.h"

/**
 * @file select.h
 * From the service to the endpoint, by the slot that the flow's hash points at.
 */

static __always_inline int service_lookup(struct pkt *p)
{
	__u32 service = p->service;
	struct fl_service_row *row = bpf_map_lookup_elem(&fl_services, &service);

	if (unlikely(!row))
		return -FL_DROP_INTERNAL;
	if (unlikely(!row->in_use))
		return -FL_DROP_NO_TABLE;
	p->forward = row->forward;
	p->region = READ_ONCE(row->region[p->family]);
	return 0;
}

/** @return the number of slots of a region; 0 when there is no table */
static __always_inline __u32 region_size(fl_region region)
{
	static const __u32 sizes[FL_SIZE_CLASSES] = FL_SIZES;
	__u32 class = (__u32)FL_REGION_CLASS(region);

	return class < FL_SIZE_CLASSES ? sizes[class] : 0;
}

/** Read the slot of the flow into p->value. */
static __always_inline int slot_lookup(struct pkt *p)
{
	__u32 size = region_size(p->region), index;
	fl_slot *slot;

	if (unlikely(!size))
		return -FL_DROP_NO_TABLE;
	p->slot = fl_hash_slot(p->hash, size);
	index = FL_REGION_BASE(p->region) + p->slot;
	slot = bpf_map_lookup_elem(&fl_slots, &index);
	if (unlikely(!slot))
		return -FL_DROP_INTERNAL;
	p->value = READ_ONCE(*slot);
	return 0;
}

/**
 * Choose the endpoint; p->to is its row. A slot that is settled needs nothing but
 * itself: no clock, no pin.
 */
static __always_inline int endpoint_select(struct pkt *p)
{
	__u32 id;
	int err;

	err = slot_lookup(p);
	if (err)
		return err;
	p->endpoint = id = fl_slot_now(p->value);
	p->to = bpf_map_lookup_elem(&fl_endpoints, &id);
	if (unlikely(!p->to || !id || !fl_state_takes_old(p->to->state)))
		return -FL_DROP_NO_ENDPOINT;
	return 0;
}
