/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/edge.h"

/*
 * The target path: what `edge` wraps, it unwraps; what is not ours it leaves.
 */
TestSuite(target, .timeout = 600);

#define V4  .src = CLIENT_A, .dst = VIP_WEB, .sport = 4242
#define V6  .src = CLIENT_A6, .dst = VIP_WEB6, .sport = 4242
#define WEB .dport = 80, .flags = SYN
#define DNS .dport = 53

/** This node is ENDPOINT_1 and serves VIP_WEB; NODE is its balancer. */
static void world(void)
{
	target_address(ENDPOINT_1, FL_ADDRESS_LOCAL);
	target_address(ENDPOINT_1_6, FL_ADDRESS_LOCAL);
	target_address(VIP_WEB, FL_ADDRESS_LOCAL | FL_ADDRESS_SERVICE);
	target_address(VIP_WEB6, FL_ADDRESS_LOCAL | FL_ADDRESS_SERVICE);
	target_balancer("192.0.2.0/29");
	target_balancer(NODE6 "/128");
}

static void edge_ipip(void)
{
	edge_world();
	edge_service(1, FL_IPIP);
	edge_endpoint(1, ENDPOINT_1, 0, 1);
	edge_endpoint(4, ENDPOINT_1_6, 0, 2);
}

static const struct packet packets[] = {
	{ V4, WEB },
	{ V4, DNS },
	{ V6, WEB },
	{ V6, DNS },
	{ V4, WEB, .tags = 1 },
	{ V6, WEB, .tags = 2 },
	{ V4, WEB, .ip_options = 3, .tos = 0xba },
	{ V6, WEB, .extensions = "hd", .tos = 0xba },
	{ V4, WEB, .payload = NO_PAYLOAD, .padding = 6 },
};

