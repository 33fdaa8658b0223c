/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/packet.h"

/**
 * @file icmp.h
 * ICMP errors, built apart from the programs as packet.h does.
 */

/** An error as a row describes it. */
struct icmp_error {
	struct packet outer; /**< addresses, hops, tags, options; its protocol is ICMP's */
	uint8_t type, code;
	uint32_t rest;           /**< an MTU, a pointer: bytes 4 to 7 of the header */
	const uint8_t *quote;    /**< an IP packet */
	uint32_t quoted;         /**< how many bytes of it */
	uint16_t break_checksum; /**< added to the checksum of ICMP */
};

/** Build the bytes; `l4` is the ICMP header. */
void icmp_build(const struct icmp_error *error, struct frame *ret);
/** Sum over ICMP and what belongs to it: 0xffff when the checksum is right. */
uint32_t icmp_sum(const struct frame *frame);
