/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/edge.h"

/*
 * ICMP errors about packets of nat flows. Each quotes the packet that the program itself sent a
 * moment before, as a router or the endpoint would. What must come out is built anew: it
 * quotes the packet as the other end knows it.
 */
TestSuite(nat_icmp, .timeout = 600);

#define ICMP_HEAD 8
#define QUOTE_ALL 0xffff

struct error {
	uint8_t type, code;
	uint32_t rest;  /* of its header, such as the MTU; host order */
	uint16_t quote; /* bytes of the quoted packet; 0 = its IP header and 8 */
};

/* An error about the IP packet at `about`, `length` bytes of it. */
static void build_error(const struct error *error, const char *src, const char *dst, uint8_t ttl,
	uint8_t tags, const struct frame *about, struct frame *ret)
{
	bool ipv6 = strchr(src, ':');
	uint32_t whole = about->length - about->ip;
	uint32_t quote = error->quote ? error->quote : about->l4 - about->ip + 8;
	struct packet outer = { .src = src,
		.dst = dst,
		.proto = ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
		.ttl = ttl,
		.tags = tags };
	uint32_t sum = 0, rest = htonl(error->rest);
	uint8_t *icmp;
	uint16_t check;

	quote = quote < whole ? quote : whole;
	outer.payload = (uint16_t)(ICMP_HEAD + quote);
	packet_build(&outer, ret);
	icmp = ret->bytes + ret->length - outer.payload;
	/* Other protocols have no header of their own in packet.h. */
	cr_assert_eq(icmp - ret->bytes, ret->l4, "ICMP follows IP at once");
	memset(icmp, 0, ICMP_HEAD);
	icmp[0] = error->type;
	icmp[1] = error->code;
	memcpy(icmp + 4, &rest, 4);
	memcpy(icmp + ICMP_HEAD, about->bytes + about->ip, quote);
	if (ipv6) {
		uint32_t words[2] = { htonl(outer.payload), htonl(IPPROTO_ICMPV6) };

		sum = checksum_add(sum, ret->bytes + ret->ip + 8, 32);
		sum = checksum_add(sum, words, sizeof(words));
	}
	check = checksum_end(checksum_add(sum, icmp, outer.payload));
	memcpy(icmp + 2, &check, 2);
}

static void expect_bytes(const char *row, const struct frame *got, const struct frame *wanted)
{
	cr_assert_eq(got->length, wanted->length, "%s: %u bytes, not %u", row, got->length,
		wanted->length);
	for (uint32_t i = 0; i < wanted->length; i++)
		cr_assert_eq(got->bytes[i], wanted->bytes[i],
			"%s: byte %u (IP %d, ICMP %d) is %02x, not %02x", row, i,
			(int)(i - wanted->ip), (int)(i - wanted->l4), got->bytes[i],
			wanted->bytes[i]);
}

static void set_macs(struct frame *frame, const char *dmac, const char *smac)
{
	const struct packet like = {
		.src = CLIENT_A, .dst = VIP_WEB, .dmac = dmac, .smac = smac, .flags = SYN
	};
	struct frame other;

	packet_build(&like, &other);
	memcpy(frame->bytes, other.bytes, 12);
}

/* ------------------------------------------------------------------- to the client */

#define V4  .src = CLIENT_A, .dst = VIP_WEB, .sport = 4242
#define V6  .src = CLIENT_A6, .dst = VIP_WEB6, .sport = 4242
#define WEB .dport = 80, .flags = SYN
#define DNS .dport = 53

