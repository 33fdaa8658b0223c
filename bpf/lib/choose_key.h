/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/hash.h"
#include "lib/maps_node.h"
#include "lib/packet.h"

/**
 * @file choose_key.h
 * What a connection's slot follows from, where a service says so. No seed: a source
 * address leads to the same endpoint on every node.
 */

/** The address that a socket is bound to, IPv4 as ::ffff:a.b.c.d. @return whether it is */
static __always_inline bool key_bound(
	struct bpf_sock_addr *ctx, enum fl_family socket_family, __u64 ret[2])
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return false;
	if (socket_family == FL_IPV4) {
		ret[0] = 0;
		ret[1] = (__u64)bpf_htonl(0xffff) | (__u64)sk->src_ip4 << 32;
		return sk->src_ip4 != 0;
	}
	ret[0] = (__u64)sk->src_ip6[0] | (__u64)sk->src_ip6[1] << 32;
	ret[1] = (__u64)sk->src_ip6[2] | (__u64)sk->src_ip6[3] << 32;
	return ret[0] || ret[1];
}

static __always_inline __u32 key_of_cgroup(__u64 cgroup)
{
	return fl_hash_end(fl_hash_mix(FL_KEY_CGROUP, cgroup));
}

/** @param words  the address; NULL = the socket is not bound */
static __always_inline __u32 key_of_source(const __u64 *words, __u64 netns)
{
	if (!words)
		return fl_hash_end(fl_hash_mix(FL_KEY_SOURCE, netns));
	return fl_hash_end(fl_hash_mix(fl_hash_mix(FL_KEY_SOURCE, words[0]), words[1]));
}

static __always_inline __u32 key_hash(
	struct bpf_sock_addr *ctx, enum fl_family socket_family, __u32 key, __u64 netns)
{
	__u64 words[2];

	if (key == FL_KEY_CGROUP)
		return key_of_cgroup(bpf_get_current_cgroup_id());
	return key_of_source(key_bound(ctx, socket_family, words) ? words : NULL, netns);
}
