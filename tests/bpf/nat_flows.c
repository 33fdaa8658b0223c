/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fairlead/slot.h"
#include "lib/edge.h"

/*
 * One connection through mode nat, as a story: each letter is a packet or a
 * change, and below it stands what became of the packet.
 *
 *   S SYN   A ACK with data   F FIN   R RST        of the client
 *   s SYN+ACK   a ACK with data   f FIN   r RST    of the endpoint it was sent to last
 *   u, d, m, g   endpoint 1 is up, down, in maintenance, draining from now on
 *   2 slots say endpoint 2 from now on (then 1 again: 1, none: 0)
 *
 * Results: 1, 2 sent to that endpoint, 'c' sent back to the client, 'e'
 * no_endpoint, 'n' no_flow, '-' passed (no_service), ' ' for a change.
 */
TestSuite(nat_flows, .timeout = 600);

static const struct story {
	const char *name;
	const char *packets;
	const char *results;
	const char *opened; /**< '+' where a flow was counted as new */
} stories[] = {
	{ "a connection", "SsAaAFfA", "1c1c11c1", "+" },
	{ "SYN again", "SSsA", "11c1", "+" },
	{ "no SYN", "A", "n", "" },
	{ "FIN, RST without a flow", "FR", "nn", "" },
	{ "a flow stays when slots change", "SsA2AaA", "1c1 1c1", "+" },
	{ "a new flow follows the slots", "2SsA", " 2c2", " +" },
	{ "no endpoint in the slot", "0S", " e", "" },
	{ "endpoint down", "dSA", " en", "" },
	{ "endpoint in maintenance", "mS", " e", "" },
	{ "endpoint draining takes no new flow", "gS", " e", "" },
	{ "draining keeps what it has", "SsAgAaAF", "1c1 1c11", "+" },
	{ "SYN again while draining", "SgSs", "1 1c", "+" },
	{ "down ends what it has", "SsA2dAA", "1c1  ee", "+" },
	{ "maintenance too", "SsA2mA", "1c1  e", "+" },
	{ "down, then another SYN: another endpoint", "SsA2dASsA", "1c1  e2c2", "+     +" },
	{ "a blip of the endpoint", "SsAdAuA", "1c1 e 1", "+" },
	{ "down and no other endpoint", "SsA0dS", "1c1  e", "+" },
	{ "an endpoint that is down still answers", "SsAda", "1c1 c", "+" },
	{ "after FINs a SYN is a new flow", "SsAFfASsA", "1c11c11c1", "+     +" },
	{ "after one FIN too", "SsAFSs", "1c111c", "+   +" },
	{ "after the endpoint's FIN too", "SsAfSs", "1c1c1c", "+   +" },
	{ "after RST too", "SsARSs", "1c111c", "+   +" },
	{ "after the endpoint's RST too", "SrSs", "1c1c", "+ +" },
	{ "a new flow on old entries stays with its endpoint", "SsA2FfSsA", "1c1 1c1c1",
		"+     +" },
	{ "but not when that drains", "SsA2gFfSsA", "1c1  1c2c2", "+      +" },
	{ "RST is taken back by what follows", "SsARAS", "1c1111", "+" },
	{ "SYN on a live flow is its endpoint's affair", "SsAS2S", "1c11 1", "+" },
};
#define STORY_COUNT (sizeof(stories) / sizeof(stories[0]))

static const struct actors {
	const char *name, *client, *vip, *endpoint[2];
	enum fl_family family;
	uint32_t first; /**< id of endpoint 1 */
} families[] = {
	{ "IPv4", CLIENT_A, VIP_WEB, { ENDPOINT_1, ENDPOINT_2 }, FL_IPV4, 1 },
	{ "IPv6", CLIENT_A6, VIP_WEB6, { ENDPOINT_1_6, ENDPOINT_2_6 }, FL_IPV6, 4 },
};

static uint8_t flags_of(char letter)
{
	switch (letter) {
	case 'S':
		return SYN;
	case 's':
		return SYN | ACK;
	case 'F':
	case 'f':
		return FIN | ACK;
	case 'R':
	case 'r':
		return RST;
	default:
		return ACK;
	}
}

static char result_of(const struct actors *a, const struct outcome *outcome, struct tuple *sent)
{
	switch (outcome->reason) {
	case FL_SENT:
		frame_tuple(&outcome->out, sent);
		return strcmp(sent->dst, a->endpoint[0]) ? '2' : '1';
	case FL_SENT_REPLY:
		return 'c';
	case FL_DROP_NO_ENDPOINT:
		return 'e';
	case FL_DROP_NO_FLOW:
		return 'n';
	case FL_PASS_NO_SERVICE:
		return '-';
	default:
		return '?';
	}
}

