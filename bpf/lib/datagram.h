/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/choose.h"
#include "lib/sock.h"

/**
 * @file datagram.h
 * The peers that a datagram socket remembers, without being connected: it keeps the
 * endpoint it was given for a frontend for as long as that takes traffic, so that a
 * conversation stays in one place.
 */

static __always_inline struct fl_peers *datagram_peers(struct bpf_sock_addr *ctx, __u64 flags)
{
	return bpf_sk_storage_get(&fl_datagrams, ctx->sk, 0, flags);
}

/** Global, so that to the verifier one place is like the other: else all that follows would be
 * looked at for each. @return the place of a frontend's peer; FL_PEERS = there is none */
__noinline __u32 datagram_find(struct fl_peers *kept, const struct fl_ip *frontend, __u32 port)
{
	if (!kept || !frontend)
		return FL_PEERS;
	for (__u32 i = 0; i < FL_PEERS; i++) {
		const struct fl_peer *peer = &kept->peer[i];

		if (peer->endpoint_id && peer->frontend_port == (__be16)port &&
			sock_ip_equal(&peer->frontend, frontend))
			return i;
	}
	return FL_PEERS;
}

/** Remember what was chosen, in place of the oldest, or of `known`. */
static __always_inline void datagram_remember(struct bpf_sock_addr *ctx, struct fl_peer *known,
	const struct choice *c, const struct fl_ip *frontend, __be16 port)
{
	struct fl_peers *kept;
	struct fl_peer *peer = known;

	if (!peer) {
		kept = datagram_peers(ctx, BPF_SK_STORAGE_GET_F_CREATE);
		if (!kept)
			return;
		peer = &kept->peer[__sync_fetch_and_add(&kept->next, 1) & (FL_PEERS - 1)];
	}
	peer->endpoint = c->addr;
	peer->endpoint_port = c->port;
	peer->endpoint_id = c->endpoint;
	peer->frontend = *frontend;
	peer->frontend_port = port;
}
