/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fairlead/abi.h"

/**
 * @file build.h
 * Frames from the bytes of a fuzzer: nearly sound ones, which random bytes would
 * never be.
 */
#define BUILD_FRAME_MAX 2048

/** What is left of the input; reading beyond it gives zeroes. */
struct input {
	const uint8_t *at, *end;
};
uint8_t input_8(struct input *in);

/** Take a frame as it stands in the input. @return its length */
uint32_t build_raw(struct input *in, uint8_t frame[BUILD_FRAME_MAX]);
/** A frame from a client for one of the world's frontends, or for nobody: tags, options,
 * extension headers, fragments, TCP or UDP, sums in place. */
uint32_t build_packet(struct input *in, uint8_t frame[BUILD_FRAME_MAX]);
/** A frame with this tuple, as an endpoint answers with. */
uint32_t build_answer(struct input *in, const struct fl_flow *flow, uint8_t frame[BUILD_FRAME_MAX]);
/**
 * An ICMP error, of a kind that the input says.
 * @param quote  the IP packet that it is about, of which the input says how much is quoted
 * @param flow   of the packet
 */
uint32_t build_error(struct input *in, const uint8_t *quote, uint32_t quote_length,
	const struct fl_flow *flow, uint8_t frame[BUILD_FRAME_MAX]);
/** A tunnelled frame, for the target path. */
uint32_t build_tunnel(struct input *in, uint8_t frame[BUILD_FRAME_MAX]);
/** Overwrite some bytes and cut the end, as the input says. @return the new length */
uint32_t build_damage(struct input *in, uint8_t *frame, uint32_t length);
