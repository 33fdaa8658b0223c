/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/edge.h"

/*
 * What is ours and what is not, and what becomes of packets that are broken: one
 * reason each, and what is not ours is never dropped.
 */
TestSuite(parse, .timeout = 600);

#define V4     .src = CLIENT_A, .dst = VIP_WEB, .sport = 4242
#define V6     .src = CLIENT_A6, .dst = VIP_WEB6, .sport = 4242
#define ALIEN  .src = CLIENT_A, .dst = STRANGER, .sport = 4242
#define ALIEN6 .src = CLIENT_A6, .dst = STRANGER6, .sport = 4242
#define WEB    .dport = 80, .flags = SYN
#define DNS    .dport = 53
#define MORE   0x2000 /* IPv4: more fragments */
#define MORE6  0x0001

static const struct row {
	const char *name;
	struct packet packet;
	int reason;
} rows[] = {
	{ "another address", { ALIEN, WEB }, FL_PASS_NO_SERVICE },
	{ "another address, udp", { ALIEN, DNS }, FL_PASS_NO_SERVICE },
	{ "another address ipv6", { ALIEN6, WEB }, FL_PASS_NO_SERVICE },
	{ "another port", { V4, .dport = 81, .flags = SYN }, FL_PASS_NO_SERVICE },
	{ "another port ipv6", { V6, .dport = 81, .flags = SYN }, FL_PASS_NO_SERVICE },
	{ "another protocol", { V4, .dport = 80 }, FL_PASS_NO_SERVICE },
	{ "a port of ours, without a flow", { ALIEN, .dport = 2000, .flags = ACK },
		FL_PASS_NO_SERVICE },
	{ "icmp", { V4, .proto = IPPROTO_ICMP }, FL_PASS_PROTOCOL },
	{ "icmpv6", { V6, .proto = IPPROTO_ICMPV6 }, FL_PASS_PROTOCOL },
	{ "gre", { V4, .proto = IPPROTO_GRE }, FL_PASS_PROTOCOL },
	{ "sctp behind options", { V6, .proto = IPPROTO_SCTP, .extensions = "hd" },
		FL_PASS_PROTOCOL },
	{ "more hops to go", { V6, WEB, .extensions = "R" }, FL_PASS_PROTOCOL },
	{ "arp", { V4, WEB, .ethertype = 0x0806 }, FL_PASS_NOT_IP },
	{ "arp in a vlan", { V4, WEB, .ethertype = 0x0806, .tags = 2 }, FL_PASS_NOT_IP },
	{ "three tags", { V4, WEB, .tags = 3 }, FL_PASS_NOT_IP },
	{ "ipv6 that says ipv4", { V6, WEB, .ethertype = 0x0800 }, FL_PASS_UNREADABLE },
	{ "ipv4 that says ipv6", { V4, WEB, .ethertype = 0x86dd }, FL_PASS_UNREADABLE },
	{ "ip version 5", { V4, WEB, .version = 5 }, FL_PASS_UNREADABLE },
	{ "header of 16 bytes", { V4, WEB, .ihl = 4 }, FL_PASS_UNREADABLE },

	{ "longer than its frame", { V4, WEB, .ip_len = 1 }, FL_DROP_MALFORMED },
	{ "longer than its frame ipv6", { V6, WEB, .ip_len = 1 }, FL_DROP_MALFORMED },
	{ "longer than its frame, not ours", { ALIEN, WEB, .ip_len = 1 }, FL_PASS_NO_SERVICE },
	{ "shorter than its headers", { V4, WEB, .ip_len = -33 }, FL_DROP_MALFORMED },
	{ "shorter than its headers ipv6", { V6, WEB, .ip_len = -33 }, FL_DROP_MALFORMED },
	{ "shorter than its headers udp", { V4, DNS, .ip_len = -33 }, FL_DROP_MALFORMED },
	{ "length 0", { V4, WEB, .ip_len = -72 }, FL_DROP_MALFORMED },
	{ "payload length 0 ipv6", { V6, WEB, .ip_len = -52 }, FL_DROP_MALFORMED },
	{ "header behind the frame", { V4, WEB, .ihl = 15, .payload = NO_PAYLOAD },
		FL_DROP_MALFORMED },
	{ "header behind the frame, not ours", { ALIEN, WEB, .ihl = 15, .payload = NO_PAYLOAD },
		FL_PASS_NO_SERVICE },
	{ "tcp header of 16 bytes", { V4, WEB, .doff = 4 }, FL_DROP_MALFORMED },
	{ "tcp header of 16 bytes ipv6", { V6, WEB, .doff = 4 }, FL_DROP_MALFORMED },
	{ "tcp options behind the end", { V4, WEB, .doff = 15 }, FL_DROP_MALFORMED },
	{ "tcp options behind the end, not ours", { ALIEN, WEB, .doff = 15 }, FL_PASS_NO_SERVICE },
	{ "udp longer than ip", { V4, DNS, .udp_len = 1 }, FL_DROP_MALFORMED },
	{ "udp longer than ip ipv6", { V6, DNS, .udp_len = 1 }, FL_DROP_MALFORMED },
	{ "udp of 7 bytes", { V4, DNS, .udp_len = -33 }, FL_DROP_MALFORMED },
	{ "udp shorter than ip", { V4, DNS, .udp_len = -1 }, FL_SENT },
	{ "eight extension headers", { V6, WEB, .extensions = "hdddddd" }, FL_SENT },
	{ "nine extension headers", { V6, WEB, .extensions = "hdddddddd" }, FL_DROP_MALFORMED },
	{ "nine extension headers, not ours", { ALIEN6, WEB, .extensions = "hdddddddd" },
		FL_PASS_NO_SERVICE },

	{ "first fragment", { V4, WEB, .fragment = MORE }, FL_DROP_FRAGMENT },
	{ "later fragment", { V4, WEB, .fragment = MORE | 5 }, FL_DROP_FRAGMENT },
	{ "last fragment", { V4, DNS, .fragment = 5 }, FL_DROP_FRAGMENT },
	{ "first fragment ipv6", { V6, WEB, .fragment = MORE6 }, FL_DROP_FRAGMENT },
	{ "later fragment ipv6", { V6, DNS, .fragment = 0x28 | MORE6 }, FL_DROP_FRAGMENT },
	{ "last fragment ipv6", { V6, DNS, .fragment = 0x28 }, FL_DROP_FRAGMENT },
	{ "first fragment, not ours", { ALIEN, WEB, .fragment = MORE }, FL_PASS_NO_SERVICE },
	{ "later fragment, not ours", { ALIEN, WEB, .fragment = MORE | 5 }, FL_PASS_NO_SERVICE },
	{ "later fragment ipv6, not ours", { ALIEN6, WEB, .fragment = 0x28 }, FL_PASS_NO_SERVICE },
	{ "first fragment, another port", { V4, .dport = 81, .flags = SYN, .fragment = MORE },
		FL_PASS_NO_SERVICE },
	{ "fragment of icmp", { V4, .proto = IPPROTO_ICMP, .fragment = MORE }, FL_PASS_PROTOCOL },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

Test(parse, packets)
{
	struct outcome outcome;
	struct frame in;
	size_t i;

	edge_open(NULL);
	edge_world();
	for (i = 0; i < ROW_COUNT; i++) {
		packet_build(&rows[i].packet, &in);
		edge_run_from(EDGE_LO, rows[i].name, &in, &outcome);
		cr_expect_eq(outcome.reason, rows[i].reason, "%s: %s, not %s", rows[i].name,
			edge_reason_name(outcome.reason), edge_reason_name(rows[i].reason));
	}
	edge_check_sum();
}

/* Every header there is, alone and behind others; each is cut at every length. */
static const struct row fixtures[] = {
	{ "tcp", { V4, WEB } },
	{ "tcp options", { V4, WEB, .tcp_options = 10, .ip_options = 10 } },
	{ "udp", { V4, DNS } },
	{ "tags", { V4, WEB, .tags = 2 } },
	{ "tcp ipv6", { V6, WEB } },
	{ "udp ipv6", { V6, DNS } },
	{ "tags ipv6", { V6, WEB, .tags = 2 } },
	{ "extension headers", { V6, WEB, .extensions = "hdrd" } },
	{ "fragment ipv6", { V6, WEB, .fragment = MORE6 } },
	{ "later fragment", { V4, WEB, .fragment = MORE | 5 } },
	{ "icmp", { V4, .proto = IPPROTO_ICMP } },
	{ "alien", { ALIEN, WEB } },
	{ "alien ipv6", { ALIEN6, DNS, .extensions = "hdf" } },
};
#define FIXTURE_COUNT (sizeof(fixtures) / sizeof(fixtures[0]))

/** Which reasons a fixture may have when only `length` bytes of it arrive. */
static bool may_be(
	const struct packet *packet, const struct frame *whole, uint32_t length, int reason)
{
	bool ipv6 = strchr(packet->src, ':');
	bool ours = !strcmp(packet->dst, VIP_WEB) || !strcmp(packet->dst, VIP_WEB6);

	if (length < whole->ip + (ipv6 ? 40 : 20))
		return reason == FL_PASS_UNREADABLE;
	if (packet->proto)
		return reason == FL_PASS_PROTOCOL;
	if (!ours)
		return reason == FL_PASS_NO_SERVICE;
	if (packet->fragment)
		return reason == FL_DROP_FRAGMENT || reason == FL_DROP_MALFORMED;
	return reason == FL_DROP_MALFORMED;
}

Test(parse, truncations)
{
	struct outcome outcome;
	struct frame whole, in;
	size_t i;

	edge_open(NULL);
	edge_world();
	for (i = 0; i < FIXTURE_COUNT; i++) {
		packet_build(&fixtures[i].packet, &whole);
		in = whole;
		for (in.length = 14; in.length < whole.length; in.length++) {
			edge_run_from(EDGE_LO, NULL, &in, &outcome);
			cr_expect(may_be(&fixtures[i].packet, &whole, in.length, outcome.reason),
				"%s, %u of %u bytes: %s", fixtures[i].name, in.length, whole.length,
				edge_reason_name(outcome.reason));
		}
	}
	cr_assert_eq(edge_nat_entries(), 0, "a broken packet opened a flow");
	edge_check_sum();
}

/** Bytes of which nobody knows what they mean: one reason each, and no flow. */
Test(parse, noise)
{
	struct outcome outcome;
	struct frame in;
	uint32_t random = 12345, i, round;

	edge_open(NULL);
	edge_world();
	for (round = 0; round < 2000; round++) {
		packet_build(&fixtures[round % FIXTURE_COUNT].packet, &in);
		for (i = 0; i < 1 + round % 8; i++) {
			random = random * 1664525 + 1013904223;
			in.bytes[12 + (random >> 8) % (in.length - 12)] = (uint8_t)(random >> 24);
		}
		edge_run_from(EDGE_LO, NULL, &in, &outcome);
	}
	edge_check_sum();
}

/* An exact port beats port 0, also across services; port 0 keeps the port. */
static const struct port_row {
	const char *name;
	struct packet packet;
	const char *endpoint;
	uint16_t port;
} port_rows[] = {
	{ "exact", { .src = CLIENT_A, .dst = VIP_OTHER, .sport = 1, WEB }, ENDPOINT_1, 8080 },
	{ "any port", { .src = CLIENT_A, .dst = VIP_OTHER, .sport = 1, .dport = 81, .flags = SYN },
		ENDPOINT_2, 81 },
	{ "any port, the last",
		{ .src = CLIENT_A, .dst = VIP_OTHER, .sport = 2, .dport = 65535, .flags = SYN },
		ENDPOINT_2, 65535 },
	{ "any port, to an endpoint with one",
		{ .src = CLIENT_A, .dst = VIP_OTHER, .sport = 1, .dport = 81 }, ENDPOINT_3, 8080 },
	{ "exact ipv6", { .src = CLIENT_A6, .dst = VIP_OTHER6, .sport = 1, WEB }, ENDPOINT_1_6,
		8080 },
	{ "any port ipv6",
		{ .src = CLIENT_A6, .dst = VIP_OTHER6, .sport = 1, .dport = 81, .flags = SYN },
		ENDPOINT_2_6, 81 },
};

Test(parse, ports)
{
	struct outcome outcome;
	struct tuple tuple;
	struct frame in;
	size_t i;

	edge_open(NULL);
	edge_world();
	edge_endpoint(2, ENDPOINT_2, 0, 1);
	edge_endpoint(5, ENDPOINT_2_6, 0, 2);
	edge_service(2, FL_NAT);
	edge_table(2, FL_IPV4, 2);
	edge_table(2, FL_IPV6, 5);
	edge_service(3, FL_NAT);
	edge_table(3, FL_IPV4, 3);
	edge_frontend(VIP_OTHER, 80, IPPROTO_TCP, 1, 5);
	edge_frontend(VIP_OTHER, 0, IPPROTO_TCP, 2, 6);
	edge_frontend(VIP_OTHER, 0, IPPROTO_UDP, 3, 7);
	edge_frontend(VIP_OTHER6, 80, IPPROTO_TCP, 1, 8);
	edge_frontend(VIP_OTHER6, 0, IPPROTO_TCP, 2, 9);
	for (i = 0; i < sizeof(port_rows) / sizeof(port_rows[0]); i++) {
		const struct port_row *row = &port_rows[i];

		packet_build(&row->packet, &in);
		edge_run_from(EDGE_LO, row->name, &in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT, "%s: %s", row->name,
			edge_reason_name(outcome.reason));
		frame_tuple(&outcome.out, &tuple);
		cr_assert_str_eq(tuple.dst, row->endpoint, "%s: %s", row->name, tuple.dst);
		cr_assert_eq(tuple.dport, row->port, "%s: port %u", row->name, tuple.dport);
	}
	edge_check_sum();
}
