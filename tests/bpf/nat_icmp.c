/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/edge.h"
#include "lib/icmp.h"
#include "lib/quoting.h"

/*
 * ICMP errors about what nat sent: from the endpoint's side for the client, from the client's
 * side for the endpoint. The quote is what the program itself sent before; what must come out
 * is built anew from descriptions and compared byte for byte.
 */
TestSuite(nat_icmp, .timeout = 600);

#define V4   .src = CLIENT_A, .dst = VIP_WEB, .sport = 4242
#define V6   .src = CLIENT_A6, .dst = VIP_WEB6, .sport = 4242
#define WEB  .dport = 80, .flags = SYN
#define DNS  .dport = 53
#define ALL  0 /* the whole packet is quoted */
#define MORE 0x2000

/* --------------------------------------------------------------- translated */

static const struct row {
	const char *name;
	struct packet packet; /**< of the client */
	uint8_t type, code;
	uint32_t rest;
	uint32_t quoted; /**< bytes of it behind its IP header; ALL */
	struct packet outer;
	bool router; /**< sent by somebody on the way, not by the end of the flow */
} rows[] = {
	{ "port unreachable", { V4, DNS }, 3, 3, 0, ALL, { 0 }, false },
	{ "port unreachable ipv6", { V6, DNS }, 1, 4, 0, ALL, { 0 }, false },
	{ "of tcp", { V4, WEB }, 3, 3, 0, ALL, { 0 }, false },
	{ "of tcp ipv6", { V6, WEB }, 1, 4, 0, ALL, { 0 }, false },
	{ "8 bytes of tcp", { V4, WEB }, 3, 1, 0, 8, { 0 }, true },
	{ "8 bytes of udp", { V4, DNS }, 3, 1, 0, 8, { 0 }, true },
	{ "8 bytes of tcp ipv6", { V6, WEB }, 1, 3, 0, 8, { 0 }, true },
	{ "9 bytes", { V4, WEB }, 3, 1, 0, 9, { 0 }, true },
	{ "half of tcp's checksum", { V4, WEB }, 3, 1, 0, 17, { 0 }, true },
	{ "just tcp's checksum", { V4, WEB }, 3, 1, 0, 18, { 0 }, true },
	{ "half of tcp's checksum ipv6", { V6, WEB }, 1, 1, 0, 17, { 0 }, true },
	{ "just tcp's checksum ipv6", { V6, WEB }, 1, 1, 0, 18, { 0 }, true },
	{ "half of it, and padding", { V4, WEB }, 3, 1, 0, 17, { .padding = 9 }, true },
	{ "an odd length", { V4, DNS }, 3, 1, 0, 21, { 0 }, true },
	{ "fragmentation needed", { V4, WEB, .payload = 1400, .dont_fragment = 1 }, 3, 4, 1280, 528,
		{ 0 }, true },
	{ "packet too big", { V6, WEB, .payload = 1400 }, 2, 0, 1280, 1192, { 0 }, true },
	{ "time exceeded", { V4, WEB }, 11, 0, 0, ALL, { 0 }, true },
	{ "time exceeded ipv6", { V6, WEB }, 3, 0, 0, ALL, { 0 }, true },
	{ "parameter problem", { V4, WEB, .ip_options = 3 }, 12, 0, 20u << 24, ALL, { 0 }, true },
	{ "parameter problem ipv6", { V6, DNS }, 4, 1, 6, ALL, { 0 }, false },
	{ "host prohibited", { V4, DNS }, 3, 10, 0, ALL, { 0 }, true },
	{ "most options in the quote", { V4, DNS, .ip_options = 10 }, 3, 3, 0, 8, { 0 }, false },
	{ "options around it", { V4, DNS }, 3, 3, 0, ALL, { .ip_options = 10 }, false },
	{ "extension headers in the quote", { V6, WEB, .extensions = "hdrd" }, 1, 4, 0, ALL, { 0 },
		false },
	{ "an atomic fragment in the quote", { V6, DNS, .extensions = "f" }, 1, 4, 0, 32, { 0 },
		false },
	{ "tags", { V4, DNS }, 3, 3, 0, ALL, { .tags = 1 }, false },
	{ "two tags ipv6", { V6, DNS }, 1, 4, 0, ALL, { .tags = 2 }, false },
	{ "type of service", { V4, DNS }, 3, 3, 0, ALL, { .tos = 0xc0, .id = 7 }, false },
	{ "udp without checksum", { V4, DNS, .no_checksum = 1 }, 3, 3, 0, ALL, { 0 }, false },
	{ "the last hop but one", { V4, DNS }, 3, 3, 0, ALL, { .ttl = 2 }, false },
	{ "bytes after the packet", { V4, DNS }, 3, 3, 0, 8, { .padding = 7 }, false },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static struct icmp_error error_of(const struct row *row, const struct quoted *about)
{
	struct icmp_error error = {
		.outer = row->outer, .type = row->type, .code = row->code, .rest = row->rest
	};

	error.outer.src = row->router ? about->router : about->receiver;
	error.outer.dst = about->sender;
	quote_bytes(&about->sent, row->quoted, &error.quote, &error.quoted);
	return error;
}

/* What must become of it: addresses of an answer, one hop less, the packet as it was sent. */
static void expect(const char *name, const struct frame *got, const struct icmp_error *error,
	const struct quoted *about)
{
	struct icmp_error wanted = *error;
	struct frame frame, quote;

	wanted.outer.src = about->shown;
	wanted.outer.dst = about->concerned;
	wanted.outer.ttl = (error->outer.ttl ? error->outer.ttl : 64) - 1;
	wanted.outer.dmac = about->dmac;
	wanted.outer.smac = about->smac;
	if (about->is_redirected)
		wanted.outer.tags = 0; /* they belong to the segment it came from */
	packet_build(&about->original, &quote);
	/* Half a checksum is left as it is. */
	if (about->packet.flags && error->quoted == quote.l4 - quote.ip + 17)
		quote.bytes[quote.l4 + 16] = error->quote[error->quoted - 1];
	wanted.quote = quote.bytes + quote.ip;
	icmp_build(&wanted, &frame);
	frame_compare(name, got, &frame);
}

static void run_error(const struct row *row, const struct quoted *about)
{
	struct icmp_error error = error_of(row, about);
	struct outcome outcome;
	struct frame in;

	icmp_build(&error, &in);
	edge_run_from(EDGE_LO, row->name, &in, &outcome);
	cr_assert_eq(outcome.reason, FL_SENT_ICMP, "%s: %s", row->name,
		edge_reason_name(outcome.reason));
	cr_assert_eq(outcome.action, about->is_redirected ? XDP_REDIRECT : XDP_TX, "%s", row->name);
	expect(row->name, &outcome.out, &error, about);
}

Test(nat_icmp, errors)
{
	struct quoted request, answer;
	size_t i;

	edge_open(NULL);
	edge_world();
	for (i = 0; i < ROW_COUNT; i++) {
		edge_nat_reset();
		quote_open(&rows[i].packet, &request);
		run_error(&rows[i], &request);
		quote_answer(&request, &answer);
		run_error(&rows[i], &answer);
		cr_assert_eq(edge_nat_entries(), 2, "%s", rows[i].name);
	}
	edge_check_sum();
}

/* ------------------------------------------------------------------ left alone */

static const struct change {
	const char *name;
	struct packet packet, outer;
	uint8_t type, code;
	uint32_t quoted; /**< behind the IP header; ALL */
	int at; /**< byte of the quote that is changed: 0 = none, behind its IP header if > 99 */
	uint8_t value;
	int reason;
} changes[] = {
	{ "7 bytes", { V4, WEB }, { 0 }, 3, 3, 7, 0, 0, FL_PASS_PROTOCOL },
	{ "7 bytes, and padding", { V4, WEB }, { .padding = 9 }, 3, 3, 7, 0, 0, FL_PASS_PROTOCOL },
	{ "7 bytes ipv6", { V6, DNS }, { 0 }, 1, 4, 7, 0, 0, FL_PASS_PROTOCOL },
	{ "7 bytes behind options", { V4, DNS, .ip_options = 10 }, { 0 }, 3, 3, 7, 0, 0,
		FL_PASS_PROTOCOL },
	{ "extension headers cut short", { V6, DNS, .extensions = "hd" }, { 0 }, 1, 4, 31, 0, 0,
		FL_PASS_PROTOCOL },
	{ "source quench", { V4, WEB }, { 0 }, 4, 0, ALL, 0, 0, FL_PASS_PROTOCOL },
	{ "redirect", { V4, WEB }, { 0 }, 5, 0, ALL, 0, 0, FL_PASS_PROTOCOL },
	{ "echo request", { V4, WEB }, { 0 }, 8, 0, ALL, 0, 0, FL_PASS_PROTOCOL },
	{ "echo reply", { V4, WEB }, { 0 }, 0, 0, ALL, 0, 0, FL_PASS_PROTOCOL },
	{ "type 0 ipv6", { V6, WEB }, { 0 }, 0, 0, ALL, 0, 0, FL_PASS_PROTOCOL },
	{ "type 5 ipv6", { V6, WEB }, { 0 }, 5, 0, ALL, 0, 0, FL_PASS_PROTOCOL },
	{ "echo request ipv6", { V6, WEB }, { 0 }, 128, 0, ALL, 0, 0, FL_PASS_PROTOCOL },
	{ "neighbour advertisement", { V6, WEB }, { 0 }, 136, 0, ALL, 0, 0, FL_PASS_PROTOCOL },
	{ "a quote of an error", { V4, WEB }, { 0 }, 3, 3, ALL, 9, IPPROTO_ICMP, FL_PASS_PROTOCOL },
	{ "a quote of an error ipv6", { V6, WEB }, { 0 }, 1, 4, ALL, 6, IPPROTO_ICMPV6,
		FL_PASS_PROTOCOL },
	{ "a quote of the other protocol", { V4, WEB }, { 0 }, 3, 3, ALL, 9, IPPROTO_UDP,
		FL_PASS_PROTOCOL },
	{ "a quote of ip version 6", { V4, WEB }, { 0 }, 3, 3, ALL, 0x1000, 0x65,
		FL_PASS_PROTOCOL },
	{ "a quote of ip version 4 in ipv6", { V6, WEB }, { 0 }, 1, 4, ALL, 0x1000, 0x45,
		FL_PASS_PROTOCOL },
	{ "a header of 16 bytes", { V4, WEB }, { 0 }, 3, 3, ALL, 0x1000, 0x44, FL_PASS_PROTOCOL },
	{ "a header of 60 bytes", { V4, WEB }, { 0 }, 3, 3, 32, 0x1000, 0x4f, FL_PASS_PROTOCOL },
	{ "a later fragment", { V4, WEB }, { 0 }, 3, 3, ALL, 7, 1, FL_PASS_PROTOCOL },
	{ "another source", { V4, WEB }, { 0 }, 3, 3, ALL, 15, 99, FL_PASS_PROTOCOL },
	{ "another source ipv6", { V6, WEB }, { 0 }, 1, 4, ALL, 20, 99, FL_PASS_PROTOCOL },
	{ "another destination", { V4, WEB }, { 0 }, 3, 3, ALL, 19, 99, FL_PASS_PROTOCOL },
	{ "another source port", { V4, WEB }, { 0 }, 3, 3, ALL, 100, 0xff, FL_PASS_PROTOCOL },
	{ "another destination port", { V4, WEB }, { 0 }, 3, 3, ALL, 102, 1, FL_PASS_PROTOCOL },
	{ "for another address", { V4, WEB }, { .dst = STRANGER }, 3, 3, ALL, 0, 0,
		FL_PASS_PROTOCOL },
	{ "for another address ipv6", { V6, WEB }, { .dst = STRANGER6 }, 1, 4, ALL, 0, 0,
		FL_PASS_PROTOCOL },
	{ "a first fragment", { V4, WEB }, { .fragment = MORE }, 3, 3, ALL, 0, 0,
		FL_PASS_PROTOCOL },
	{ "a last fragment", { V4, WEB }, { .fragment = 5 }, 3, 3, ALL, 0, 0, FL_PASS_PROTOCOL },
	{ "behind extension headers", { V6, WEB }, { .extensions = "d" }, 1, 4, ALL, 0, 0,
		FL_PASS_PROTOCOL },
	{ "longer than its frame", { V4, WEB }, { .padding = 0xffff }, 3, 3, ALL, 0, 0,
		FL_PASS_PROTOCOL },
	{ "the last hop", { V4, WEB }, { .ttl = 1 }, 3, 3, ALL, 0, 0, FL_DROP_TTL },
	{ "the last hop ipv6", { V6, WEB }, { .ttl = 1 }, 1, 4, ALL, 0, 0, FL_DROP_TTL },
	{ "the last hop, for another address", { V4, WEB }, { .dst = STRANGER, .ttl = 1 }, 3, 3,
		ALL, 0, 0, FL_PASS_PROTOCOL },
};
#define CHANGE_COUNT (sizeof(changes) / sizeof(changes[0]))

static void change_quote(const struct change *change, const struct frame *sent, struct frame *ret)
{
	bool ipv6 = sent->bytes[sent->ip] >> 4 == 6;
	uint32_t at = (uint32_t)change->at;

	*ret = *sent;
	if (!at)
		return;
	if (at == 0x1000)
		at = 0; /* the very first byte */
	else if (at > 99)
		at += (ipv6 ? 40 : 20) - 100u;
	ret->bytes[ret->ip + at] = change->value;
}

static void run_change(const struct change *change, const struct quoted *about)
{
	struct icmp_error error = {
		.outer = change->outer, .type = change->type, .code = change->code
	};
	struct outcome outcome;
	struct frame in, quote;
	bool short_frame = change->outer.padding == 0xffff;

	if (!error.outer.dst)
		error.outer.dst = about->sender;
	error.outer.src = about->receiver;
	error.outer.padding = short_frame ? 0 : error.outer.padding;
	change_quote(change, &about->sent, &quote);
	quote_bytes(&quote, change->quoted, &error.quote, &error.quoted);
	icmp_build(&error, &in);
	in.length -= short_frame;
	edge_run_from(EDGE_LO, change->name, &in, &outcome);
	cr_expect_eq(outcome.reason, change->reason, "%s: %s, not %s", change->name,
		edge_reason_name(outcome.reason), edge_reason_name(change->reason));
}

Test(nat_icmp, what_is_not_ours_or_not_sound)
{
	struct quoted request, answer;
	size_t i;

	edge_open(NULL);
	edge_world();
	for (i = 0; i < CHANGE_COUNT; i++) {
		edge_nat_reset();
		quote_open(&changes[i].packet, &request);
		run_change(&changes[i], &request);
		quote_answer(&request, &answer);
		run_change(&changes[i], &answer);
	}
	cr_assert_eq(edge_answers(1).refused + edge_answers(4).refused, 0);
	edge_check_sum();
}

/* Each length of the frame, and of the packet in it. */
static void run_truncated(const struct packet *packet, uint32_t needed)
{
	struct icmp_error error = { .type = strchr(packet->src, ':') ? 1 : 3, .code = 3 };
	struct quoted about;
	struct outcome outcome;
	struct frame in;
	uint32_t whole;

	edge_nat_reset();
	quote_open(packet, &about);
	error.outer.src = about.receiver;
	error.outer.dst = about.sender;
	quote_bytes(&about.sent, ALL, &error.quote, &whole);
	for (error.quoted = 0; error.quoted <= whole; error.quoted++) {
		icmp_build(&error, &in);
		edge_run_from(EDGE_LO, NULL, &in, &outcome);
		cr_assert_eq(outcome.reason,
			error.quoted >= needed ? FL_SENT_ICMP : FL_PASS_PROTOCOL, "%u of %u: %s",
			error.quoted, whole, edge_reason_name(outcome.reason));
	}
	for (in.length--; in.length > in.l4; in.length--) {
		edge_run_from(EDGE_LO, NULL, &in, &outcome);
		cr_assert_eq(outcome.reason, FL_PASS_PROTOCOL, "%u bytes: %s", in.length,
			edge_reason_name(outcome.reason));
	}
}

Test(nat_icmp, truncations)
{
	edge_open(NULL);
	edge_world();
	run_truncated(&(struct packet){ V4, WEB }, 28);
	run_truncated(&(struct packet){ V4, DNS, .ip_options = 4 }, 44);
	run_truncated(&(struct packet){ V6, DNS }, 48);
	run_truncated(&(struct packet){ V6, WEB, .extensions = "df" }, 72);
	edge_check_sum();
}

/* -------------------------------------------------------------------- checksums */

/* A sum that is wrong stays as wrong as it was. */
static void run_wrong_sum(const struct packet *packet, uint16_t wrong, int damage_at)
{
	struct icmp_error error = {
		.type = strchr(packet->src, ':') ? 1 : 3, .code = 3, .break_checksum = wrong
	};
	struct quoted about;
	struct outcome outcome;
	struct frame in, quote;

	edge_nat_reset();
	quote_open(packet, &about);
	error.outer.src = about.receiver;
	error.outer.dst = about.sender;
	quote = about.sent;
	if (damage_at)
		quote.bytes[quote.ip + (uint32_t)damage_at] ^= 0x5a;
	quote_bytes(&quote, ALL, &error.quote, &error.quoted);
	icmp_build(&error, &in);
	edge_run_from(EDGE_LO, "a wrong sum", &in, &outcome);
	cr_assert_eq(outcome.reason, FL_SENT_ICMP, "%s", edge_reason_name(outcome.reason));
	cr_assert_eq(icmp_sum(&in), icmp_sum(&outcome.out), "%x, then %x", icmp_sum(&in),
		icmp_sum(&outcome.out));
	cr_assert_eq(icmp_sum(&outcome.out) == 0xffff, !wrong);
	if (strchr(packet->src, ':'))
		return;
	cr_assert_eq(checksum_add(0, quote.bytes + quote.ip, 20),
		checksum_add(0, outcome.out.bytes + outcome.out.l4 + 8, 20),
		"the quoted IP header's sum");
}

Test(nat_icmp, wrong_sums_stay_wrong)
{
	edge_open(NULL);
	edge_world();
	run_wrong_sum(&(struct packet){ V4, WEB }, 0, 0);
	run_wrong_sum(&(struct packet){ V4, WEB }, 0x0101, 0);
	run_wrong_sum(&(struct packet){ V6, WEB }, 0x8001, 0);
	run_wrong_sum(&(struct packet){ V4, DNS }, 0, 10); /* IP's, in the quote */
	run_wrong_sum(&(struct packet){ V4, DNS }, 0, 26); /* UDP's */
	run_wrong_sum(&(struct packet){ V6, DNS }, 0, 46);
	edge_check_sum();
}
