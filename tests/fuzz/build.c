// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "build.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "headers.h"
#include "world.h"

uint8_t input_8(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

uint32_t build_raw(struct input *in, uint8_t frame[BUILD_FRAME_MAX])
{
	uint32_t length = (uint32_t)input_8(in) << 8, left = in->end - in->at;

	length = (length | input_8(in)) % BUILD_FRAME_MAX;
	left = in->end - in->at;
	if (length > left)
		length = left;
	memcpy(frame, in->at, length);
	in->at += length;
	/* The kernel hands no program less than an Ethernet header. */
	while (length < 14)
		frame[length++] = 0;
	return length;
}

static void put_16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t put_link(uint8_t *frame, uint8_t tags, enum fl_family family)
{
	uint32_t at = 12;
	uint8_t i;

	memcpy(frame, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);
	for (i = 0; i < tags; i++, at += 4) {
		put_16(frame + at, i ? 0x8100 : 0x88a8);
		put_16(frame + at + 2, 100 + i);
	}
	put_16(frame + at, family == FL_IPV4 ? 0x0800 : 0x86dd);
	return at + 2;
}

/** @return length of the header with its options */
static uint32_t put_ipv4(struct input *in, uint8_t *ip, const struct fl_flow *flow, uint8_t extra)
{
	static const uint8_t hops[] = { 64, 64, 64, 64, 64, 0, 1, 2 };
	uint8_t shape = input_8(in), words = 5 + (extra & 3);

	memset(ip, 1, words * 4u); /* options: no-operation */
	ip[0] = 0x40 | words;
	ip[1] = input_8(in);
	put_16(ip + 4, 0x1234);
	put_16(ip + 6, 0x4000);
	if ((extra & 0x1c) == 0x1c) /* a fragment, sometimes */
		put_16(ip + 6, (extra & 0x20 ? 0x2000 : 0) | (extra >> 6));
	ip[8] = hops[shape & 7];
	ip[9] = flow->proto;
	memcpy(ip + 12, &flow->saddr.word[3], 4);
	memcpy(ip + 16, &flow->daddr.word[3], 4);
	return words * 4u;
}

/** @return length of the header with its extensions */
static uint32_t put_ipv6(struct input *in, uint8_t *ip, const struct fl_flow *flow, uint8_t extra)
{
	static const uint8_t kinds[] = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING,
		IPPROTO_FRAGMENT };
	static const uint8_t hops[] = { 64, 64, 64, 64, 64, 0, 1, 2 };
	uint8_t shape = input_8(in), class = input_8(in), *next = ip + 6;
	uint32_t at = 40, count = (extra & 0x18) == 0x18 ? extra & 7 : 0, kind;

	memset(ip, 0, 40);
	put_16(ip, 0x6000u | class << 4);
	ip[7] = hops[shape & 7];
	memcpy(ip + 8, &flow->saddr, 16);
	memcpy(ip + 24, &flow->daddr, 16);
	count += count == 7 ? extra >> 7 : 0; /* one too many */
	while (count--) {
		uint8_t detail = input_8(in);

		kind = kinds[detail & 3];
		*next = (uint8_t)kind;
		next = ip + at;
		memset(next, 0, 16);
		if (kind == IPPROTO_FRAGMENT)
			put_16(next + 2, detail >> 6 ? 0 : (detail & 4) >> 2 | (detail & 8));
		else
			next[1] = detail >> 2 & 1;
		if (kind == IPPROTO_ROUTING)
			next[3] = detail >> 6 == 3;
		at += kind == IPPROTO_FRAGMENT ? 8 : 8 + 8 * next[1];
	}
	*next = flow->proto;
	return at;
}

/** @return length of header and payload */
static uint32_t put_segment(struct input *in, uint8_t *l4, const struct fl_flow *flow)
{
	uint8_t flags = input_8(in), shape = input_8(in);
	uint32_t payload = shape >> 6 == 3 ? 1380 + (shape & 63) : shape & 63, header = 8, i;

	memcpy(l4, &flow->sport, 2);
	memcpy(l4 + 2, &flow->dport, 2);
	if (flow->proto == IPPROTO_TCP) {
		header = 20 + 4 * (flags >> 6);
		memset(l4 + 4, 1, header - 4);
		l4[12] = (uint8_t)(header / 4 << 4);
		l4[13] = flags & 0x1f;
	}
	for (i = 0; i < payload; i++)
		l4[header + i] = (uint8_t)(i * 7 + flags);
	/* What QUIC begins with. */
	if (flow->proto == IPPROTO_UDP && payload > 5)
		memcpy(l4 + header + 1, flags & 1 ? "\x00\x00\x00\x01" : "\x6b\x33\x43\xcf", 4);
	if (flow->proto == IPPROTO_UDP)
		put_16(l4 + 4, header + payload);
	return header + payload;
}

