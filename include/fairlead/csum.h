/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/types.h>

/**
 * @file csum.h
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624, eqn. 3),
 * the same in the programs and the tests. Pure.
 *
 * Sums are kept in 64 bits and folded once at the end: 2^16 is 1 modulo 65535, so
 * words of 16 and of 32 bits add up alike, and carries cannot be lost. All words
 * are taken as they stand in memory; the sum does not depend on byte order.
 */

static inline __attribute__((always_inline)) __u16 fl_csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/** Account for a word that a header had and the one it gets instead. */
static inline __attribute__((always_inline)) __u64 fl_csum_replace(
	__u64 delta, __u32 from, __u32 to)
{
	return delta + (__u32)~from + to;
}

/** A checksum field after the replacements in `delta`. */
static inline __attribute__((always_inline)) __u16 fl_csum_update(__u16 check, __u64 delta)
{
	return (__u16)~fl_csum_fold(delta + (__u16)~check);
}

/** The same for UDP, where 0 would say that there is no checksum (RFC 768). */
static inline __attribute__((always_inline)) __u16 fl_csum_update_udp(__u16 check, __u64 delta)
{
	check = fl_csum_update(check, delta);
	return check ? check : 0xffff;
}
