// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/* The target path against its model: up to 16 tunnelled frames, most of them sound. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "fairlead/reasons.h"
#include "headers.h"
#include "native.h"
#include "target_native.h"
#include "world.h"

#define STEPS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char *const names[] = {
#define NAME(symbol, action, name, text) name,
	FL_REASONS(NAME)
};

/** Number of an address in a net of the world, or 255. */
static uint8_t number_in(enum fl_family family, uint8_t net, const struct fl_ip *ip)
{
	struct fl_ip other;
	int i;

	for (i = 0; i < 255; i++) {
		other = world_ip(family, net, (uint8_t)i);
		if (!memcmp(ip, &other, sizeof(other)))
			break;
	}
	return (uint8_t)i;
}

static bool is_service(enum fl_family family, const struct fl_ip *ip)
{
	uint8_t n = number_in(family, WORLD_NET_FRONTEND, ip);

	return n >= 1 && n <= WORLD_ADDRESSES;
}

static bool is_local(enum fl_family family, const struct fl_ip *ip)
{
	return is_service(family, ip) || number_in(family, WORLD_NET_NODE, ip) == 1;
}

static bool is_balancer(enum fl_family family, const struct fl_ip *ip)
{
	uint8_t n = number_in(family, WORLD_NET_NODE, ip);

	return family == FL_IPV4 ? n < 16 : n == 2;
}

/** RFC 6040, figure 4: the ECN field that a packet leaves with; -1 = it is dropped. */
static int ecn_after(uint8_t outer, uint8_t inner)
{
	static const int8_t leaves[4][4] = {
		/* [inner][outer], as bits: Not-ECT, ECT(1), ECT(0), CE */
		{ 0, 0, 0, -1 },
		{ 1, 1, 1, 3 },
		{ 2, 1, 2, 3 },
		{ 3, 3, 3, 3 },
	};

	return leaves[inner][outer];
}

/** Whether an IPv4 header lies in the frame with all its options: else it has no sum. */
static bool bytes_fit(const struct headers *h, uint32_t length)
{
	return h->l4 <= length;
}

/** The frame that should come out, if the reason is FL_PASS_DECAPSULATED.
 * @param ret_sum  of the inner header as it arrives */
static enum fl_reason judge(const uint8_t *frame, uint32_t length, uint8_t *want,
	uint32_t *ret_length, uint16_t *ret_sum)
{
	struct headers h = headers_read(frame, length), in = { 0 };
	uint8_t *inner;
	int ecn;

	if (!h.readable)
		return FL_PASS_UNREADABLE;
	if (!h.is_ip)
		return FL_PASS_NOT_IP;
	if (h.part != WHOLE || (h.proto != IPPROTO_IPIP && h.proto != IPPROTO_IPV6))
		return FL_PASS_NO_SERVICE;
	if (!is_local(h.family, &h.daddr))
		return FL_PASS_NO_SERVICE;

	/* What is inside, behind the link header as it will be. */
	memcpy(want, frame, h.l3);
	want[h.l3 - 2] = h.proto == IPPROTO_IPIP ? 0x08 : 0x86;
	want[h.l3 - 1] = h.proto == IPPROTO_IPIP ? 0x00 : 0xdd;
	*ret_length = h.l3;
	if (h.l4 < length) {
		memcpy(want + h.l3, frame + h.l4, length - h.l4);
		*ret_length += length - h.l4;
	}
	in = headers_read(want, *ret_length);
	if (!in.readable)
		return FL_DROP_MALFORMED;
	if (!is_service(in.family, &in.daddr))
		return FL_PASS_NO_SERVICE;
	if (!is_balancer(h.family, &h.saddr))
		return FL_DROP_NOT_ALLOWED;
	ecn = ecn_after(h.class & 3, in.class & 3);
	if (ecn < 0)
		return FL_DROP_CONGESTED;
	inner = want + h.l3;
	if (in.family == FL_IPV4 && bytes_fit(&in, *ret_length))
		*ret_sum = sum_header(&in, want);
	if (in.family == FL_IPV4)
		inner[1] = (uint8_t)((inner[1] & ~3) | ecn);
	else
		inner[1] = (uint8_t)((inner[1] & ~0x30) | ecn << 4);
	return FL_PASS_DECAPSULATED;
}

/** The bytes that came out. @param sum  what the inner IPv4 header summed up to before: its
 * checksum follows the ECN field, and is as right or wrong as it was */
static void check_bytes(const uint8_t *want, uint32_t length, uint16_t sum, bool unwrapped)
{
	static uint8_t got[BUILD_FRAME_MAX];
	const uint8_t *out;
	uint32_t out_length;
	struct headers h;

	out = native_frame_bytes(&out_length);
	if (out_length != length)
		native_fail("%u bytes came out, the model says %u", out_length, length);
	memcpy(got, out, length);
	h = headers_read(want, length);
	if (unwrapped && h.ethertype == 0x0800) {
		if (bytes_fit(&h, length) && sum_header(&h, got) != sum)
			native_fail("the inner header's checksum");
		memcpy(got + h.l3 + 10, want + h.l3 + 10, 2);
	}
	if (memcmp(got, want, length) != 0)
		native_fail("other bytes came out");
}

static void run_packet(const uint8_t *frame, uint32_t length)
{
	static uint8_t want[BUILD_FRAME_MAX];
	const __u64 *reasons = target_native_reasons();
	uint32_t want_length = length, i, counted = 0, reason = 0;
	__u64 before[FL_REASON_COUNT];
	uint16_t sum = 0;
	enum fl_reason expected = judge(frame, length, want, &want_length, &sum);
	int action;

	memcpy(before, reasons, sizeof(before));
	action = target(native_frame(frame, length, NATIVE_HEADROOM_MAX, WORLD_INGRESS));
	for (i = 0; i < FL_REASON_COUNT; i++) {
		counted += (uint32_t)(reasons[i] - before[i]);
		reason = reasons[i] != before[i] ? i : reason;
	}
	if (counted != 1)
		native_fail("%u reasons were counted", counted);
	if (reason != expected)
		native_fail("it left with %s, the model says %s", names[reason], names[expected]);
	if (action == XDP_DROP)
		return;
	if (action != XDP_PASS)
		native_fail("action %d", action);
	if (expected == FL_PASS_DECAPSULATED)
		check_bytes(want, want_length, sum, true);
	else
		check_bytes(frame, length, 0, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, bytes + size };
	uint8_t frame[BUILD_FRAME_MAX];
	static bool open;
	uint32_t length;
	int i;

	if (!open) {
		target_native_open();
		open = true;
	}
	native_reset();
	target_native_fill();
	for (i = 0; i < STEPS_MAX && in.at < in.end; i++) {
		uint8_t what = input_8(&in);

		length = what & 7 ? build_tunnel(&in, frame) : build_raw(&in, frame);
		if (what & 8)
			length = build_damage(&in, frame, length);
		run_packet(frame, length);
	}
	return 0;
}
