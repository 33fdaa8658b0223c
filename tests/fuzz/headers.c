// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "headers.h"

#include <netinet/in.h>
#include <string.h>

bool bytes_have(const struct bytes *b, uint32_t offset, uint32_t length)
{
	return offset <= b->length && length <= b->length - offset;
}

uint8_t bytes_8(struct bytes *b, uint32_t offset)
{
	if (bytes_have(b, offset, 1))
		return b->at[offset];
	b->over = true;
	return 0;
}

uint16_t bytes_16(struct bytes *b, uint32_t offset)
{
	uint16_t high = bytes_8(b, offset);

	return (uint16_t)(high << 8 | bytes_8(b, offset + 1));
}

static void read_ports(struct headers *h, struct bytes *b)
{
	if (h->part != WHOLE && h->part != FIRST_FRAGMENT)
		return;
	if (!bytes_have(b, h->l4, 4)) {
		h->part = CUT;
		return;
	}
	h->sport = bytes_16(b, h->l4);
	h->dport = bytes_16(b, h->l4 + 2);
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

static void read_ipv4(struct headers *h, struct bytes *b)
{
	uint8_t words = bytes_8(b, h->l3) & 15;
	uint16_t fragment = bytes_16(b, h->l3 + 6);

	h->readable = bytes_have(b, h->l3, 20) && bytes_8(b, h->l3) >> 4 == 4 && words >= 5;
	if (!h->readable)
		return;
	h->family = FL_IPV4;
	h->class = bytes_8(b, h->l3 + 1);
	h->ip_len = bytes_16(b, h->l3 + 2);
	h->hops = bytes_8(b, h->l3 + 8);
	h->proto = bytes_8(b, h->l3 + 9);
	h->saddr.word[2] = h->daddr.word[2] = htonl(0xffff);
	memcpy(&h->saddr.word[3], b->at + h->l3 + 12, 4);
	memcpy(&h->daddr.word[3], b->at + h->l3 + 16, 4);
	h->l4 = h->l3 + words * 4;
	if (fragment & 0x1fff)
		h->part = LATER_FRAGMENT;
	else if (fragment & 0x2000)
		h->part = FIRST_FRAGMENT;
	if (has_ports(h->proto))
		read_ports(h, b);
}

/** Walk at most seven extension headers; the next one is not an extension, or the
 * packet counts as cut. A routing header with hops left is where it ends. */
static void read_extensions(struct headers *h, struct bytes *b)
{
	int walked;

	for (walked = 0; walked < 8; walked++) {
		bool fragment = h->proto == IPPROTO_FRAGMENT;

		if (h->l4 > 4096)
			break;
		if (!fragment && h->proto != IPPROTO_HOPOPTS && h->proto != IPPROTO_DSTOPTS &&
			h->proto != IPPROTO_ROUTING)
			return;
		if (!bytes_have(b, h->l4, 8))
			break;
		if (h->proto == IPPROTO_ROUTING && bytes_8(b, h->l4 + 3))
			return;
		h->proto = bytes_8(b, h->l4);
		if (fragment && bytes_16(b, h->l4 + 2) >> 3) {
			h->part = LATER_FRAGMENT;
			return;
		}
		if (fragment && bytes_16(b, h->l4 + 2) & 1)
			h->part = FIRST_FRAGMENT;
		h->l4 += fragment ? 8 : 8 + 8 * bytes_8(b, h->l4 + 1);
	}
	h->part = CUT;
}

static void read_ipv6(struct headers *h, struct bytes *b)
{
	h->readable = bytes_have(b, h->l3, 40) && bytes_8(b, h->l3) >> 4 == 6;
	if (!h->readable)
		return;
	h->family = FL_IPV6;
	h->class = (uint8_t)(bytes_16(b, h->l3) >> 4);
	h->ip_len = 40 + bytes_16(b, h->l3 + 4);
	h->proto = bytes_8(b, h->l3 + 6);
	h->hops = bytes_8(b, h->l3 + 7);
	memcpy(&h->saddr, b->at + h->l3 + 8, 16);
	memcpy(&h->daddr, b->at + h->l3 + 24, 16);
	h->l4 = h->l3 + 40;
	read_extensions(h, b);
	if (has_ports(h->proto))
		read_ports(h, b);
}

struct headers headers_read(const uint8_t *frame, uint32_t length)
{
	struct bytes b = { frame, length, false };
	struct headers h = { 0 };
	uint32_t at = 12;

	if (length < 14)
		return h;
	while (h.tags < 2 && (bytes_16(&b, at) == 0x8100 || bytes_16(&b, at) == 0x88a8)) {
		if (!bytes_have(&b, at, 6))
			return h;
		h.tags++;
		at += 4;
	}
	h.ethertype = bytes_16(&b, at);
	h.l3 = at + 2;
	h.is_ip = h.ethertype == 0x0800 || h.ethertype == 0x86dd;
	h.readable = true;
	if (h.ethertype == 0x0800)
		read_ipv4(&h, &b);
	else if (h.is_ip)
		read_ipv6(&h, &b);
	return h;
}

struct headers headers_read_ip(
	const uint8_t *frame, uint32_t length, uint32_t at, enum fl_family family)
{
	struct bytes b = { frame, length, false };
	struct headers h = { .l3 = at };

	if (family == FL_IPV4)
		read_ipv4(&h, &b);
	else
		read_ipv6(&h, &b);
	return h;
}

bool headers_sound(struct headers *h, const uint8_t *frame, uint32_t length)
{
	struct bytes b = { frame, length, false };
	uint32_t before = h->l4 - h->l3, stated;

	if (!bytes_have(&b, h->l3, h->ip_len))
		return false;
	if (h->proto == IPPROTO_TCP) {
		stated = (bytes_8(&b, h->l4 + 12) >> 4) * 4u;
		h->tcp_flags = bytes_8(&b, h->l4 + 13);
		return bytes_have(&b, h->l4, 20) && stated >= 20 && before + stated <= h->ip_len;
	}
	stated = bytes_16(&b, h->l4 + 4);
	return bytes_have(&b, h->l4, 8) && stated >= 8 && before + stated <= h->ip_len;
}

uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff ? 0 : (uint16_t)sum;
}

uint64_t sum_bytes(const uint8_t *bytes, uint32_t length)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < length; i++)
		sum += i % 2 ? bytes[i] : bytes[i] << 8;
	return sum;
}

uint16_t sum_header(const struct headers *h, const uint8_t *frame)
{
	if (h->family == FL_IPV6)
		return 0;
	return sum_fold(sum_bytes(frame + h->l3, (frame[h->l3] & 15) * 4u));
}

uint16_t sum_segment(const struct headers *h, const uint8_t *frame)
{
	uint32_t length = h->ip_len - (h->l4 - h->l3);
	uint64_t sum;

	if (h->proto == IPPROTO_UDP)
		length = (uint32_t)(frame[h->l4 + 4] << 8 | frame[h->l4 + 5]);
	if (h->family == FL_IPV4)
		sum = sum_bytes(frame + h->l3 + 12, 8);
	else
		sum = sum_bytes(frame + h->l3 + 8, 32);
	return sum_fold(sum + h->proto + length + sum_bytes(frame + h->l4, length));
}
