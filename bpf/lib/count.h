/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/maps.h"
#include "lib/packet.h"

/**
 * @file count.h
 * Counters of what was sent. One that is missing is no reason not to send.
 */

/** A packet from a client was sent to p->endpoint. */
static __always_inline void count_forward(const struct pkt *p, bool new_flow)
{
	__u32 frontend_id = p->frontend, endpoint_id = p->endpoint;
	struct fl_frontend_stats *frontend = bpf_map_lookup_elem(&fl_frontend_stats, &frontend_id);
	struct fl_endpoint_stats *endpoint = bpf_map_lookup_elem(&fl_endpoint_stats, &endpoint_id);

	if (likely(frontend)) {
		frontend->packets++;
		frontend->bytes += p->ip_len;
		if (new_flow)
			frontend->new_flows++;
	}
	if (likely(endpoint)) {
		endpoint->packets++;
		endpoint->bytes += p->ip_len;
		if (new_flow)
			endpoint->new_flows++;
	}
}

/** An answer was sent back to a client. */
static __always_inline void count_reply(const struct pkt *p)
{
	__u32 frontend_id = p->frontend;
	struct fl_frontend_stats *frontend = bpf_map_lookup_elem(&fl_frontend_stats, &frontend_id);

	if (frontend) {
		frontend->reply_packets++;
		frontend->reply_bytes += p->ip_len;
	}
}
