/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/packet.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/actors.h"

uint32_t checksum_add(uint32_t sum, const void *bytes, size_t length)
{
	const uint8_t *byte = bytes;
	size_t i;

	for (i = 0; i < length; i++)
		sum += i & 1 ? byte[i] : byte[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

uint16_t checksum_end(uint32_t sum)
{
	return htons(~sum & 0xffff);
}

static void put(struct frame *frame, const void *bytes, size_t length)
{
	cr_assert_leq(frame->length + length, sizeof(frame->bytes));
	memcpy(frame->bytes + frame->length, bytes, length);
	frame->length += length;
}

static void put8(struct frame *frame, uint8_t value)
{
	put(frame, &value, 1);
}

static void put16(struct frame *frame, uint16_t value)
{
	value = htons(value);
	put(frame, &value, 2);
}

static void set16(struct frame *frame, uint32_t at, uint16_t value)
{
	frame->bytes[at] = value >> 8;
	frame->bytes[at + 1] = (uint8_t)value;
}

static uint16_t get16(const struct frame *frame, uint32_t at)
{
	return (uint16_t)(frame->bytes[at] << 8 | frame->bytes[at + 1]);
}

static bool is_ipv6(const struct packet *packet)
{
	return strchr(packet->src, ':');
}

static uint8_t protocol(const struct packet *packet)
{
	if (packet->proto)
		return packet->proto;
	return packet->flags ? IPPROTO_TCP : IPPROTO_UDP;
}

static uint16_t payload_length(const struct packet *packet)
{
	if (packet->payload == NO_PAYLOAD)
		return 0;
	return packet->payload ? packet->payload : 32;
}

static void put_ethernet(struct frame *frame, const struct packet *packet)
{
	uint16_t ethertype = is_ipv6(packet) ? 0x86dd : 0x0800;
	int i;

	put(frame, packet->dmac ? packet->dmac : MAC_NODE, 6);
	put(frame, packet->smac ? packet->smac : MAC_ROUTER, 6);
	for (i = 0; i < packet->tags; i++) {
		put16(frame, i + 1 < packet->tags ? 0x88a8 : 0x8100);
		put16(frame, 100 + i);
	}
	put16(frame, packet->ethertype ? packet->ethertype : ethertype);
	frame->ip = frame->length;
}

static void put_address(struct frame *frame, const char *text)
{
	uint8_t bytes[16];
	bool ipv6 = strchr(text, ':');

	cr_assert_eq(inet_pton(ipv6 ? AF_INET6 : AF_INET, text, bytes), 1, "address %s", text);
	put(frame, bytes, ipv6 ? 16 : 4);
}

static uint8_t hops(const struct packet *packet)
{
	if (packet->no_ttl)
		return 0;
	return packet->ttl ? packet->ttl : 64;
}

static void put_ipv4(struct frame *frame, const struct packet *packet)
{
	int i;

	put8(frame, 0x40 | (5 + packet->ip_options));
	put8(frame, packet->tos);
	put16(frame, 0); /* length */
	put16(frame, packet->id);
	put16(frame, packet->fragment | (packet->dont_fragment ? 0x4000 : 0));
	put8(frame, hops(packet));
	put8(frame, protocol(packet));
	put16(frame, 0); /* checksum */
	put_address(frame, packet->src);
	put_address(frame, packet->dst);
	for (i = 0; i < packet->ip_options * 4; i++)
		put8(frame, i + 1 < packet->ip_options * 4 ? 1 : 0); /* no-operation, end */
}

static uint8_t extension_number(char letter)
{
	switch (letter) {
	case 'h':
		return IPPROTO_HOPOPTS;
	case 'r':
	case 'R':
		return IPPROTO_ROUTING;
	case 'd':
		return IPPROTO_DSTOPTS;
	case 'f':
		return IPPROTO_FRAGMENT;
	}
	cr_assert_fail("no extension header is called %c", letter);
	return 0;
}

/** The extension headers, 8 or 16 bytes each. */
static void put_extensions(struct frame *frame, const char *letters, uint8_t proto, uint16_t offset)
{
	const char *letter;

	for (letter = letters; *letter; letter++) {
		uint8_t next = letter[1] ? extension_number(letter[1]) : proto;

		put8(frame, next);
		switch (*letter) {
		case 'f':
			put8(frame, 0);
			put16(frame, offset);
			put(frame, "\0\0\0\7", 4);
			break;
		case 'R':
		case 'r':
			put8(frame, 2); /* one address more */
			put8(frame, 4);
			put8(frame, *letter == 'R' ? 1 : 0);
			put(frame, "\0\0\0\0", 4);
			put_address(frame, STRANGER6);
			break;
		default:
			put8(frame, 1); /* 16 bytes: PadN over all */
			put8(frame, 1);
			put8(frame, 12);
			put(frame, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
		}
	}
}

static void put_ipv6(struct frame *frame, const struct packet *packet)
{
	char letters[16] = "";

	if (packet->extensions)
		strncat(letters, packet->extensions, sizeof(letters) - 2);
	if (packet->fragment)
		strcat(letters, "f");
	put8(frame, 0x60 | packet->tos >> 4);
	put8(frame, (uint8_t)(packet->tos << 4));
	put16(frame, packet->flow_label);
	put16(frame, 0); /* length */
	put8(frame, letters[0] ? extension_number(letters[0]) : protocol(packet));
	put8(frame, hops(packet));
	put_address(frame, packet->src);
	put_address(frame, packet->dst);
	put_extensions(frame, letters, protocol(packet), packet->fragment);
}

static void put_l4(struct frame *frame, const struct packet *packet)
{
	int i;

	frame->l4 = frame->length;
	if (protocol(packet) != IPPROTO_TCP && protocol(packet) != IPPROTO_UDP)
		return;
	put16(frame, packet->sport);
	put16(frame, packet->dport);
	if (protocol(packet) == IPPROTO_UDP) {
		put16(frame, 8 + payload_length(packet));
		put16(frame, 0); /* checksum */
		return;
	}
	put(frame, "\x12\x34\x56\x78\x9a\xbc\xde\xf0", 8); /* sequence, acknowledgement */
	put8(frame, (uint8_t)((5 + packet->tcp_options) << 4));
	put8(frame, packet->flags);
	put16(frame, 0xfaf0); /* window */
	put16(frame, 0);      /* checksum */
	put16(frame, 0);      /* urgent pointer */
	for (i = 0; i < packet->tcp_options * 4; i++)
		put8(frame, 1);
}

static void put_payload(struct frame *frame, const struct packet *packet)
{
	int i;

	for (i = 0; i < payload_length(packet); i++)
		put8(frame, (uint8_t)(i * 7 + 1));
	if (packet->first_word)
		set16(frame, frame->length - payload_length(packet), packet->first_word);
}

/** Sum of the pseudo-header, the header and the payload. */
static uint32_t l4_sum(const struct frame *frame, const struct packet *packet)
{
	uint32_t length = frame->length - frame->l4, sum = length + protocol(packet);

	if (is_ipv6(packet))
		sum = checksum_add(sum, frame->bytes + frame->ip + 8, 32);
	else
		sum = checksum_add(sum, frame->bytes + frame->ip + 12, 8);
	return checksum_add(sum, frame->bytes + frame->l4, length);
}

static void fill_l4_checksum(struct frame *frame, const struct packet *packet)
{
	uint8_t proto = protocol(packet);
	uint32_t at = frame->l4 + (proto == IPPROTO_TCP ? 16 : 6);
	uint16_t check;

	if ((proto != IPPROTO_TCP && proto != IPPROTO_UDP) ||
		(proto == IPPROTO_UDP && packet->no_checksum))
		return;
	if (packet->zero_checksum) {
		/* Make the sum 0xffff by the payload's first word. */
		set16(frame, frame->l4 + 8, 0);
		set16(frame, frame->l4 + 8, (uint16_t)~l4_sum(frame, packet));
	}
	check = ntohs(checksum_end(l4_sum(frame, packet)));
	if (proto == IPPROTO_UDP && !check)
		check = 0xffff;
	set16(frame, at, packet->break_checksum ? check ^ 0x0100 : check);
}

static void fill_lengths(struct frame *frame, const struct packet *packet)
{
	uint32_t length = frame->length - frame->ip;

	if (is_ipv6(packet)) {
		set16(frame, frame->ip + 4, (uint16_t)(length - 40));
		return;
	}
	set16(frame, frame->ip + 2, (uint16_t)length);
	set16(frame, frame->ip + 10,
		ntohs(checksum_end(
			checksum_add(0, frame->bytes + frame->ip, 20 + packet->ip_options * 4))));
}

static void lie(struct frame *frame, const struct packet *packet)
{
	uint32_t length = frame->ip + (is_ipv6(packet) ? 4 : 2);

	set16(frame, length, (uint16_t)(get16(frame, length) + packet->ip_len));
	if (packet->udp_len)
		set16(frame, frame->l4 + 4,
			(uint16_t)(get16(frame, frame->l4 + 4) + packet->udp_len));
	if (packet->doff)
		frame->bytes[frame->l4 + 12] = (uint8_t)(packet->doff << 4);
	if (packet->ihl)
		frame->bytes[frame->ip] = 0x40 | packet->ihl;
	if (packet->version)
		frame->bytes[frame->ip] =
			(uint8_t)(packet->version << 4) | (frame->bytes[frame->ip] & 15);
}

void packet_build(const struct packet *packet, struct frame *ret)
{
	int i;

	memset(ret, 0, sizeof(*ret));
	put_ethernet(ret, packet);
	if (is_ipv6(packet))
		put_ipv6(ret, packet);
	else
		put_ipv4(ret, packet);
	put_l4(ret, packet);
	put_payload(ret, packet);
	fill_lengths(ret, packet);
	fill_l4_checksum(ret, packet);
	lie(ret, packet);
	for (i = 0; i < packet->padding; i++)
		put8(ret, 0xaa);
}

void frame_tuple(const struct frame *frame, struct tuple *ret)
{
	const uint8_t *ip = frame->bytes + frame->ip;

	memset(ret, 0, sizeof(*ret));
	if (ip[0] >> 4 == 4) {
		inet_ntop(AF_INET, ip + 12, ret->src, sizeof(ret->src));
		inet_ntop(AF_INET, ip + 16, ret->dst, sizeof(ret->dst));
		ret->proto = ip[9];
		ret->ttl = ip[8];
	} else {
		inet_ntop(AF_INET6, ip + 8, ret->src, sizeof(ret->src));
		inet_ntop(AF_INET6, ip + 24, ret->dst, sizeof(ret->dst));
		ret->proto = ip[6];
		ret->ttl = ip[7];
	}
	ret->sport = get16(frame, frame->l4);
	ret->dport = get16(frame, frame->l4 + 2);
}

void frame_compare(const char *row, const struct frame *got, const struct frame *wanted)
{
	uint32_t i;

	cr_assert_eq(got->length, wanted->length, "%s: %u bytes, not %u", row, got->length,
		wanted->length);
	for (i = 0; i < wanted->length; i++)
		cr_assert_eq(got->bytes[i], wanted->bytes[i],
			"%s: byte %u (IP %d, L4 %d) is %02x, not %02x", row, i,
			(int)(i - wanted->ip), (int)(i - wanted->l4), got->bytes[i],
			wanted->bytes[i]);
}
