/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/types.h>

/**
 * @file hash.h
 * The hash of a flow: the same bits in the programs, the agent and the tests.
 *
 * Each step xors 8 bytes in and multiplies, and the end is the finalizer of
 * MurmurHash3 (Austin Appleby, public domain; constants are his and those of
 * SplitMix64, Steele et al., OOPSLA 2014). Keyed by a seed, since who can
 * predict slots can overload one endpoint; not meant to resist an attacker
 * who can measure collisions.
 */

static inline __attribute__((always_inline)) __u64 fl_hash_mix(__u64 h, __u64 word)
{
	h ^= word;
	h *= 0x9e3779b97f4a7c15ull;
	return h ^ h >> 32;
}

static inline __attribute__((always_inline)) __u32 fl_hash_end(__u64 h)
{
	h *= 0xff51afd7ed558ccdull;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ull;
	return (__u32)(h >> 32);
}

/**
 * Hash an IPv4 flow. All arguments as they stand in memory (network order,
 * loaded as host integers); the same flow gives the same hash on every
 * little-endian node with the same seed.
 */
static inline __attribute__((always_inline)) __u32 fl_hash_ipv4(
	__u32 seed, __be32 saddr, __be32 daddr, __be16 sport, __be16 dport, __u8 proto)
{
	__u64 h = fl_hash_mix((__u64)seed << 8 | proto, (__u64)daddr << 32 | saddr);

	return fl_hash_end(fl_hash_mix(h, (__u64)dport << 16 | sport));
}

/** Hash an IPv6 flow; addresses as four 32-bit words in network order. */
static inline __attribute__((always_inline)) __u32 fl_hash_ipv6(__u32 seed, const __be32 *saddr,
	const __be32 *daddr, __be16 sport, __be16 dport, __u8 proto)
{
	__u64 h = fl_hash_mix((__u64)seed << 8 | proto, (__u64)saddr[1] << 32 | saddr[0]);

	h = fl_hash_mix(h, (__u64)saddr[3] << 32 | saddr[2]);
	h = fl_hash_mix(h, (__u64)daddr[1] << 32 | daddr[0]);
	h = fl_hash_mix(h, (__u64)daddr[3] << 32 | daddr[2]);
	return fl_hash_end(fl_hash_mix(h, (__u64)dport << 16 | sport));
}

/** The slot of a flow in a table of `size` slots: no division (Lemire, 2019). */
static inline __attribute__((always_inline)) __u32 fl_hash_slot(__u32 hash, __u32 size)
{
	return (__u32)((__u64)hash * size >> 32);
}