/** Carry out a letter that is a change. @return whether it was one */
static bool change(const struct actors *a, char letter)
{
	switch (letter) {
	case 'u':
		edge_state(a->first, FL_UP);
		return true;
	case 'd':
		edge_state(a->first, FL_DOWN);
		return true;
	case 'm':
		edge_state(a->first, FL_MAINTENANCE);
		return true;
	case 'g':
		edge_state(a->first, FL_DRAINING);
		return true;
	case '0':
		edge_table(1, a->family, 0);
		return true;
	case '1':
	case '2':
		edge_table(1, a->family, a->first + (uint32_t)(letter - '1'));
		return true;
	}
	return false;
}

static uint64_t new_flows(const struct actors *a)
{
	uint32_t frontend = a->family == FL_IPV4 ? 1 : 3;
	uint64_t flows = edge_frontend_stats(frontend).new_flows;
	uint64_t endpoints = edge_endpoint_stats(a->first).new_flows +
			     edge_endpoint_stats(a->first + 1).new_flows;

	cr_assert_eq(flows % 1000000, endpoints % 1000000, "frontend and endpoints disagree");
	return flows;
}

static void tell(const struct actors *a, const struct story *story)
{
	struct tuple sent = { 0 };
	struct outcome outcome;
	char result[2] = "", row[128];
	struct frame in;
	size_t i;

	edge_world();
	edge_nat_reset();
	for (i = 0; story->packets[i]; i++) {
		char letter = story->packets[i];
		bool from_client = letter >= 'A' && letter <= 'Z';
		struct packet packet = { .src = a->client,
			.dst = a->vip,
			.sport = 4242,
			.dport = 80,
			.flags = flags_of(letter) };
		uint64_t flows = new_flows(a);
		bool opened = i < strlen(story->opened) && story->opened[i] == '+';

		if (change(a, letter))
			continue;
		if (!from_client)
			packet = (struct packet){ .src = sent.dst,
				.dst = sent.src,
				.sport = sent.dport,
				.dport = sent.sport,
				.flags = flags_of(letter) };
		snprintf(row, sizeof(row), "%s %s, packet %zu of %s", a->name, story->name, i + 1,
			story->packets);
		packet_build(&packet, &in);
		edge_run_from(EDGE_LO, row, &in, &outcome);
		result[0] = result_of(a, &outcome, &sent);
		cr_expect_eq(result[0], story->results[i], "%s: %s (%s), not %c", row, result,
			edge_reason_name(outcome.reason), story->results[i]);
		cr_expect_eq(new_flows(a) - flows, opened, "%s: %lu new flows", row,
			new_flows(a) - flows);
	}
	cr_expect_eq(
		edge_nat_used(a->first, IPPROTO_TCP) + edge_nat_used(a->first + 1, IPPROTO_TCP),
		edge_nat_entries() / 2, "%s %s: ports in use", a->name, story->name);
}

Test(nat_flows, tcp)
{
	size_t i, family;

	edge_open(NULL);
	for (family = 0; family < 2; family++)
		for (i = 0; i < STORY_COUNT; i++)
			tell(&families[family], &stories[i]);
	edge_check_sum();
}

/** What openings met is counted once for each, whatever follows. */
Test(nat_flows, answers)
{
	static const struct {
		struct story story;
		struct fl_answers answers;
	} rows[] = {
		{ { "answered", "SsAaAa", "1c1c1c", "+" }, { 1, 1, 0, 0 } },
		{ { "refused", "SrA", "1c1", "+" }, { 1, 0, 1, 0 } },
		{ { "silence, and the SYN again", "SSS", "111", "+" }, { 1, 0, 0, 0 } },
		{ { "answered, later reset", "SsAr", "1c1c", "+" }, { 1, 1, 0, 0 } },
		{ { "the port is used again", "SsAFfSr", "1c11c1c", "+    +" }, { 2, 1, 1, 0 } },
		{ { "no endpoint", "dS", " e", "" }, { 0, 0, 0, 0 } },
	};

	edge_open(NULL);
	for (size_t family = 0; family < 2; family++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct fl_answers before = edge_answers(families[family].first), after;

			tell(&families[family], &rows[i].story);
			after = edge_answers(families[family].first);
			cr_expect_eq(after.openings - before.openings, rows[i].answers.openings,
				"%s", rows[i].story.name);
			cr_expect_eq(after.answered - before.answered, rows[i].answers.answered,
				"%s", rows[i].story.name);
			cr_expect_eq(after.refused - before.refused, rows[i].answers.refused, "%s",
				rows[i].story.name);
		}
}

