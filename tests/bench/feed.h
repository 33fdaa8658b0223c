/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/types.h>

/**
 * @file feed.h
 * What the measuring program tells the feeder and the yardsticks in the kernel.
 *
 * BPF_PROG_TEST_RUN with a repeat count hands the same buffer to every run, so a
 * program that encapsulates would get its own output back, and every packet would
 * be of one flow. The feeder stands in front: it takes the length back to what it
 * was, writes the frame anew with the addresses of the next flow, and jumps into
 * the program that is measured. What it costs itself is measured with a program
 * behind it that only passes, and subtracted.
 */

/** Shapes of frames: their offsets are constants to the feeder. */
enum feed_shape {
	FEED_TCP4,
	FEED_UDP4,
	FEED_TCP6,
	FEED_UDP6,
	FEED_ANSWER4, /**< TCP over IPv4 from endpoints to nat; its flows are rows of `answers` */
	FEED_SHAPES
};

/** Bytes of a frame: multiples of 8, to be written quickly. */
#define FEED_FRAME4    64
#define FEED_FRAME6    80
#define FEED_FRAME_MAX 80

/** A flow is a number: its low 12 bits choose the source port, the others the
 * low bits of the source address. */
#define FEED_PORT_BITS 12
#define FEED_PORT_BASE 16384

struct feed {
	__u32 next; /**< number of the next packet */
	__u32 mask; /**< flows - 1; all bits set: every packet is of a new flow */
	/* Sums without what changes with the flow: the source address and port; of answers
	 * both addresses and the destination port. */
	__u32 ip_sum;
	__u32 l4_sum;
	__u64 frame[FEED_FRAME_MAX / 8];
};

/** Row of the array `answers`: what an endpoint answers to. Its port is 80. */
struct feed_answer {
	__be32 saddr;
	__be32 daddr;
	__be16 dport;
	__u16 pad;
};
#define FEED_ANSWERS 65536

/** Row of the yardsticks' one array: an endpoint. */
struct yard_endpoint {
	__be32 addr[4]; /**< IPv4 in the last word */
	__u8 dmac[6];
	__u8 smac[6];
	__u32 pad;
};

#define YARD_ENDPOINTS 128
#define YARD_SLOTS     65537