static const struct row {
	const char *name;
	struct packet packet; /* of the client, that the error is about */
	struct error error;
	const char *from; /* NULL = the endpoint */
	uint8_t tags;
	bool failed; /* it counts as an opening that failed */
} rows[] = {
	{ "port unreachable", { V4, DNS }, { 3, 3 }, .failed = true },
	{ "port unreachable, tcp", { V4, WEB }, { 3, 3 }, .failed = true },
	{ "host unreachable, of a router", { V4, WEB }, { 3, 1 }, .from = "192.0.2.254",
		.failed = true },
	{ "prohibited", { V4, WEB }, { 3, 13 }, .failed = true },
	{ "too big", { V4, WEB }, { 3, 4, 1280 }, .from = "192.0.2.254" },
	{ "too big, udp", { V4, DNS }, { 3, 4, 1280 } },
	{ "time exceeded", { V4, WEB }, { 11, 0 }, .from = "192.0.2.254" },
	{ "parameter problem", { V4, WEB }, { 12, 0, 0x01000000 } },
	{ "the whole packet", { V4, WEB }, { 3, 1, .quote = QUOTE_ALL }, .failed = true },
	{ "the whole datagram", { V4, DNS }, { 3, 3, .quote = QUOTE_ALL }, .failed = true },
	{ "an odd number of bytes", { V4, DNS }, { 3, 3, .quote = 33 }, .failed = true },
	{ "just before the checksum of tcp", { V4, WEB }, { 3, 1, .quote = 36 }, .failed = true },
	{ "up to the checksum of tcp", { V4, WEB }, { 3, 1, .quote = 38 }, .failed = true },
	{ "without checksum", { V4, DNS, .no_checksum = 1 }, { 3, 3 }, .failed = true },
	{ "ip options in the quote", { V4, WEB, .ip_options = 3 }, { 3, 1, .quote = QUOTE_ALL },
		.failed = true },
	{ "most ip options in the quote", { V4, DNS, .ip_options = 10 }, { 3, 3 }, .failed = true },
	{ "vlan tag", { V4, WEB }, { 3, 1 }, .tags = 1, .failed = true },
	{ "two vlan tags", { V4, WEB }, { 3, 1 }, .tags = 2, .failed = true },
	{ "port unreachable ipv6", { V6, DNS }, { 1, 4 }, .failed = true },
	{ "no route ipv6", { V6, WEB }, { 1, 0 }, .from = "2001:db8:1::fe", .failed = true },
	{ "too big ipv6", { V6, WEB }, { 2, 0, 1280, .quote = QUOTE_ALL },
		.from = "2001:db8:1::fe" },
	{ "time exceeded ipv6", { V6, WEB }, { 3, 0 }, .from = "2001:db8:1::fe" },
	{ "parameter problem ipv6", { V6, WEB }, { 4, 1, 6 } },
	{ "vlan tag ipv6", { V6, DNS }, { 1, 4, .quote = QUOTE_ALL }, .tags = 1, .failed = true },
};

/* Send the client's packet. @param ret  as it went to the endpoint */
static void send_first(const char *row, const struct packet *packet, struct frame *ret)
{
	struct outcome outcome;
	struct frame in;

	edge_nat_reset();
	packet_build(packet, &in);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_SENT, "%s: %s", row, edge_reason_name(outcome.reason));
	*ret = outcome.out;
	ret->ip = in.ip;
	ret->l4 = in.l4;
}

static void run_row(const struct row *row)
{
	bool ipv6 = strchr(row->packet.src, ':');
	const char *endpoint = ipv6 ? ENDPOINT_1_6 : ENDPOINT_1;
	struct packet before = row->packet;
	struct frame sent, about, in, wanted;
	struct fl_answers answers, counted;
	struct outcome outcome;

	send_first(row->name, &row->packet, &sent);
	answers = edge_answers(ipv6 ? 4 : 1);
	build_error(&row->error, row->from ? row->from : endpoint, ipv6 ? NODE6 : NODE, 64,
		row->tags, &sent, &in);
	edge_run_from(EDGE_LO, row->name, &in, &outcome);
	cr_assert_eq(outcome.reason, FL_SENT_ICMP, "%s: %s", row->name,
		edge_reason_name(outcome.reason));

	before.ttl = 63; /* it was forwarded once before it was quoted */
	packet_build(&before, &about);
	build_error(&row->error, row->packet.dst, row->packet.src, 63,
		outcome.action == XDP_TX ? row->tags : 0, &about, &wanted);
	set_macs(&wanted, MAC_ROUTER, MAC_NODE);
	expect_bytes(row->name, &outcome.out, &wanted);

	counted = edge_answers(ipv6 ? 4 : 1);
	cr_expect_eq(counted.refused - answers.refused, row->failed, "%s", row->name);
	edge_run(&in, &outcome);
	cr_expect_eq(outcome.reason, FL_SENT_ICMP, "%s, again", row->name);
	cr_expect_eq(edge_answers(ipv6 ? 4 : 1).refused, counted.refused, "%s: it is counted once",
		row->name);
}

Test(nat_icmp, clients_hear_of_errors_about_their_packets)
{
	edge_open(NULL);
	edge_world();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row(&rows[i]);
	edge_check_sum();
}

/* ----------------------------------------------------------------- to the endpoint */

static void answer_of(const struct packet *packet, const struct frame *sent, struct packet *ret)
{
	bool ipv6 = strchr(packet->src, ':');
	struct tuple tuple;

	frame_tuple(sent, &tuple);
	*ret = (struct packet){ .src = ipv6 ? ENDPOINT_1_6 : ENDPOINT_1,
		.dst = ipv6 ? NODE6 : NODE,
		.sport = 8080,
		.dport = tuple.sport,
		.flags = packet->flags ? SYN | ACK : 0 };
}