/** Send a datagram. @return the endpoint's number, or 0 when it was not sent */
static int datagram(const char *row, uint16_t sport, struct tuple *ret)
{
	struct packet packet = { .src = CLIENT_A, .dst = VIP_WEB, .sport = sport, .dport = 53 };
	struct outcome outcome;
	struct frame in;

	packet_build(&packet, &in);
	edge_run_from(EDGE_LO, row, &in, &outcome);
	if (outcome.reason != FL_SENT)
		return 0;
	frame_tuple(&outcome.out, ret);
	return ret->dst[strlen(ret->dst) - 1] - '0';
}

Test(nat_flows, udp)
{
	struct tuple first, again;

	edge_open(NULL);
	edge_world();
	cr_assert_eq(datagram("the first", 1000, &first), 1);
	cr_assert_eq(edge_nat_used(1, IPPROTO_UDP), 1);
	edge_table(1, FL_IPV4, 2);
	cr_assert_eq(datagram("the next of the same flow", 1000, &again), 1);
	cr_assert_eq(again.sport, first.sport, "another port for the same flow");
	cr_assert_eq(datagram("another flow", 1001, &again), 2);
	edge_state(1, FL_DRAINING);
	cr_assert_eq(datagram("while draining", 1000, &again), 1);
	edge_state(1, FL_DOWN);
	cr_assert_eq(datagram("its endpoint is down", 1000, &again), 2);
	cr_assert_eq(edge_nat_used(1, IPPROTO_UDP), 0, "the old port was not given back");
	cr_assert_eq(edge_nat_used(2, IPPROTO_UDP), 2);
	cr_assert_eq(edge_nat_entries(), 4);
	edge_state(2, FL_MAINTENANCE);
	cr_assert_eq(datagram("no endpoint", 1000, &again), 0);
	cr_assert_eq(edge_nat_entries(), 2, "the flow of a dead endpoint stays");
	edge_check_sum();
}

/** Send a datagram of a flow that is there. */
static void datagram_again(const char *row, const struct tuple *first)
{
	struct tuple again;

	cr_assert_eq(datagram(row, 1000, &again), 1, "%s", row);
	cr_assert_eq(again.sport, first->sport, "%s: another port", row);
}

/** A flow is found wherever its table stands, twice: with and without the program's hint. */
Test(nat_flows, generations)
{
	enum { OLD, NEW, NEWEST };
	static const struct {
		const char *name;
		uint32_t count;
		int tables[3];
	} rows[] = {
		{ "its table alone", 1, { OLD } },
		{ "a newer table", 2, { NEW, OLD } },
		{ "two newer tables", 3, { NEWEST, NEW, OLD } },
		{ "one newer table went", 2, { NEWEST, OLD } },
		{ "both went", 1, { OLD } },
		{ "an older table is before it", 3, { OLD, NEW, NEWEST } },
	};
	struct tuple first, other;
	int fds[3], tables[3];
	uint32_t i, j;

	edge_open(NULL);
	edge_world();
	for (i = 0; i < 3; i++)
		fds[i] = edge_nat_table_new(1024);
	edge_nat_place(1, &fds[OLD]);
	cr_assert_eq(datagram("the first", 1000, &first), 1);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (j = 0; j < rows[i].count; j++)
			tables[j] = fds[rows[i].tables[j]];
		edge_nat_place(rows[i].count, tables);
		datagram_again(rows[i].name, &first);
		datagram_again(rows[i].name, &first);
	}
	edge_nat_place(1, &fds[NEW]);
	cr_assert_eq(datagram("the table of the flow is gone", 1000, &other), 1);
	cr_assert_eq(edge_nat_entries(), 2);
	for (i = 0; i < 3; i++)
		close(fds[i]);
	edge_check_sum();
}

