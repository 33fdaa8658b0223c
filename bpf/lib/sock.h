/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lib/maps_node.h"

/**
 * @file sock.h
 * Addresses of sockets.
 */
static __always_inline bool sock_ip_equal(const struct fl_ip *a, const struct fl_ip *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

/** As ::ffff:a.b.c.d. */
static __always_inline void sock_ipv4(__be32 addr, struct fl_ip *ret)
{
	ret->word[0] = ret->word[1] = 0;
	ret->word[2] = bpf_htonl(0xffff);
	ret->word[3] = addr;
}

/** ::ffff:a.b.c.d is IPv4. */
static __always_inline enum fl_family sock_ip_family(const struct fl_ip *ip)
{
	return !ip->word[0] && !ip->word[1] && ip->word[2] == bpf_htonl(0xffff) ? FL_IPV4 : FL_IPV6;
}
