/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "fairlead/abi.h"

/**
 * @file sock.h
 * What a socket remembers of us, in storage of its own: nothing of it can fill up,
 * be evicted by others, or outlive the socket.
 *
 * A connected socket has one peer. A datagram socket may send to many: it
 * remembers the last SOCK_PEERS, since an answer must show the frontend that was
 * asked; an answer that comes after as many others have been asked shows the
 * endpoint's own address.
 */
#define SOCK_PEERS 16

struct sock_peer {
	struct fl_ip endpoint;
	struct fl_ip frontend;
	__be16 endpoint_port;
	__be16 frontend_port;
	__u32 endpoint_id;
};

struct sock_peers {
	struct sock_peer peer[SOCK_PEERS];
	__u32 next; /**< the place that is written next */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sock_peer);
} sock_connected SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sock_peers);
} sock_datagrams SEC(".maps");

static __always_inline bool sock_ip_equal(const struct fl_ip *a, const struct fl_ip *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}