/** Sums, once the lengths are in place. A fragment gets those of a whole packet. */
static void put_sums(uint8_t *frame, uint32_t l3, uint32_t l4, uint32_t length, bool udp_sum)
{
	struct headers h = { .family = frame[l3] >> 4 == 4 ? FL_IPV4 : FL_IPV6,
		.l3 = l3,
		.l4 = l4,
		.ip_len = length - l3 };
	uint8_t *field;
	uint16_t sum;

	if (h.family == FL_IPV4) {
		h.proto = frame[l3 + 9];
		put_16(frame + l3 + 2, h.ip_len);
		put_16(frame + l3 + 10, 0);
		put_16(frame + l3 + 10, (uint16_t)~sum_header(&h, frame));
	} else {
		put_16(frame + l3 + 4, h.ip_len - 40);
	}
	h.proto = h.family == FL_IPV4 ? h.proto : frame[length]; /* left there by put_packet */
	field = frame + l4 + (h.proto == IPPROTO_TCP ? 16 : 6);
	put_16(field, 0);
	sum = (uint16_t)~sum_segment(&h, frame);
	if (h.proto == IPPROTO_TCP || udp_sum)
		put_16(field, sum ? sum : 0xffff);
}

/** IP packet with the flow's tuple at `l3`. @return where it ends */
static uint32_t put_packet(struct input *in, uint8_t *frame, uint32_t l3,
	const struct fl_flow *flow, enum fl_family family)
{
	uint8_t extra = input_8(in), padding = input_8(in);
	uint32_t l4, length;

	l4 = l3 + (family == FL_IPV4 ? put_ipv4(in, frame + l3, flow, extra)
				     : put_ipv6(in, frame + l3, flow, extra));
	length = l4 + put_segment(in, frame + l4, flow);
	frame[length] = flow->proto;
	put_sums(frame, l3, l4, length, padding & 7);
	memset(frame + length, 0, padding >> 4);
	return length + (padding >> 4);
}

static struct fl_flow client_flow(struct input *in, enum fl_family family, uint8_t proto)
{
	static const uint16_t ports[] = { 80, 53, 443, 8080, 0, 1024, 80, 443 };
	uint8_t ends = input_8(in), what = input_8(in), address = what & 15;
	struct fl_flow flow = { .saddr = world_ip(family, WORLD_NET_CLIENT, ends & 7),
		.sport = htons(4000 + (ends >> 3)),
		.dport = htons(ports[what >> 4 & 7]),
		.proto = proto };

	flow.daddr = world_ip(family, address < 14 ? WORLD_NET_FRONTEND : WORLD_NET_NODE, address);
	return flow;
}

uint32_t build_packet(struct input *in, uint8_t frame[BUILD_FRAME_MAX])
{
	uint8_t shape = input_8(in);
	enum fl_family family = shape & 1 ? FL_IPV6 : FL_IPV4;
	struct fl_flow flow = client_flow(in, family, shape & 2 ? IPPROTO_UDP : IPPROTO_TCP);
	uint8_t tags = shape >> 2 & 3;

	if (shape >> 4 == 15)
		flow.proto = IPPROTO_SCTP;
	return put_packet(in, frame, put_link(frame, tags, family), &flow, family);
}

static enum fl_family family_of(const struct fl_ip *ip)
{
	return !ip->word[0] && !ip->word[1] && ip->word[2] == htonl(0xffff) ? FL_IPV4 : FL_IPV6;
}

uint32_t build_answer(struct input *in, const struct fl_flow *flow, uint8_t frame[BUILD_FRAME_MAX])
{
	enum fl_family family = family_of(&flow->saddr);

	return put_packet(in, frame, put_link(frame, input_8(in) >> 6, family), flow, family);
}

#define QUOTE_MAX 1200

