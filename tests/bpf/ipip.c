/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/slot.h"
#include "lib/edge.h"

/*
 * Mode ipip: the packet as it came, inside another; byte for byte.
 */
TestSuite(ipip, .timeout = 600);

#define V4   .src = CLIENT_A, .dst = VIP_WEB, .sport = 4242
#define V6   .src = CLIENT_A6, .dst = VIP_WEB6, .sport = 4242
#define WEB  .dport = 80, .flags = SYN
#define DNS  .dport = 53
#define MORE 0x2000

static const struct row {
	const char *name;
	struct packet packet;
	int reason;
} rows[] = {
	{ "tcp", { V4, WEB }, FL_SENT },
	{ "tcp ipv6", { V6, WEB }, FL_SENT },
	{ "udp", { V4, DNS }, FL_SENT },
	{ "udp ipv6", { V6, DNS }, FL_SENT },
	{ "not an opening", { V4, .dport = 80, .flags = ACK }, FL_SENT },
	{ "no payload", { V4, WEB, .payload = NO_PAYLOAD }, FL_SENT },
	{ "ip options", { V4, WEB, .ip_options = 3 }, FL_SENT },
	{ "extension headers", { V6, WEB, .extensions = "hd" }, FL_SENT },
	{ "class and ECN", { V4, WEB, .tos = 0xbb }, FL_SENT },
	{ "class and ECN ipv6", { V6, WEB, .tos = 0xbb }, FL_SENT },
	{ "ECN alone", { V4, WEB, .tos = 0x01 }, FL_SENT },
	{ "flow label", { V6, WEB, .flow_label = 5 }, FL_SENT },
	{ "bytes after the packet", { V4, WEB, .payload = NO_PAYLOAD, .padding = 6 }, FL_SENT },
	{ "a broken checksum is not our affair", { V4, WEB, .break_checksum = 1 }, FL_SENT },
	{ "one tag", { V4, WEB, .tags = 1 }, FL_SENT },
	{ "one tag ipv6", { V6, WEB, .tags = 1 }, FL_SENT },
	{ "two tags", { V4, DNS, .tags = 2 }, FL_SENT },
	{ "two tags ipv6", { V6, DNS, .tags = 2 }, FL_SENT },
	{ "one hop left", { V4, WEB, .ttl = 1 }, FL_SENT },
	{ "no hop left", { V4, WEB, .no_ttl = 1 }, FL_DROP_TTL },
	{ "no hop left ipv6", { V6, WEB, .no_ttl = 1 }, FL_DROP_TTL },
	{ "first fragment", { V4, WEB, .fragment = MORE, .id = 7 }, FL_SENT },
	{ "later fragment", { V4, WEB, .fragment = 5, .id = 7 }, FL_SENT },
	{ "first fragment ipv6", { V6, DNS, .fragment = 1 }, FL_SENT },
	{ "later fragment ipv6", { V6, DNS, .fragment = 0x28 }, FL_SENT },
	{ "malformed", { V4, WEB, .doff = 4 }, FL_DROP_MALFORMED },
	{ "fragment longer than its frame", { V4, WEB, .fragment = MORE, .ip_len = 1 },
		FL_DROP_MALFORMED },
	{ "another port", { V4, .dport = 81, .flags = SYN }, FL_PASS_NO_SERVICE },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t flow_hash_of(const struct packet *packet)
{
	uint8_t src[16], dst[16];
	bool ipv6 = strchr(packet->src, ':');
	uint16_t sport = packet->fragment ? 0 : htons(packet->sport);
	uint16_t dport = packet->fragment ? 0 : htons(packet->dport);
	uint8_t proto = packet->flags ? IPPROTO_TCP : IPPROTO_UDP;
	uint32_t words[8];

	inet_pton(ipv6 ? AF_INET6 : AF_INET, packet->src, src);
	inet_pton(ipv6 ? AF_INET6 : AF_INET, packet->dst, dst);
	memcpy(words, src, 16);
	memcpy(words + 4, dst, 16);
	return ipv6 ? fl_hash_ipv6(0, words, words + 4, sport, dport, proto)
		    : fl_hash_ipv4(0, words[0], words[4], sport, dport, proto);
}

/** What must leave: link layer, outer header from `src` to `dst`, all of the packet. */
static void wrap(const struct packet *packet, const char *src, const char *dst, uint8_t tags,
	struct frame *ret)
{
	bool outer6 = strchr(dst, ':'), inner6 = strchr(packet->src, ':');
	struct packet link = *packet;
	struct frame inner, head;
	uint32_t length;
	uint8_t *ip;

	packet_build(packet, &inner);
	length = inner.length - inner.ip - packet->padding;
	link.tags = tags;
	link.dmac = MAC_ENDPOINT;
	link.smac = MAC_EGRESS;
	packet_build(&link, &head);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->bytes, head.bytes, head.ip);
	put16(ret->bytes + head.ip - 2, outer6 ? 0x86dd : 0x0800);
	ret->ip = head.ip;
	ip = ret->bytes + head.ip;
	if (outer6) {
		uint32_t word = htonl(0x60000000u | (uint32_t)packet->tos << 20 |
				      (flow_hash_of(packet) & 0xfffff));

		memcpy(ip, &word, 4);
		put16(ip + 4, length);
		ip[6] = inner6 ? 41 : 4;
		ip[7] = 64;
		inet_pton(AF_INET6, src, ip + 8);
		inet_pton(AF_INET6, dst, ip + 24);
		ret->length = ret->ip + 40;
	} else {
		uint16_t check;

		ip[0] = 0x45;
		ip[1] = packet->tos;
		put16(ip + 2, length + 20);
		put16(ip + 6, 0x4000);
		ip[8] = 64;
		ip[9] = inner6 ? 41 : 4;
		inet_pton(AF_INET, src, ip + 12);
		inet_pton(AF_INET, dst, ip + 16);
		check = checksum_end(checksum_add(0, ip, 20));
		memcpy(ip + 10, &check, 2);
		ret->length = ret->ip + 20;
	}
	memcpy(ret->bytes + ret->length, inner.bytes + inner.ip, inner.length - inner.ip);
	ret->length += inner.length - inner.ip;
}

