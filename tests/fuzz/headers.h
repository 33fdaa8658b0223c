/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/abi.h"

/**
 * @file headers.h
 * Reading headers the slow way: byte by byte, every access checked. Written apart
 * from bpf/lib, from the RFCs.
 */

/** Some bytes; reading beyond them gives zeroes and sets `over`. */
struct bytes {
	const uint8_t *at;
	uint32_t length;
	bool over;
};
uint8_t bytes_8(struct bytes *b, uint32_t offset);
uint16_t bytes_16(struct bytes *b, uint32_t offset);
/** Whether `length` bytes from `offset` on are there. */
bool bytes_have(const struct bytes *b, uint32_t offset, uint32_t length);

enum part { WHOLE, FIRST_FRAGMENT, LATER_FRAGMENT, CUT };

/** A frame as its headers tell it. Offsets are from the frame's start. */
struct headers {
	bool readable; /**< down to the addresses; what follows is set only then */
	bool is_ip;
	uint8_t tags;
	uint16_t ethertype;
	enum fl_family family;
	uint32_t l3, l4;
	uint32_t ip_len; /**< of the whole IP packet */
	uint8_t proto;
	uint8_t hops;
	uint8_t class; /**< traffic class, ECN included */
	enum part part;
	struct fl_ip saddr, daddr;
	uint16_t sport, dport; /**< host order; 0 where the part has none */
	uint8_t tcp_flags;     /**< set by headers_sound */
};
struct headers headers_read(const uint8_t *frame, uint32_t length);
/** The same of an IP packet that begins `at` bytes into the frame. */
struct headers headers_read_ip(
	const uint8_t *frame, uint32_t length, uint32_t at, enum fl_family family);
/** Whether the lengths that a whole TCP or UDP packet states agree with each other and
 * the frame. */
bool headers_sound(struct headers *h, const uint8_t *frame, uint32_t length);

/** Sum of 16-bit words as RFC 1071 has it, 0 and 0xffff made one. */
uint16_t sum_fold(uint64_t sum);
uint64_t sum_bytes(const uint8_t *bytes, uint32_t length);
/** Sum over the IPv4 header: 0 when its checksum is right. For IPv6 always 0. */
uint16_t sum_header(const struct headers *h, const uint8_t *frame);
/** Sum over pseudo header and segment: 0 when the TCP or UDP checksum is right. */
uint16_t sum_segment(const struct headers *h, const uint8_t *frame);
