/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/maps.h"
#include "lib/packet.h"

/**
 * @file explain.h
 * The answer of the program `explain`.
 */

/** Write the decision over the start of the packet, if there is room. */
static __always_inline void explain_write(struct pkt *p, __u32 reason)
{
	struct fl_explanation *answer = (void *)(long)p->ctx->data;
	struct fl_endpoint_row *endpoint;
	__u32 endpoint_id = p->endpoint;

	if ((void *)(answer + 1) > (void *)(long)p->ctx->data_end)
		return;
	__builtin_memset(answer, 0, sizeof(*answer));
	answer->magic = FL_EXPLANATION_MAGIC;
	answer->service = p->service;
	answer->frontend = p->frontend;
	answer->endpoint = p->endpoint;
	answer->hash = p->hash;
	answer->slot = p->slot;
	answer->value = p->value;
	answer->region = p->region;
	answer->reason = reason;
	answer->family = p->family;
	answer->forward = p->forward;
	answer->moving = (__s64)p->value < 0;
	answer->pinned = p->pinned;
	endpoint = bpf_map_lookup_elem(&fl_endpoints, &endpoint_id);
	if (endpoint)
		answer->state = endpoint->state;
}
