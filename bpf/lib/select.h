/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/slot.h"
#include "lib/maps.h"
#include "lib/moving.h"
#include "lib/packet.h"

/**
 * @file select.h
 * From the service to the endpoint, by the slot that the flow's hash points at.
 */

static __always_inline int service_lookup(struct pkt *p)
{
	struct fl_service_row *row = service_row(p->service);

	if (unlikely(!row))
		return -FL_DROP_INTERNAL;
	if (unlikely(!row->in_use))
		return -FL_DROP_NO_TABLE;
	p->forward = row->forward;
	p->udp = row->udp;
	p->region = READ_ONCE(row->region[p->family]);
	return 0;
}

/** The row of p->endpoint, if it takes packets. */
static __always_inline int endpoint_take(struct pkt *p)
{
	p->to = endpoint_row(p->endpoint);
	if (unlikely(!p->to || !p->endpoint || !fl_state_takes_old(p->to->state)))
		return -FL_DROP_NO_ENDPOINT;
	return 0;
}

/** Choose the endpoint of a slot at rest, which needs nothing but itself: no clock, no
 * pin. @return 0, a negative reason, or 1: the slot moves */
static __always_inline int endpoint_settled(struct pkt *p, __u32 *ret_index)
{
	int err = slot_read(p->region, p->size, p->hash, &p->slot, ret_index, &p->value);

	if (err)
		return err;
	p->endpoint = fl_slot_now(p->value);
	if (unlikely(fl_slot_is_moving(p->value)))
		return 1;
	return endpoint_take(p);
}

/** Choose the endpoint; p->to is its row. */
static __always_inline int endpoint_select(struct pkt *p, bool explain)
{
	__u32 index;
	int err;

	p->size = region_size(p->region);
	err = endpoint_settled(p, &index);

	if (err <= 0)
		return err;
	moving_select(p, index, explain);
	return endpoint_take(p);
}