static void world(void)
{
	edge_world();
	edge_service(1, FL_IPIP);
	edge_endpoint(1, ENDPOINT_1, 0, 1);
	edge_endpoint(4, ENDPOINT_1_6, 0, 2);
}

/** Every row towards an endpoint of either family. */
Test(ipip, packets)
{
	static const struct {
		const char *src, *dst;
		uint32_t id;
	} outers[] = { { NODE, ENDPOINT_1, 1 }, { NODE6, ENDPOINT_1_6, 4 } };
	struct outcome outcome;
	struct frame in, wanted;
	char name[128];
	size_t i, outer;

	edge_open(NULL);
	world();
	for (outer = 0; outer < 2; outer++) {
		edge_table(1, FL_IPV4, outers[outer].id);
		edge_table(1, FL_IPV6, outers[outer].id);
		for (i = 0; i < ROW_COUNT; i++) {
			snprintf(name, sizeof(name), "%s, to %s", rows[i].name, outers[outer].dst);
			packet_build(&rows[i].packet, &in);
			edge_run_from(EDGE_LO, name, &in, &outcome);
			cr_assert_eq(outcome.reason, rows[i].reason, "%s: %s", name,
				edge_reason_name(outcome.reason));
			if (rows[i].reason != FL_SENT)
				continue;
			cr_assert_eq(outcome.action, XDP_TX, "%s", name);
			wrap(&rows[i].packet, outers[outer].src, outers[outer].dst,
				rows[i].packet.tags, &wanted);
			frame_compare(name, &outcome.out, &wanted);
		}
	}
	cr_assert_eq(edge_nat_entries(), 0);
	edge_check_sum();
}

/** Exactly what the route takes, and a byte more. */
Test(ipip, mtu)
{
	static const struct {
		const char *name;
		struct packet packet;
		uint32_t endpoint;
		uint16_t header;
	} limits[] = {
		{ "4 in 4", { V4, WEB }, 1, 20 + 20 + 20 },
		{ "4 in 6", { V4, WEB }, 4, 40 + 20 + 20 },
		{ "6 in 4", { V6, WEB }, 1, 20 + 40 + 20 },
		{ "6 in 6", { V6, WEB }, 4, 40 + 40 + 20 },
	};
	struct outcome outcome;
	struct frame in;
	size_t i;

	edge_open(NULL);
	world();
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct packet packet = limits[i].packet;

		edge_table(1, strchr(packet.src, ':') ? FL_IPV6 : FL_IPV4, limits[i].endpoint);
		packet.payload = 1500 - limits[i].header;
		packet_build(&packet, &in);
		edge_run_from(EDGE_LO, limits[i].name, &in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT, "%s", limits[i].name);
		packet.payload++;
		packet_build(&packet, &in);
		edge_run_from(EDGE_LO, limits[i].name, &in, &outcome);
		cr_assert_eq(outcome.reason, FL_DROP_TOO_BIG, "%s", limits[i].name);
	}
	edge_check_sum();
}

/** Where it goes out, or does not. */
Test(ipip, next_hops)
{
	struct packet packet = { V4, WEB, .tags = 2 };
	struct frame in, wanted;
	struct outcome outcome;

	edge_open(NULL);
	world();
	packet_build(&packet, &in);
	edge_nexthop(1, edge_clients, NODE, 1500, 0);
	edge_run_from(EDGE_LO, "out of another interface, tags stay behind", &in, &outcome);
	cr_assert_eq(outcome.action, XDP_REDIRECT);
	wrap(&packet, NODE, ENDPOINT_1, 0, &wanted);
	frame_compare("redirect", &outcome.out, &wanted);

	edge_nexthop(1, 999, NODE, 1500, 0);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ROUTE);
	edge_nexthop(1, EDGE_LO, NODE, 1500, FL_NEXTHOP_LOCAL);
	edge_run_from(EDGE_LO, "the endpoint is this node", &in, &outcome);
	cr_assert_eq(outcome.reason, FL_PASS_LOCAL);
	edge_endpoint(1, ENDPOINT_1, 0, 0);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ROUTE);
	edge_endpoint(1, ENDPOINT_1, 0, 1000000);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ROUTE);
	edge_check_sum();
}