/** Header and quote. @return their length */
static uint32_t put_icmp(struct input *in, uint8_t *icmp, enum fl_family family,
	const uint8_t *quote, uint32_t quote_length)
{
	/* Errors, and what looks like them. */
	static const uint8_t types[FL_FAMILIES][8] = { { 3, 3, 3, 11, 12, 4, 5, 8 },
		{ 1, 1, 2, 3, 4, 0, 5, 128 } };
	uint8_t kind = input_8(in), quoted = input_8(in);

	if (quote_length > QUOTE_MAX)
		quote_length = QUOTE_MAX;
	if (quoted && quoted < quote_length)
		quote_length = quoted;
	memset(icmp, 0, 8);
	icmp[0] = types[family][kind & 7];
	icmp[1] = kind >> 3 & 15;
	put_16(icmp + 6, 1280);
	memcpy(icmp + 8, quote, quote_length);
	return 8 + quote_length;
}

uint32_t build_error(struct input *in, const uint8_t *quote, uint32_t quote_length,
	const struct fl_flow *flow, uint8_t frame[BUILD_FRAME_MAX])
{
	enum fl_family family = family_of(&flow->saddr);
	uint8_t shape = input_8(in), extra = input_8(in);
	uint32_t l3 = put_link(frame, shape & 3, family), l4, end;
	struct fl_flow outer = { .saddr = flow->daddr,
		.daddr = flow->saddr,
		.proto = family == FL_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6 };

	if (shape & 4) /* somebody on the way */
		outer.saddr = world_ip(family, WORLD_NET_NODE, 200);
	if ((shape & 0x18) == 0x18) /* and goes to somebody else */
		outer.daddr = world_ip(family, WORLD_NET_NODE, 201);
	l4 = l3 + (family == FL_IPV4 ? put_ipv4(in, frame + l3, &outer, extra)
				     : put_ipv6(in, frame + l3, &outer, extra));
	end = l4 + put_icmp(in, frame + l4, family, quote, quote_length);
	if (family == FL_IPV4) {
		put_16(frame + l3 + 2, end - l3);
		put_16(frame + l3 + 10, 0);
		put_16(frame + l3 + 10, (uint16_t)~sum_fold(sum_bytes(frame + l3, l4 - l3)));
	} else {
		put_16(frame + l3 + 4, end - l3 - 40);
	}
	put_16(frame + l4 + 2, input_8(in)); /* its checksum: what is wrong stays so */
	memset(frame + end, 0, shape >> 5);
	return end + (shape >> 5);
}

uint32_t build_tunnel(struct input *in, uint8_t frame[BUILD_FRAME_MAX])
{
	static const uint8_t nets[] = { WORLD_NET_NODE, WORLD_NET_NODE, WORLD_NET_NODE,
		WORLD_NET_FRONTEND };
	uint8_t shape = input_8(in), ends = input_8(in), extra = input_8(in);
	enum fl_family outer = shape & 1 ? FL_IPV6 : FL_IPV4, inner = shape & 2 ? FL_IPV6 : FL_IPV4;
	struct fl_flow flow = client_flow(in, inner, shape & 4 ? IPPROTO_UDP : IPPROTO_TCP);
	uint32_t l3 = put_link(frame, shape >> 3 & 3, outer), at, end;
	struct fl_flow tunnel = { .saddr = world_ip(outer, WORLD_NET_NODE, ends & 15),
		.daddr = world_ip(outer, nets[shape >> 5 & 3], ends & 16 ? ends >> 5 : 1),
		.proto = inner == FL_IPV4 ? IPPROTO_IPIP : IPPROTO_IPV6 };

	at = l3 + (outer == FL_IPV4 ? put_ipv4(in, frame + l3, &tunnel, extra)
				    : put_ipv6(in, frame + l3, &tunnel, extra));
	end = put_packet(in, frame, at, &flow, inner);
	if (outer == FL_IPV4)
		put_16(frame + l3 + 2, end - l3);
	else
		put_16(frame + l3 + 4, end - l3 - 40);
	return end;
}

uint32_t build_damage(struct input *in, uint8_t *frame, uint32_t length)
{
	uint8_t how = input_8(in), i;
	uint32_t cut;

	for (i = 0; i < (how & 7); i++) {
		uint8_t offset = input_8(in);

		if (offset < length)
			frame[offset] ^= input_8(in);
	}
	cut = how & 8 ? input_8(in) : 0;
	return length > cut + 14 ? length - cut : length;
}
