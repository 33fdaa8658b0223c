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

/** Replace the addresses of an IP header. */
static void want_addresses(
	uint8_t *ip, enum fl_family family, const struct fl_ip *saddr, const struct fl_ip *daddr)
{
	uint32_t size = family == FL_IPV4 ? 4 : 16, at = family == FL_IPV4 ? 12 : 8;

	memcpy(ip + at, (const uint8_t *)saddr + 16 - size, size);
	memcpy(ip + at + size, (const uint8_t *)daddr + 16 - size, size);
}

/** What of a transport's sum changes with addresses and ports: fits if it stays the same. */
static uint16_t sum_changing(
	const uint8_t *ip, enum fl_family family, const uint8_t *ports, const uint8_t *check)
{
	uint64_t sum = family == FL_IPV4 ? sum_bytes(ip + 12, 8) : sum_bytes(ip + 8, 32);

	return sum_fold(sum + sum_bytes(ports, 4) + sum_bytes(check, 2));
}

/** Over an ICMP packet, and the pseudo header that ICMPv6 has. */
static uint16_t sum_icmp(const uint8_t *ip, const struct headers *h)
{
	uint32_t header = h->l4 - h->l3, length = h->ip_len - header;
	uint64_t sum = sum_bytes(ip + header, length);

	if (h->family == FL_IPV6)
		sum += sum_bytes(ip + 8, 32) + length + IPPROTO_ICMPV6;
	return sum_fold(sum);
}

/** The quoted packet: addresses, ports, sums. `want` becomes it. All begin at the outer IP header. */
static const char *check_quote(const struct spec_verdict *v, const struct headers *h,
	const uint8_t *in, const uint8_t *out, uint8_t *want)
{
	uint32_t at = v->quote.l3 - h->l3, l4 = v->quote.l4 - h->l3;
	uint32_t sum = l4 + (v->quote.proto == IPPROTO_TCP ? 16 : 6);

	want_addresses(want + at, h->family, &v->to.daddr, &v->to.saddr);
	memcpy(want + l4, &v->to.dport, 2);
	memcpy(want + l4 + 2, &v->to.sport, 2);
	if (h->family == FL_IPV4) {
		memcpy(want + at + 10, out + at + 10, 2);
		if (sum_fold(sum_bytes(in + at, 20)) != sum_fold(sum_bytes(out + at, 20)))
			return "error: the checksum of the quoted header";
	}
	if (sum + 2 > h->ip_len || (v->quote.proto == IPPROTO_UDP && !in[sum] && !in[sum + 1]))
		return NULL;
	memcpy(want + sum, out + sum, 2);
	if (sum_changing(in + at, h->family, in + l4, in + sum) !=
		sum_changing(out + at, h->family, out + l4, out + sum))
		return "error: the checksum of the quoted segment";
	if (v->quote.proto == IPPROTO_UDP && !out[sum] && !out[sum + 1])
		return "error: the checksum of quoted UDP says that there is none";
	return NULL;
}

/** An ICMP error keeps all but addresses, hop limit, sums, and the tuple that it quotes. */
static const char *check_error(const struct spec_verdict *v, const struct headers *h,
	const uint8_t *in, uint32_t in_length, const uint8_t *out, uint32_t out_length)
{
	static uint8_t want[WANT_MAX];
	uint32_t l3 = want_link(want, v, h, in, h->family), left = in_length - h->l3;
	uint8_t *ip = want + l3;
	const char *wrong;

	if (out_length != l3 + left)
		return "error: its length is wrong";
	in += h->l3;
	memcpy(ip, in, left);
	want_addresses(ip, h->family, &v->to.saddr, &v->to.daddr);
	ip[h->family == FL_IPV4 ? 8 : 7]--;
	wrong = check_quote(v, h, in, out + l3, ip);
	if (wrong)
		return wrong;
	memcpy(ip + h->l4 - h->l3 + 2, out + l3 + h->l4 - h->l3 + 2, 2);
	if (sum_icmp(in, h) != sum_icmp(out + l3, h))
		return "error: its checksum";
	if (h->family == FL_IPV4) {
		memcpy(ip + 10, out + l3 + 10, 2);
		if (sum_fold(sum_bytes(in, h->l4 - h->l3)) !=
			sum_fold(sum_bytes(out + l3, h->l4 - h->l3)))
			return "error: the header's checksum";
	}
	return memcmp(want, out, out_length) ? "error: other bytes" : NULL;
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
	case QUOTING:
		return check_error(v, h, in, in_length, out, out_length);
	case UNCHANGED:
		break;
	}
	if (out_length != in_length || memcmp(in, out, in_length))
		return "passed: other bytes";
	return NULL;
}