Test(nat_icmp, endpoints_hear_of_errors_about_their_answers)
{
	static const struct packet packets[] = { { V4, WEB }, { V4, DNS }, { V6, WEB },
		{ V6, DNS } };

	edge_open(NULL);
	edge_world();
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		bool ipv6 = strchr(packets[i].src, ':');
		const struct error too_big =
			ipv6 ? (struct error){ 2, 0, 1280 } : (struct error){ 3, 4, 1280 };
		struct frame sent, in, about, wanted;
		struct outcome outcome;
		struct packet answer;

		send_first("answer", &packets[i], &sent);
		answer_of(&packets[i], &sent, &answer);
		packet_build(&answer, &in);
		edge_run(&in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT_REPLY, "%s", edge_reason_name(outcome.reason));
		outcome.out.ip = in.ip;
		outcome.out.l4 = in.l4;
		build_error(&too_big, packets[i].src, packets[i].dst, 64, 0, &outcome.out, &in);
		edge_run_from(EDGE_LO, "error about an answer", &in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT_ICMP, "%s", edge_reason_name(outcome.reason));
		answer.ttl = 63;
		packet_build(&answer, &about);
		build_error(&too_big, ipv6 ? NODE6 : NODE, answer.src, 63, 0, &about, &wanted);
		set_macs(&wanted, MAC_ENDPOINT, MAC_EGRESS);
		expect_bytes("to the endpoint", &outcome.out, &wanted);
	}
	edge_check_sum();
}

/* ----------------------------------------------------------------------- hostile ones */

/* Whether the checksum of ICMP is right, whatever was quoted. */
static bool is_sound(const struct frame *frame, bool ipv6)
{
	uint32_t length = frame->length - frame->l4;
	uint32_t words[2] = { htonl(length), htonl(IPPROTO_ICMPV6) }, sum = 0;

	if (ipv6) {
		sum = checksum_add(sum, frame->bytes + frame->ip + 8, 32);
		sum = checksum_add(sum, words, sizeof(words));
	}
	return checksum_end(checksum_add(sum, frame->bytes + frame->l4, length)) == 0;
}

Test(nat_icmp, a_quote_may_end_anywhere)
{
	static const struct packet packets[] = { { V4, WEB }, { V4, DNS }, { V6, WEB },
		{ V6, DNS } };

	edge_open(NULL);
	edge_world();
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		bool ipv6 = strchr(packets[i].src, ':');
		struct frame sent;

		send_first("cut", &packets[i], &sent);
		for (uint16_t quote = 1; quote <= sent.length - sent.ip; quote++) {
			const struct error error = { ipv6 ? 1 : 3, 1, .quote = quote };
			uint32_t least = sent.l4 - sent.ip + 8;
			struct outcome outcome;
			struct frame in;

			build_error(&error, ipv6 ? ENDPOINT_1_6 : ENDPOINT_1, ipv6 ? NODE6 : NODE,
				64, 0, &sent, &in);
			edge_run_from(EDGE_LO, "a quote that is cut", &in, &outcome);
			cr_assert_eq(outcome.reason,
				quote < least ? FL_PASS_PROTOCOL : FL_SENT_ICMP, "%u of %zu: %s",
				quote, i, edge_reason_name(outcome.reason));
			outcome.out.ip = in.ip;
			outcome.out.l4 = in.l4;
			cr_assert(is_sound(&outcome.out, ipv6), "%u bytes of packet %zu", quote, i);
		}
	}
	edge_check_sum();
}