/** There and back: the packet that went in comes out, in every pair of families. */
Test(target, round_trip)
{
	static const uint32_t endpoints[] = { 1, 4 };
	struct outcome wrapped, outcome;
	struct frame in;
	char row[64];
	size_t i, j;

	edge_open(NULL);
	edge_ipip();
	world();
	for (i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
		for (j = 0; j < 2; j++) {
			edge_table(1, FL_IPV4, endpoints[j]);
			edge_table(1, FL_IPV6, endpoints[j]);
			snprintf(row, sizeof(row), "round trip of packet %zu over %zu", i, j);
			packet_build(&packets[i], &in);
			edge_run_from(EDGE_LO, row, &in, &wrapped);
			cr_assert_eq(wrapped.reason, FL_SENT);
			wrapped.out.ip = in.ip;
			target_run(row, &wrapped.out, &outcome);
			cr_assert_eq(outcome.reason, FL_PASS_DECAPSULATED, "%s: %s", row,
				edge_reason_name(outcome.reason));
			cr_assert_eq(outcome.out.length, in.length, "%s", row);
			cr_assert_eq(memcmp(outcome.out.bytes + 12, in.bytes + 12, in.length - 12),
				0, "%s: another packet", row);
		}
	edge_check_sum();
}

/** A tunnel by hand: `inner` inside a header from `src` to `dst`. */
static void wrap(const struct packet *inner, const char *src, const char *dst, uint8_t tos,
	const char *extensions, struct frame *ret)
{
	struct packet outer = { .src = src,
		.dst = dst,
		.tos = tos,
		.payload = NO_PAYLOAD,
		.proto = strchr(inner->src, ':') ? 41 : 4,
		.extensions = extensions };
	struct frame content;
	uint32_t length;

	packet_build(inner, &content);
	length = content.length - content.ip;
	outer.ip_len = (int16_t)length;
	packet_build(&outer, ret);
	if (!strchr(src, ':')) { /* the length is under the checksum */
		uint16_t check;

		memset(ret->bytes + ret->ip + 10, 0, 2);
		check = checksum_end(checksum_add(0, ret->bytes + ret->ip, 20));
		memcpy(ret->bytes + ret->ip + 10, &check, 2);
	}
	memcpy(ret->bytes + ret->length, content.bytes + content.ip, length);
	ret->length += length;
}

static const struct row {
	const char *name;
	struct packet inner;
	const char *src, *dst;
	int reason;
} rows[] = {
	{ "ours", { V4, WEB }, NODE, ENDPOINT_1, FL_PASS_DECAPSULATED },
	{ "another balancer of the prefix", { V4, WEB }, "192.0.2.7", ENDPOINT_1,
		FL_PASS_DECAPSULATED },
	{ "a host beside the prefix", { V4, WEB }, "192.0.2.8", ENDPOINT_1, FL_DROP_NOT_ALLOWED },
	{ "a stranger", { V4, WEB }, STRANGER, ENDPOINT_1, FL_DROP_NOT_ALLOWED },
	{ "a stranger ipv6", { V6, WEB }, STRANGER6, ENDPOINT_1_6, FL_DROP_NOT_ALLOWED },
	{ "beside the address", { V6, WEB }, NODE6_2, ENDPOINT_1_6, FL_DROP_NOT_ALLOWED },
	{ "for another node", { V4, WEB }, NODE, ENDPOINT_2, FL_PASS_NO_SERVICE },
	{ "for another node ipv6", { V6, WEB }, NODE6, ENDPOINT_2_6, FL_PASS_NO_SERVICE },
	{ "for a service of others", { .src = CLIENT_A, .dst = STRANGER, .sport = 1, WEB }, NODE,
		ENDPOINT_1, FL_PASS_NO_SERVICE },
	{ "for an address that serves nobody",
		{ .src = CLIENT_A, .dst = ENDPOINT_1, .sport = 1, WEB }, NODE, ENDPOINT_1,
		FL_PASS_NO_SERVICE },
	{ "a stranger's own tunnel", { .src = CLIENT_A, .dst = STRANGER, .sport = 1, WEB },
		STRANGER, ENDPOINT_1, FL_PASS_NO_SERVICE },
	{ "inside is ip version 5", { V4, WEB, .version = 5 }, NODE, ENDPOINT_1,
		FL_DROP_MALFORMED },
	{ "inside is a short header", { V4, WEB, .ihl = 4 }, NODE, ENDPOINT_1, FL_DROP_MALFORMED },
	{ "inside is ip version 4 in ipv6", { V6, WEB, .version = 4 }, NODE, ENDPOINT_1,
		FL_DROP_MALFORMED },
};

Test(target, tunnels)
{
	struct outcome outcome;
	struct frame in;
	size_t i;

	edge_open(NULL);
	world();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		wrap(&rows[i].inner, rows[i].src, rows[i].dst, 0, NULL, &in);
		target_run(rows[i].name, &in, &outcome);
		cr_expect_eq(outcome.reason, rows[i].reason, "%s: %s", rows[i].name,
			edge_reason_name(outcome.reason));
	}
	/* As Linux's own IPv6 tunnels send: a destination option says how deep to nest. */
	wrap(&packets[0], NODE6, ENDPOINT_1_6, 0, "d", &in);
	target_run("behind a destination option", &in, &outcome);
	cr_assert_eq(outcome.reason, FL_PASS_DECAPSULATED);
	edge_check_sum();
}

static const struct plain_row {
	const char *name;
	struct packet packet;
	int reason;
} plain_rows[] = {
	{ "tcp", { V4, WEB }, FL_PASS_NO_SERVICE },
	{ "udp ipv6", { V6, DNS }, FL_PASS_NO_SERVICE },
	{ "arp", { V4, WEB, .ethertype = 0x0806 }, FL_PASS_NOT_IP },
	{ "fragment of a tunnel",
		{ .src = NODE, .dst = ENDPOINT_1, .proto = 4, .fragment = 0x2000 },
		FL_PASS_NO_SERVICE },
	{ "fragment of a tunnel ipv6",
		{ .src = NODE6, .dst = ENDPOINT_1_6, .proto = 4, .fragment = 1 },
		FL_PASS_NO_SERVICE },
	{ "empty tunnel", { .src = NODE, .dst = ENDPOINT_1, .proto = 4, .payload = NO_PAYLOAD },
		FL_DROP_MALFORMED },
	{ "empty tunnel ipv6",
		{ .src = NODE6, .dst = ENDPOINT_1_6, .proto = 41, .payload = NO_PAYLOAD },
		FL_DROP_MALFORMED },
	{ "ip version 5", { V4, WEB, .version = 5 }, FL_PASS_UNREADABLE },
};

