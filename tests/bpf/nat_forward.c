/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/edge.h"

/*
 * Mode nat, packet by packet: from clients to endpoints, and back. What must
 * come out is built anew from a description and compared byte for byte.
 */
TestSuite(nat_forward, .timeout = 600);

#define V4  .src = CLIENT_A, .dst = VIP_WEB, .sport = 4242
#define V6  .src = CLIENT_A6, .dst = VIP_WEB6, .sport = 4242
#define WEB .dport = 80, .flags = SYN
#define DNS .dport = 53

static struct row {
	const char *name;
	struct packet packet;
	int reason;
} rows[] = {
	{ "tcp", { V4, WEB }, FL_SENT },
	{ "tcp ipv6", { V6, WEB }, FL_SENT },
	{ "udp", { V4, DNS }, FL_SENT },
	{ "udp ipv6", { V6, DNS }, FL_SENT },
	{ "no payload", { V4, WEB, .payload = NO_PAYLOAD }, FL_SENT },
	{ "udp without payload", { V4, DNS, .payload = NO_PAYLOAD }, FL_SENT },
	{ "odd payload", { V4, WEB, .payload = 33 }, FL_SENT },
	{ "as large as the route", { V4, WEB, .payload = 1460 }, FL_SENT },
	{ "too large for the route", { V4, WEB, .payload = 1461 }, FL_DROP_TOO_BIG },
	{ "too large for the route ipv6", { V6, WEB, .payload = 1441 }, FL_DROP_TOO_BIG },
	{ "tcp options", { V4, WEB, .tcp_options = 10 }, FL_SENT },
	{ "ip options", { V4, WEB, .ip_options = 1 }, FL_SENT },
	{ "most ip options", { V4, DNS, .ip_options = 10 }, FL_SENT },
	{ "type of service", { V4, WEB, .tos = 0xb9 }, FL_SENT },
	{ "traffic class", { V6, WEB, .tos = 0xb9, .flow_label = 77 }, FL_SENT },
	{ "don't fragment", { V4, WEB, .dont_fragment = 1, .id = 999 }, FL_SENT },
	{ "bytes after the packet", { V4, WEB, .payload = NO_PAYLOAD, .padding = 6 }, FL_SENT },
	{ "udp without checksum", { V4, DNS, .no_checksum = 1 }, FL_SENT },
	{ "udp without checksum ipv6", { V6, DNS, .no_checksum = 1 }, FL_SENT },
	{ "udp checksum 0", { V4, DNS, .zero_checksum = 1 }, FL_SENT },
	{ "udp checksum 0 ipv6", { V6, DNS, .zero_checksum = 1 }, FL_SENT },
	{ "vlan tag", { V4, WEB, .tags = 1 }, FL_SENT },
	{ "vlan tag ipv6", { V6, WEB, .tags = 1 }, FL_SENT },
	{ "two vlan tags", { V4, DNS, .tags = 2 }, FL_SENT },
	{ "two vlan tags ipv6", { V6, DNS, .tags = 2 }, FL_SENT },
	{ "hop-by-hop options", { V6, WEB, .extensions = "h" }, FL_SENT },
	{ "routing header, used up", { V6, WEB, .extensions = "r" }, FL_SENT },
	{ "destination options", { V6, DNS, .extensions = "d" }, FL_SENT },
	{ "atomic fragment", { V6, WEB, .extensions = "f" }, FL_SENT },
	{ "four extension headers", { V6, WEB, .extensions = "hdrd" }, FL_SENT },
	{ "extension headers behind two tags", { V6, WEB, .extensions = "hd", .tags = 2 },
		FL_SENT },
	{ "last hop but one", { V4, WEB, .ttl = 2 }, FL_SENT },
	{ "last hop", { V4, WEB, .ttl = 1 }, FL_DROP_TTL },
	{ "last hop ipv6", { V6, WEB, .ttl = 1 }, FL_DROP_TTL },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/** What a packet must look like once it is on its way to an endpoint. */
static struct packet towards_endpoint(const struct packet *packet, uint16_t port)
{
	bool ipv6 = strchr(packet->src, ':');
	struct packet sent = *packet;

	sent.src = ipv6 ? NODE6 : NODE;
	sent.dst = ipv6 ? ENDPOINT_1_6 : ENDPOINT_1;
	sent.sport = port;
	sent.dport = 8080;
	sent.ttl = (packet->ttl ? packet->ttl : 64) - 1;
	sent.dmac = MAC_ENDPOINT;
	sent.smac = MAC_EGRESS;
	sent.zero_checksum = 0;
	return sent;
}

/** The endpoint's answer to what it was sent, and what must become of it. */
static struct packet answer(const struct packet *packet, uint16_t port)
{
	bool ipv6 = strchr(packet->src, ':');

	return (struct packet){ .src = ipv6 ? ENDPOINT_1_6 : ENDPOINT_1,
		.dst = ipv6 ? NODE6 : NODE,
		.sport = 8080,
		.dport = port,
		.flags = packet->flags ? SYN | ACK : 0,
		.payload = packet->payload };
}

static struct packet towards_client(const struct packet *answered, const struct packet *packet)
{
	struct packet sent = *answered;

	sent.src = packet->dst;
	sent.dst = packet->src;
	sent.sport = packet->dport;
	sent.dport = packet->sport;
	sent.ttl = 63;
	sent.dmac = MAC_ROUTER;
	sent.smac = MAC_NODE;
	return sent;
}

static void check_bytes(const char *row, const struct frame *got, const struct packet *wanted)
{
	struct frame expected;

	packet_build(wanted, &expected);
	frame_compare(row, got, &expected);
}

static void run_row(const struct row *row)
{
	struct outcome outcome;
	struct packet wanted;
	struct tuple tuple;
	struct frame in;

	edge_nat_reset();
	packet_build(&row->packet, &in);
	edge_run_from(EDGE_LO, row->name, &in, &outcome);
	cr_assert_eq(outcome.reason, row->reason, "%s: %s, not %s", row->name,
		edge_reason_name(outcome.reason), edge_reason_name(row->reason));
	if (row->reason != FL_SENT)
		return;
	cr_assert_eq(outcome.action, XDP_TX, "%s", row->name);
	frame_tuple(&outcome.out, &tuple);
	cr_assert(
		tuple.sport >= 1024 && tuple.sport <= 32767, "%s: port %u", row->name, tuple.sport);
	wanted = towards_endpoint(&row->packet, tuple.sport);
	if (row->packet.zero_checksum)
		wanted.first_word = (uint16_t)(in.bytes[in.l4 + 8] << 8 | in.bytes[in.l4 + 9]);
	check_bytes(row->name, &outcome.out, &wanted);
	cr_assert_eq(edge_nat_entries(), 2, "%s", row->name);

	struct packet back = answer(&row->packet, tuple.sport);

	packet_build(&back, &in);
	edge_run_from(EDGE_LO, row->name, &in, &outcome);
	cr_assert_eq(outcome.reason, FL_SENT_REPLY, "%s: answer is %s", row->name,
		edge_reason_name(outcome.reason));
	cr_assert_eq(outcome.action, XDP_REDIRECT, "%s", row->name);
	wanted = towards_client(&back, &row->packet);
	check_bytes(row->name, &outcome.out, &wanted);
	edge_run_from(edge_clients, row->name, &in, &outcome);
	cr_assert_eq(outcome.reason, FL_SENT_REPLY, "%s", row->name);
	cr_assert_eq(outcome.action, XDP_TX, "%s: out where it came in", row->name);
	check_bytes(row->name, &outcome.out, &wanted);
}

Test(nat_forward, packets)
{
	size_t i;

	edge_open(NULL);
	edge_world();
	for (i = 0; i < ROW_COUNT; i++)
		run_row(&rows[i]);
	edge_check_sum();
}
