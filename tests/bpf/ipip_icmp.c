/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/slot.h"
#include "lib/edge.h"
#include "lib/icmp.h"

#include "bpf/xdp_edge.skel.h"

/*
 * ICMP errors about answers of endpoints behind tunnels: they arrive for the frontend, and go
 * as they are to the endpoint that answered. Answers do not come by here; they are made up.
 */
TestSuite(ipip_icmp, .timeout = 600);

#define V4   .src = CLIENT_A, .dst = VIP_WEB, .sport = 4242
#define V6   .src = CLIENT_A6, .dst = VIP_WEB6, .sport = 4242
#define WEB  .dport = 80, .flags = SYN
#define DNS  .dport = 53
#define MORE 0x2000

static const struct row {
	const char *name;
	struct packet packet; /**< of the client; the error quotes an answer to it */
	struct packet outer;
	uint8_t type, code;
	uint32_t quoted; /**< behind the IP header */
	int reason;
} rows[] = {
	{ "fragmentation needed", { V4, WEB }, { 0 }, 3, 4, 8, FL_SENT_ICMP },
	{ "packet too big", { V6, WEB }, { 0 }, 2, 0, 40, FL_SENT_ICMP },
	{ "of udp", { V4, DNS }, { 0 }, 3, 3, 20, FL_SENT_ICMP },
	{ "of udp ipv6", { V6, DNS }, { 0 }, 1, 4, 40, FL_SENT_ICMP },
	{ "tags", { V4, WEB }, { .tags = 2 }, 3, 4, 8, FL_SENT_ICMP },
	{ "the last hop, as a tunnel is none", { V4, WEB }, { .ttl = 1 }, 3, 4, 8, FL_SENT_ICMP },
	{ "no hop", { V4, WEB }, { .no_ttl = 1 }, 3, 4, 8, FL_DROP_TTL },
	{ "echo request", { V4, WEB }, { 0 }, 8, 0, 8, FL_PASS_PROTOCOL },
	{ "7 bytes", { V4, WEB }, { 0 }, 3, 4, 7, FL_PASS_PROTOCOL },
	{ "another port", { V4, .dport = 81, .flags = SYN }, { 0 }, 3, 4, 8, FL_PASS_PROTOCOL },
	{ "for another address", { V4, WEB }, { .dst = STRANGER }, 3, 4, 8, FL_PASS_PROTOCOL },
	{ "a fragment", { V4, WEB }, { .fragment = MORE }, 3, 4, 8, FL_PASS_PROTOCOL },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static void build_error(const struct row *row, struct frame *ret)
{
	struct packet answer = row->packet;
	struct icmp_error error = {
		.outer = row->outer, .type = row->type, .code = row->code, .rest = 1280
	};
	struct frame quote;

	answer.src = row->packet.dst;
	answer.dst = row->packet.src;
	answer.sport = row->packet.dport;
	answer.dport = row->packet.sport;
	packet_build(&answer, &quote);
	error.outer.src = strchr(answer.src, ':') ? STRANGER6 : STRANGER;
	if (!error.outer.dst)
		error.outer.dst = answer.src;
	error.quote = quote.bytes + quote.ip;
	error.quoted = quote.l4 - quote.ip + row->quoted;
	icmp_build(&error, ret);
}

/** The slot of the client's packets. */
static uint32_t slot_of(const struct packet *packet)
{
	bool ipv6 = strchr(packet->src, ':');
	uint8_t proto = packet->flags ? IPPROTO_TCP : IPPROTO_UDP;
	uint32_t words[8], hash;

	inet_pton(ipv6 ? AF_INET6 : AF_INET, packet->src, words);
	inet_pton(ipv6 ? AF_INET6 : AF_INET, packet->dst, words + 4);
	hash = ipv6 ? fl_hash_ipv6(0, words, words + 4, htons(packet->sport), htons(packet->dport),
			      proto)
		    : fl_hash_ipv4(0, words[0], words[4], htons(packet->sport),
			      htons(packet->dport), proto);
	return fl_hash_slot(hash, 251);
}

static void world(void)
{
	edge_world();
	edge_service(1, FL_IPIP);
	edge_endpoint(1, ENDPOINT_1, 0, 1);
	edge_endpoint(2, ENDPOINT_2, 0, 1);
	edge_endpoint(4, ENDPOINT_1_6, 0, 2);
}

/** It went to `endpoint`, and inside is what came. */
static void check_tunnel(
	const char *name, const struct frame *in, const struct frame *out, const char *endpoint)
{
	uint32_t length = in->length - in->ip, outer = out->bytes[out->ip] >> 4 == 6 ? 40 : 20;
	struct tuple tuple;

	frame_tuple(out, &tuple);
	cr_assert_str_eq(tuple.dst, endpoint, "%s: to %s", name, tuple.dst);
	cr_assert_eq(out->length, in->length + outer, "%s: %u bytes", name, out->length);
	cr_assert_arr_eq(out->bytes + out->ip + outer, in->bytes + in->ip, length, "%s", name);
}

/* Only the slot of the client's own packets says endpoint 1 (or 4, behind IPv6). */
Test(ipip_icmp, errors)
{
	struct outcome outcome;
	struct frame in;
	size_t i;

	edge_open(NULL);
	world();
	for (i = 0; i < ROW_COUNT; i++) {
		const struct packet *packet = &rows[i].packet;
		enum fl_family family = strchr(packet->src, ':') ? FL_IPV6 : FL_IPV4;
		uint32_t endpoint = i & 1 ? 4 : 1;

		edge_table(1, family, 2);
		edge_slot(1, family, slot_of(packet), fl_slot_settled(endpoint));
		build_error(&rows[i], &in);
		edge_run_from(EDGE_LO, rows[i].name, &in, &outcome);
		cr_assert_eq(outcome.reason, rows[i].reason, "%s: %s", rows[i].name,
			edge_reason_name(outcome.reason));
		if (outcome.reason == FL_SENT_ICMP)
			check_tunnel(rows[i].name, &in, &outcome.out,
				endpoint == 1 ? ENDPOINT_1 : ENDPOINT_1_6);
	}
	cr_assert_eq(edge_endpoint_stats(1).packets + edge_endpoint_stats(4).packets, 0,
		"errors are no packets of a service");
	edge_check_sum();
}

static uint32_t count_keys(const struct bpf_map *map)
{
	struct fl_flow key, *previous = NULL;
	uint32_t count = 0;

	for (; !bpf_map_get_next_key(bpf_map__fd(map), previous, &key); previous = &key)
		count++;
	return count;
}

static uint32_t count_pins(void)
{
	return count_keys(edge->maps.fl_pins) + count_keys(edge->maps.fl_opening);
}

/* In a slot that moves the error follows the flow's pin, and makes none. */
Test(ipip_icmp, slots_that_move)
{
	static const struct row families[] = {
		{ "ipv4", { V4, WEB }, { 0 }, 3, 4, 8, FL_SENT_ICMP },
		{ "ipv6", { V6, WEB }, { 0 }, 2, 0, 40, FL_SENT_ICMP },
	};
	struct outcome outcome;
	struct frame in;
	size_t i;

	edge_open(NULL);
	world();
	for (i = 0; i < 2; i++) {
		struct row other = families[i];

		edge_slots(1, (enum fl_family)i, fl_slot_moving(2, 1, 1));
		build_error(&families[i], &in);
		edge_run_from(EDGE_LO, families[i].name, &in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT_ICMP);
		check_tunnel("no pin: a flow from before", &in, &outcome.out, ENDPOINT_1);
		cr_assert_eq(count_pins(), i, "an error made a pin");

		packet_build(&families[i].packet, &in);
		edge_run(&in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT);
		cr_assert_eq(count_pins(), i + 1);
		build_error(&families[i], &in);
		edge_run_from(EDGE_LO, families[i].name, &in, &outcome);
		check_tunnel("pinned", &in, &outcome.out, ENDPOINT_2);
		other.packet.sport++;
		build_error(&other, &in);
		edge_run_from(EDGE_LO, families[i].name, &in, &outcome);
		check_tunnel("another flow", &in, &outcome.out, ENDPOINT_1);
		cr_assert_eq(count_pins(), i + 1, "an error made a pin");
	}
	edge_check_sum();
}