/* Change a byte of an error about a packet that was sent. */
static const struct forgery {
	const char *name;
	bool ipv6;
	int at; /* from the IP header on; quoted bytes begin 28, of IPv6 48 bytes behind it */
	uint8_t value;
	int reason;
} forgeries[] = {
	{ "as it is", false, 0, 0x45, FL_SENT_ICMP },
	{ "an answer to ping", false, 20, 0, FL_PASS_PROTOCOL },
	{ "ping", false, 20, 8, FL_PASS_PROTOCOL },
	{ "redirect", false, 20, 5, FL_PASS_PROTOCOL },
	{ "a fragment", false, 6, 0x20, FL_PASS_PROTOCOL },
	{ "a later fragment", false, 7, 1, FL_PASS_PROTOCOL },
	{ "for another address of ours", false, 19, 2, FL_PASS_PROTOCOL },
	{ "last hop", false, 8, 1, FL_DROP_TTL },
	{ "quotes IPv6", false, 28, 0x65, FL_PASS_PROTOCOL },
	{ "quotes a header that is too short", false, 28, 0x44, FL_PASS_PROTOCOL },
	{ "quotes a header that is longer than the frame", false, 28, 0x4f, FL_PASS_PROTOCOL },
	{ "quotes a later fragment", false, 35, 1, FL_PASS_PROTOCOL },
	{ "quotes ICMP", false, 37, IPPROTO_ICMP, FL_PASS_PROTOCOL },
	{ "quotes another protocol", false, 37, IPPROTO_UDP, FL_PASS_PROTOCOL },
	{ "quotes another source", false, 43, 2, FL_PASS_PROTOCOL },
	{ "quotes another destination", false, 47, 99, FL_PASS_PROTOCOL },
	{ "quotes another port", false, 51, 81, FL_PASS_PROTOCOL },
	{ "as it is, ipv6", true, 0, 0x60, FL_SENT_ICMP },
	{ "a neighbour's advertisement", true, 40, 136, FL_PASS_PROTOCOL },
	{ "ping ipv6", true, 40, 128, FL_PASS_PROTOCOL },
	{ "type 0", true, 40, 0, FL_PASS_PROTOCOL },
	{ "type 5", true, 40, 5, FL_PASS_PROTOCOL },
	{ "last hop ipv6", true, 7, 1, FL_DROP_TTL },
	{ "for another address of ours, ipv6", true, 39, 2, FL_PASS_PROTOCOL },
	{ "an extension header before it", true, 6, IPPROTO_HOPOPTS, FL_PASS_PROTOCOL },
	{ "quotes IPv4", true, 48, 0x45, FL_PASS_PROTOCOL },
	{ "quotes an extension header", true, 54, IPPROTO_HOPOPTS, FL_PASS_PROTOCOL },
	{ "quotes another port, ipv6", true, 91, 81, FL_PASS_PROTOCOL },
};

Test(nat_icmp, what_is_not_about_a_flow_of_ours_is_left_to_the_stack)
{
	const struct packet packet4 = { V4, WEB }, packet6 = { V6, WEB };

	edge_open(NULL);
	edge_world();
	for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
		const struct forgery *row = &forgeries[i];
		const struct error error = { row->ipv6 ? 1 : 3, 1 };
		struct outcome outcome;
		struct frame sent, in;

		send_first(row->name, row->ipv6 ? &packet6 : &packet4, &sent);
		build_error(&error, row->ipv6 ? ENDPOINT_1_6 : ENDPOINT_1, row->ipv6 ? NODE6 : NODE,
			64, 0, &sent, &in);
		in.bytes[in.ip + (uint32_t)row->at] = row->value;
		edge_run(&in, &outcome);
		cr_expect_eq(outcome.reason, row->reason, "%s: %s", row->name,
			edge_reason_name(outcome.reason));
	}
	edge_check_sum();
}

Test(nat_icmp, an_error_changes_nothing_of_a_flow)
{
	const struct error unreachable = { 3, 3 };
	const struct packet packet = { V4, WEB };
	struct frame sent, in;
	struct outcome outcome;
	struct packet answer;

	edge_open(NULL);
	edge_world();
	send_first("flow", &packet, &sent);
	answer_of(&packet, &sent, &answer);
	packet_build(&answer, &in);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_SENT_REPLY);
	for (int i = 0; i < 5; i++) {
		build_error(&unreachable, ENDPOINT_1, NODE, 64, 0, &sent, &in);
		edge_run(&in, &outcome);
		cr_expect_eq(outcome.reason, FL_SENT_ICMP);
	}
	cr_expect_eq(edge_answers(1).refused, 0, "it was answered before");
	cr_expect_eq(edge_answers(1).answered, 1);
	cr_expect_eq(edge_nat_entries(), 2);
	packet_build(&answer, &in);
	edge_run(&in, &outcome);
	cr_expect_eq(outcome.reason, FL_SENT_REPLY, "answers go on");
	edge_check_sum();
}

Test(nat_icmp, datagrams_that_are_answered_count_as_that)
{
	const struct packet packet = { V4, DNS };
	struct frame sent, in;
	struct outcome outcome;
	struct packet answer;

	edge_open(NULL);
	edge_world();
	send_first("datagram", &packet, &sent);
	cr_expect_eq(edge_answers(1).openings, 0, "nobody has to answer a datagram");
	answer_of(&packet, &sent, &answer);
	packet_build(&answer, &in);
	edge_run(&in, &outcome);
	edge_run(&in, &outcome);
	cr_expect_eq(edge_answers(1).answered, 1, "the first answer alone");
	edge_check_sum();
}