/** Where packets go out, and what happens when nobody knows where. */
Test(nat_flows, next_hops)
{
	struct packet packet = {
		.src = CLIENT_A, .dst = VIP_WEB, .sport = 1, .dport = 80, .flags = SYN
	};
	struct outcome outcome;
	struct tuple sent;
	struct frame in;

	edge_open(NULL);
	edge_world();
	packet_build(&packet, &in);

	edge_nexthop(1, edge_clients, NODE, 1500, 0);
	edge_run_from(EDGE_LO, "out of another interface", &in, &outcome);
	cr_assert_eq(outcome.action, XDP_REDIRECT);
	packet.tags = 2;
	packet_build(&packet, &in);
	edge_run_from(EDGE_LO, "tags stay behind", &in, &outcome);
	cr_assert_eq(outcome.action, XDP_REDIRECT);
	cr_assert_eq(outcome.out.length, in.length - 8);
	cr_assert(outcome.out.bytes[12] == 0x08 && outcome.out.bytes[13] == 0x00);
	packet.tags = 0;
	packet_build(&packet, &in);

	edge_nexthop(1, 999, NODE, 1500, 0);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ROUTE, "out of an interface we may not use");
	edge_nexthop(1, EDGE_LO, NODE, 1500, FL_NEXTHOP_LOCAL);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ROUTE, "to this node itself");

	edge_endpoint(1, ENDPOINT_1, 8080, 0);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ROUTE, "nothing is known of the next hop");
	edge_nat_reset();
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ROUTE, "and there is no source for a new flow");
	cr_assert_eq(edge_nat_entries(), 0);

	/* A client whose neighbour nobody knows: the stack asks for it. */
	edge_world();
	packet.src = "198.51.100.99";
	packet_build(&packet, &in);
	edge_run_from(EDGE_LO, "a client without neighbour", &in, &outcome);
	cr_assert_eq(outcome.reason, FL_SENT);
	frame_tuple(&outcome.out, &sent);
	packet = (struct packet){ .src = sent.dst,
		.dst = sent.src,
		.sport = sent.dport,
		.dport = sent.sport,
		.flags = SYN | ACK };
	packet_build(&packet, &in);
	edge_run_from(EDGE_LO, "its answer", &in, &outcome);
	cr_assert_eq(outcome.reason, FL_PASS_NEIGHBOUR);
	frame_tuple(&outcome.out, &sent);
	cr_assert_str_eq(sent.src, VIP_WEB);
	cr_assert_str_eq(sent.dst, "198.51.100.99");
	cr_assert_eq(sent.dport, 1);
	edge_check_sum();
}

/** The kernel's own table is asked while the agent has not resolved an endpoint. */
Test(nat_flows, kernel_routes)
{
	struct fl_edge_conf conf = {
		.nat_port_min = 1024, .nat_port_max = 32767, .nat_sources = { 1, 1 }
	};
	const uint8_t node[4] = { 192, 0, 2, 1 };
	struct packet packet = {
		.src = CLIENT_A, .dst = VIP_WEB, .sport = 1, .dport = 80, .flags = SYN
	};
	struct outcome outcome;
	struct frame in;

	conf.nat_source[FL_IPV4][0].word[2] = 0xffff0000;
	memcpy(&conf.nat_source[FL_IPV4][0].word[3], node, 4);
	edge_open(&conf);
	edge_world();
	edge_endpoint(1, CLIENT_B, 8080, 0);
	packet_build(&packet, &in);
	edge_run_from(EDGE_LO, "by the kernel's table", &in, &outcome);
	cr_assert_eq(outcome.reason, FL_SENT);
	cr_assert_eq(outcome.action, XDP_REDIRECT);
	packet.payload = 1461;
	packet_build(&packet, &in);
	edge_run_from(EDGE_LO, "too big, by the kernel's table", &in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_TOO_BIG);
	edge_endpoint(1, "198.51.100.77", 8080, 0);
	packet.payload = 0;
	packet.sport = 2;
	packet_build(&packet, &in);
	edge_run_from(EDGE_LO, "an endpoint without neighbour", &in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ROUTE);
	edge_check_sum();
}

/** A service, a table or an endpoint that is not there. */
Test(nat_flows, holes)
{
	struct packet packet = {
		.src = CLIENT_A, .dst = VIP_WEB, .sport = 1, .dport = 80, .flags = SYN
	};
	struct outcome outcome;
	struct frame in;

	edge_open(NULL);
	edge_world();
	packet_build(&packet, &in);
	edge_frontend(VIP_WEB, 80, IPPROTO_TCP, 9, 1);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_TABLE, "the service is not in use");
	edge_service(9, FL_NAT);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_TABLE, "the service has no table");
	edge_frontend(VIP_WEB, 80, IPPROTO_TCP, 4000000000u, 1);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_INTERNAL, "a service beyond the map");
	edge_frontend(VIP_WEB, 80, IPPROTO_TCP, 1, 1);
	edge_table(1, FL_IPV4, 200);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ENDPOINT, "an endpoint that is nobody");
	edge_table(1, FL_IPV4, 100000);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ENDPOINT, "an endpoint beyond the map");
	edge_table(1, FL_IPV4, 4);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_ENDPOINT, "an endpoint of the other family");
	cr_assert_eq(edge_nat_entries(), 0);
	edge_nat_tables(0, NULL);
	edge_table(1, FL_IPV4, 1);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_TABLE_FULL, "no nat table at all");
	cr_assert_eq(edge_nat_used(1, IPPROTO_TCP), 0);
	edge_check_sum();
}
