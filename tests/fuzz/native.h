/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * @file native.h
 * What the kernel is to a program, in user space: maps, helpers, and a frame in
 * memory whose ends are guarded.
 *
 * The frame lies below 4 GiB, since struct xdp_md has addresses of 32 bits. It ends
 * where a page begins that nobody may touch, and what is before its start is
 * poisoned, so that no byte outside of it is read or written unseen.
 */
#define NATIVE_FRAME_MAX    4096
#define NATIVE_HEADROOM_MAX 256

enum native_kind {
	NATIVE_ARRAY,
	NATIVE_NOTES, /**< array of what a CPU notes for itself, which decides nothing */
	NATIVE_HASH,
	NATIVE_TRIE,  /**< the key begins with a u32 of how many bits count */
	NATIVE_OUTER, /**< array of pointers to maps */
};

/** Stand a map in for its declaration. All are emptied by native_reset. */
void native_map_init(
	void *declaration, enum native_kind kind, uint32_t key, uint32_t value, uint32_t entries);
/** Let a hash take no more than `room` keys at a time, until native_reset. */
void native_map_limit(void *declaration, uint32_t room);
/** Empty every map. */
void native_reset(void);
/** Over the contents of all maps but notes. */
uint64_t native_digest(void);

/** Seconds that the boot clock shows. */
extern uint32_t native_now_s;
/** Answers bpf_fib_lookup. */
extern long (*native_fib)(struct bpf_fib_lookup *params);
/** Where the last redirect went; 0 = there was none since native_frame. */
extern uint32_t native_redirected;

/** Put a frame where programs find it; its context. @param headroom  bytes before it */
struct xdp_md *native_frame(
	const uint8_t *bytes, uint32_t length, uint32_t headroom, uint32_t ifindex);
/** The frame as it is now. */
const uint8_t *native_frame_bytes(uint32_t *ret_length);

/** Overwrite a constant of a program, which its own file must not do. */
void native_constant_set(const volatile void *constant, const void *value, size_t size);

/** Say what is wrong and end. */
#define native_fail(...)                                                                           \
	do {                                                                                       \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fprintf(stderr, "\n");                                                             \
		abort();                                                                           \
	} while (0)
