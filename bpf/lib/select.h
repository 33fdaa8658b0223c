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

/**
 * Choose the endpoint; p->to is its row. A slot at rest needs nothing but itself:
 * no clock, no pin.
 */
static __always_inline int endpoint_select(struct pkt *p, bool explain)
{
	__u32 index;
	int err;

	err = slot_lookup(p->region, p->hash, &p->slot, &index, &p->value);
	if (err)
		return err;
	p->endpoint = fl_slot_now(p->value);
	if (unlikely(fl_slot_is_moving(p->value)))
		moving_select(p, index, explain);
	p->to = endpoint_row(p->endpoint);
	if (unlikely(!p->to || !p->endpoint || !fl_state_takes_old(p->to->state)))
		return -FL_DROP_NO_ENDPOINT;
	return 0;
}