/** States of the endpoint in a slot at rest. */
Test(ipip, states)
{
	static const struct {
		enum fl_state state;
		int reason;
	} states[] = { { FL_UP, FL_SENT }, { FL_DRAINING, FL_SENT },
		{ FL_DOWN, FL_DROP_NO_ENDPOINT }, { FL_MAINTENANCE, FL_DROP_NO_ENDPOINT } };
	struct packet packet = { V4, .dport = 80, .flags = ACK };
	struct outcome outcome;
	struct frame in;
	size_t i;

	edge_open(NULL);
	world();
	packet_build(&packet, &in);
	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		edge_state(1, states[i].state);
		edge_run(&in, &outcome);
		cr_assert_eq(outcome.reason, states[i].reason, "state %d: %s", states[i].state,
			edge_reason_name(outcome.reason));
	}
	edge_table(1, FL_IPV4, 0);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ENDPOINT, "slot 0");
	edge_check_sum();
}

/** Fragments of one datagram go one way, whatever their ports; an address that
 * several services share cannot tell whose they are. */
Test(ipip, fragments)
{
	struct packet packet = { V4, DNS, .fragment = MORE, .id = 7 };
	struct fl_explanation first, later;
	struct outcome outcome;
	struct frame in;
	int action;

	edge_open(NULL);
	world();
	packet_build(&packet, &in);
	edge_explain(&in, &first, &action);
	packet.fragment = 0x0010;
	packet.sport = 9; /* its first bytes are payload */
	packet_build(&packet, &in);
	edge_explain(&in, &later, &action);
	cr_assert_eq(first.slot, later.slot);
	cr_assert_eq(first.hash, later.hash);
	cr_assert_eq(later.reason, FL_SENT);

	edge_address(VIP_WEB, 0, 0);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_FRAGMENT);
	edge_address(VIP_WEB, 2, 1);
	packet.fragment = MORE;
	packet_build(&packet, &in);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_FRAGMENT, "the address is another service's");
	edge_check_sum();
}

/** With a prefix for the outer source its low bits come from the flow. */
Test(ipip, source_bits)
{
	struct fl_edge_conf conf = {
		.nat_port_min = 1024, .nat_port_max = 32767, .tunnel_hash_bits = { 8, 16 }
	};
	bool seen[256] = { false };
	struct outcome outcome;
	struct frame in;
	uint32_t i, sources = 0;

	edge_open(&conf);
	world();
	edge_nexthop(1, EDGE_LO, "192.0.2.0", 1500, 0);
	edge_nexthop(2, EDGE_LO, "2001:db8:e::", 1500, 0);
	for (i = 0; i < 400; i++) {
		struct packet packet = { V4, WEB };

		packet.sport = (uint16_t)(1000 + i);
		packet_build(&packet, &in);
		edge_run_from(EDGE_LO, i < 20 ? "a source of its own" : NULL, &in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT);
		cr_assert(!memcmp(outcome.out.bytes + 26, "\xc0\x00\x02", 3));
		sources += !seen[outcome.out.bytes[29]];
		seen[outcome.out.bytes[29]] = true;
	}
	cr_assert_gt(sources, 150, "%u of 256 sources", sources);
	for (i = 0; i < 20; i++) {
		struct packet packet = { V6, WEB };

		packet.sport = (uint16_t)(1000 + i);
		packet_build(&packet, &in);
		edge_run_from(EDGE_LO, "a source of its own ipv6", &in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT);
		cr_assert(!memcmp(
			outcome.out.bytes + 22, "\x20\x01\x0d\xb8\x00\x0e\0\0\0\0\0\0\0\0", 14));
	}
	edge_check_sum();
}

/** What is counted: packets and bytes as received, openings as new flows. */
Test(ipip, counters)
{
	struct packet packet = { V4, WEB, .payload = NO_PAYLOAD, .padding = 6 };
	struct outcome outcome;
	struct frame in;

	edge_open(NULL);
	world();
	packet_build(&packet, &in);
	edge_run(&in, &outcome);
	packet.flags = ACK;
	packet.payload = 100;
	packet_build(&packet, &in);
	edge_run(&in, &outcome);
	cr_assert_eq(edge_frontend_stats(1).packets, 2);
	cr_assert_eq(edge_frontend_stats(1).bytes, 40 + 140);
	cr_assert_eq(edge_frontend_stats(1).new_flows, 1);
	cr_assert_eq(edge_endpoint_stats(1).packets, 2);
	cr_assert_eq(edge_endpoint_stats(1).bytes, 40 + 140);
	cr_assert_eq(edge_endpoint_stats(1).new_flows, 1);
	edge_state(1, FL_DOWN);
	edge_run(&in, &outcome);
	cr_assert_eq(edge_frontend_stats(1).packets, 2, "what is dropped was not sent");
	edge_check_sum();
}