Test(target, plain)
{
	struct outcome outcome;
	struct frame in;
	size_t i;

	edge_open(NULL);
	world();
	for (i = 0; i < sizeof(plain_rows) / sizeof(plain_rows[0]); i++) {
		packet_build(&plain_rows[i].packet, &in);
		target_run(plain_rows[i].name, &in, &outcome);
		cr_expect_eq(outcome.reason, plain_rows[i].reason, "%s: %s", plain_rows[i].name,
			edge_reason_name(outcome.reason));
	}
	edge_check_sum();
}

/** RFC 6040: what the outer header says of congestion reaches the inner one. */
Test(target, congestion)
{
	static const struct {
		uint8_t outer, inner;
		int reason;
		uint8_t result;
	} ecn[] = {
		{ 0, 0, FL_PASS_DECAPSULATED, 0 },
		{ 2, 2, FL_PASS_DECAPSULATED, 2 },
		{ 1, 1, FL_PASS_DECAPSULATED, 1 },
		{ 3, 3, FL_PASS_DECAPSULATED, 3 },
		{ 3, 2, FL_PASS_DECAPSULATED, 3 },
		{ 3, 1, FL_PASS_DECAPSULATED, 3 },
		{ 3, 0, FL_DROP_CONGESTED, 0 },
		{ 1, 2, FL_PASS_DECAPSULATED, 1 },
		{ 2, 1, FL_PASS_DECAPSULATED, 1 },
		{ 0, 3, FL_PASS_DECAPSULATED, 3 },
	};
	struct outcome outcome;
	struct frame in;
	char row[64];
	size_t i;
	int ipv6;

	edge_open(NULL);
	world();
	for (i = 0; i < sizeof(ecn) / sizeof(ecn[0]); i++)
		for (ipv6 = 0; ipv6 < 2; ipv6++) {
			struct packet inner = { V4, WEB, .tos = 0xb8 };
			uint8_t class;

			if (ipv6)
				inner = (struct packet){ V6, WEB, .tos = 0xb8 };
			inner.tos |= ecn[i].inner;
			snprintf(row, sizeof(row), "ECN %d in %d, IPv%d", ecn[i].inner,
				ecn[i].outer, ipv6 ? 6 : 4);
			wrap(&inner, ipv6 ? NODE6 : NODE, ipv6 ? ENDPOINT_1_6 : ENDPOINT_1,
				ecn[i].outer, NULL, &in);
			target_run(row, &in, &outcome);
			cr_assert_eq(outcome.reason, ecn[i].reason, "%s: %s", row,
				edge_reason_name(outcome.reason));
			if (ecn[i].reason == FL_DROP_CONGESTED)
				continue;
			class = ipv6 ? (uint8_t)(outcome.out.bytes[14] << 4 |
						 outcome.out.bytes[15] >> 4)
				     : outcome.out.bytes[15];
			cr_assert_eq(class, 0xb8 | ecn[i].result, "%s: class %#x", row, class);
		}
	edge_check_sum();
}

/** Cut at every length: one reason each, and nothing half unwrapped. */
Test(target, truncations)
{
	static const char *const ends[][2] = { { NODE, ENDPOINT_1 }, { NODE6, ENDPOINT_1_6 } };
	struct outcome outcome;
	struct frame whole, in;
	size_t i, j;

	edge_open(NULL);
	world();
	for (i = 0; i < 3; i += 2)
		for (j = 0; j < 2; j++) {
			uint32_t inner;

			wrap(&packets[i], ends[j][0], ends[j][1], 0, NULL, &whole);
			inner = whole.ip + (j ? 40 : 20);
			in = whole;
			for (in.length = 14; in.length < inner + (i ? 40 : 20); in.length++) {
				target_run("cut", &in, &outcome);
				cr_assert_eq(outcome.reason,
					in.length < inner ? FL_PASS_UNREADABLE : FL_DROP_MALFORMED,
					"%u bytes: %s", in.length,
					edge_reason_name(outcome.reason));
			}
		}
	edge_check_sum();
}
