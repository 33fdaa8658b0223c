// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "build.h"

#define WANT_MAX (BUILD_FRAME_MAX + 64)

static void put_16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/** Write the link header: MAC addresses if it is sent, and the tags that stay. */
static uint32_t want_link(uint8_t *want, const struct spec_verdict *v, const struct headers *h,
	const uint8_t *in, enum fl_family family)
{
	uint32_t at = 12;

	memcpy(want, in, 12);
	if (v->sent)
		world_macs(v->macs, want, want + 6);
	if (!v->sent || v->ifindex == WORLD_INGRESS) {
		memcpy(want + 12, in + 12, h->tags * 4u);
		at += h->tags * 4u;
	}
	put_16(want + at, family == FL_IPV4 ? 0x0800 : 0x86dd);
	return at + 2;
}

/**
 * A rewritten frame keeps all but addresses, ports, hop limit and sums; and a sum
 * that was wrong stays as wrong as it was.
 */
static const char *check_rewritten(const struct spec_verdict *v, const struct headers *h,
	const uint8_t *in, uint32_t in_length, const uint8_t *out, uint32_t out_length)
{
	uint32_t l3, l4, sum, length;
	static uint8_t want[WANT_MAX];
	struct headers now = *h;

	l3 = want_link(want, v, h, in, h->family);
	l4 = l3 + h->l4 - h->l3;
	length = l3 + in_length - h->l3;
	if (out_length != length)
		return "rewritten: its length is wrong";
	memcpy(want + l3, in + h->l3, in_length - h->l3);
	memcpy(want + l4, &v->to.sport, 2);
	memcpy(want + l4 + 2, &v->to.dport, 2);
	if (h->family == FL_IPV4) {
		memcpy(want + l3 + 12, &v->to.saddr.word[3], 4);
		memcpy(want + l3 + 16, &v->to.daddr.word[3], 4);
		want[l3 + 8]--;
		memcpy(want + l3 + 10, out + l3 + 10, 2);
	} else {
		memcpy(want + l3 + 8, &v->to.saddr, 16);
		memcpy(want + l3 + 24, &v->to.daddr, 16);
		want[l3 + 7]--;
	}
	now.l3 = l3;
	now.l4 = l4;
	sum = l4 + (h->proto == IPPROTO_TCP ? 16 : 6);
	if (h->proto == IPPROTO_TCP || want[sum] || want[sum + 1]) {
		memcpy(want + sum, out + sum, 2);
		if (sum_segment(&now, out) != sum_segment(h, in))
			return "rewritten: the segment's checksum";
		if (h->proto == IPPROTO_UDP && !out[sum] && !out[sum + 1])
			return "rewritten: the checksum of UDP says that there is none";
	}
	if (sum_header(&now, out) != sum_header(h, in))
		return "rewritten: the header's checksum";
	return memcmp(want, out, length) ? "rewritten: other bytes" : NULL;
}

/** The last word of an outer source, whose low bits may be the flow's. */
static void want_source(
	const struct world *w, const struct spec_verdict *v, enum fl_family family, uint8_t *word)
{
	uint8_t bits = w->conf.tunnel_hash_bits[family];
	uint32_t value;

	if (bits >= 32) {
		memcpy(word, &v->hash, 4);
		return;
	}
	memcpy(&value, word, 4);
	value ^= htonl(v->hash & ((1u << bits) - 1));
	memcpy(word, &value, 4);
}

static uint32_t want_outer(
	const struct world *w, uint8_t *ip, const struct spec_verdict *v, const struct headers *h)
{
	const struct world_endpoint *e = &world_endpoints[v->endpoint];
	struct fl_ip source = world_ip(world_hops[v->hop].family, WORLD_NET_NODE, v->hop);
	struct fl_ip target = world_ip(e->family, WORLD_NET_ENDPOINT, e->number);
	uint8_t proto = h->family == FL_IPV4 ? IPPROTO_IPIP : IPPROTO_IPV6;

	if (e->family == FL_IPV4) {
		memset(ip, 0, 20);
		ip[0] = 0x45;
		ip[1] = h->class;
		put_16(ip + 2, h->ip_len + 20);
		put_16(ip + 6, 0x4000);
		ip[8] = 64;
		ip[9] = proto;
		memcpy(ip + 12, &source.word[3], 4);
		memcpy(ip + 16, &target.word[3], 4);
		want_source(w, v, FL_IPV4, ip + 12);
		put_16(ip + 10, (uint16_t)~sum_fold(sum_bytes(ip, 20)));
		return 20;
	}
	put_16(ip, 0x6000u | h->class << 4 | (v->hash >> 16 & 15));
	put_16(ip + 2, v->hash & 0xffff);
	put_16(ip + 4, h->ip_len);
	ip[6] = proto;
	ip[7] = 64;
	memcpy(ip + 8, &source, 16);
	memcpy(ip + 24, &target, 16);
	want_source(w, v, FL_IPV6, ip + 20);
	return 40;
}

static const char *check_wrapped(const struct world *w, const struct spec_verdict *v,
	const struct headers *h, const uint8_t *in, uint32_t in_length, const uint8_t *out,
	uint32_t out_length)
{
	static uint8_t want[WANT_MAX];
	uint32_t length;

	length = want_link(want, v, h, in, world_endpoints[v->endpoint].family);
	length += want_outer(w, want + length, v, h);
	memcpy(want + length, in + h->l3, in_length - h->l3);
	length += in_length - h->l3;
	if (out_length != length)
		return "wrapped: its length is wrong";
	return memcmp(want, out, length) ? "wrapped: other bytes" : NULL;
}

const char *check_output(const struct world *w, const struct spec_verdict *v,
	const struct headers *h, const uint8_t *in, uint32_t in_length, const uint8_t *out,
	uint32_t out_length)
{
	switch (v->output) {
	case REWRITTEN:
		return check_rewritten(v, h, in, in_length, out, out_length);
	case WRAPPED:
		return check_wrapped(w, v, h, in, in_length, out, out_length);
	case UNCHANGED:
		break;
	}
	if (out_length != in_length || memcmp(in, out, in_length))
		return "passed: other bytes";
	return NULL;
}
