/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/icmp.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

static bool is_ipv6(const struct frame *frame)
{
	return frame->bytes[frame->ip] >> 4 == 6;
}

static void set16(struct frame *frame, uint32_t at, uint16_t value)
{
	frame->bytes[at] = (uint8_t)(value >> 8);
	frame->bytes[at + 1] = (uint8_t)value;
}

static uint32_t end_of(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + frame->ip;

	if (is_ipv6(frame))
		return frame->ip + 40 + (uint32_t)(ip[4] << 8 | ip[5]);
	return frame->ip + (uint32_t)(ip[2] << 8 | ip[3]);
}

uint32_t icmp_sum(const struct frame *frame)
{
	uint32_t length = end_of(frame) - frame->l4, sum = 0;

	if (is_ipv6(frame))
		sum = checksum_add(length + IPPROTO_ICMPV6, frame->bytes + frame->ip + 8, 32);
	return checksum_add(sum, frame->bytes + frame->l4, length);
}

/* The IP header was made for a packet without contents. */
static void fill_ip(struct frame *frame, uint32_t end)
{
	uint32_t header = (frame->bytes[frame->ip] & 15) * 4u;

	if (is_ipv6(frame)) {
		set16(frame, frame->ip + 4, (uint16_t)(end - frame->ip - 40));
		return;
	}
	set16(frame, frame->ip + 2, (uint16_t)(end - frame->ip));
	set16(frame, frame->ip + 10, 0);
	set16(frame, frame->ip + 10,
		ntohs(checksum_end(checksum_add(0, frame->bytes + frame->ip, header))));
}

void icmp_build(const struct icmp_error *error, struct frame *ret)
{
	struct packet outer = error->outer;
	uint32_t end, rest = htonl(error->rest);
	uint8_t *icmp;

	outer.proto = strchr(outer.src, ':') ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	outer.payload = NO_PAYLOAD;
	outer.padding = 0;
	packet_build(&outer, ret);
	end = ret->l4 + 8 + error->quoted;
	cr_assert_leq(end + error->outer.padding, sizeof(ret->bytes));
	icmp = ret->bytes + ret->l4;
	icmp[0] = error->type;
	icmp[1] = error->code;
	memcpy(icmp + 4, &rest, 4);
	memcpy(icmp + 8, error->quote, error->quoted);
	memset(ret->bytes + end, 0xaa, error->outer.padding);
	ret->length = end + error->outer.padding;
	fill_ip(ret, end);
	set16(ret, ret->l4 + 2,
		(uint16_t)(ntohs(checksum_end(icmp_sum(ret))) + error->break_checksum));
}
