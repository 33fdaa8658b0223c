/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "lib/edge.h"
#include "lib/icmp.h"
#include "lib/quoting.h"

/*
 * What ICMP errors say about endpoints, and that they do nothing to flows.
 *
 * A story of one flow: S the client opens it (again), s the
 * endpoint answers, r it resets, c it answers another client; X it is unreachable, T a packet is
 * too big, x the client is unreachable for the endpoint. Of UDP, S and s are datagrams. Below
 * each story stands what `answers` says of the endpoint afterwards.
 */
TestSuite(nat_refusals, .timeout = 600);

static const struct story {
	const char *name, *events;
	uint32_t openings, answered, refused, udp_refused;
} tcp_stories[] = {
	{ "unreachable", "SX", 1, 0, 1, 0 },
	{ "said twice", "SXX", 1, 0, 1, 0 },
	{ "opened again and again", "SXSXSX", 1, 0, 1, 0 },
	{ "after an answer", "SsX", 1, 1, 0, 0 },
	{ "too big", "STTT", 1, 0, 0, 0 },
	{ "by the client's side", "Ssx", 1, 1, 0, 0 },
	{ "and reset", "SXr", 1, 0, 1, 0 },
	{ "reset, then unreachable", "SrX", 1, 0, 1, 0 },
	{ "an answer after all", "SXs", 1, 1, 1, 0 },
	{ "the next connection in the same entries", "SrSX", 2, 0, 2, 0 },
	{ "and the next", "SXrSXX", 2, 0, 2, 0 },
}, udp_stories[] = {
	{ "unreachable", "SX", 0, 0, 0, 1 },
	{ "said twice", "SXXSX", 0, 0, 0, 1 },
	{ "after an answer", "SsX", 0, 0, 0, 0 },
	{ "too big", "ST", 0, 0, 0, 0 },
	{ "by the client's side", "Ssx", 0, 0, 0, 0 },
	{ "another client is answered", "SXc", 0, 0, 0, 0 },
	{ "answered first", "cSX", 0, 0, 0, 1 },
};

static const struct family {
	const char *client, *other, *vip;
	uint32_t endpoint;
	uint8_t unreachable, too_big, too_big_code;
} families[] = {
	{ CLIENT_A, CLIENT_B, VIP_WEB, 1, 3, 3, 4 },
	{ CLIENT_A6, CLIENT_B6, VIP_WEB6, 4, 1, 2, 0 },
};

/** An error about a packet. */
static void say(const struct quoted *about, uint8_t type, uint8_t code)
{
	struct icmp_error error = {
		.outer = { .src = about->router, .dst = about->sender }, .type = type, .code = code
	};
	struct outcome outcome;
	struct frame in;

	quote_bytes(&about->sent, 8, &error.quote, &error.quoted);
	icmp_build(&error, &in);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_SENT_ICMP, "%s", edge_reason_name(outcome.reason));
}

static void reset(const struct quoted *request)
{
	struct packet packet = quote_turned(request, RST | ACK);
	struct outcome outcome;
	struct frame in;

	packet_build(&packet, &in);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_SENT_REPLY);
}

static void event(const struct family *f, char what, const struct packet *packet,
	struct quoted *request, struct quoted *answer)
{
	struct packet other = *packet;
	struct quoted one, two;

	switch (what) {
	case 'S':
		quote_open(packet, request);
		break;
	case 's':
		quote_answer(request, answer);
		break;
	case 'r':
		reset(request);
		break;
	case 'c':
		other.src = f->other;
		quote_open(&other, &one);
		quote_answer(&one, &two);
		break;
	case 'X':
		say(request, f->unreachable, 0);
		break;
	case 'T':
		say(request, f->too_big, f->too_big_code);
		break;
	case 'x':
		say(answer, f->unreachable, 0);
		break;
	}
}

static void run_story(const struct family *f, const struct story *story, uint8_t flags)
{
	struct packet packet = { .src = f->client,
		.dst = f->vip,
		.sport = 4242,
		.dport = flags ? 80 : 53,
		.flags = flags };
	struct fl_answers got;
	struct quoted request, answer;
	const char *what;

	edge_nat_reset();
	edge_answers_clear(f->endpoint);
	for (what = story->events; *what; what++)
		event(f, *what, &packet, &request, &answer);
	got = edge_answers(f->endpoint);
	cr_expect(got.openings == story->openings && got.answered == story->answered &&
			  got.refused == story->refused && got.udp_refused == story->udp_refused,
		"%s, %s: %u openings, %u answered, %u refused, %u of UDP", f->client, story->name,
		got.openings, got.answered, got.refused, got.udp_refused);
}

Test(nat_refusals, stories)
{
	size_t i, j;

	edge_open(NULL);
	edge_world();
	for (j = 0; j < 2; j++) {
		for (i = 0; i < sizeof(tcp_stories) / sizeof(tcp_stories[0]); i++)
			run_story(&families[j], &tcp_stories[i], SYN);
		for (i = 0; i < sizeof(udp_stories) / sizeof(udp_stories[0]); i++)
			run_story(&families[j], &udp_stories[i], 0);
	}
	edge_check_sum();
}

/* Which types and codes refuse. */
static void run_codes(const struct family *f, uint8_t type, uint32_t refusals)
{
	struct packet packet = { .src = f->client, .dst = f->vip, .dport = 53 };
	uint32_t refused = 0, code;
	struct quoted request;

	edge_nat_reset();
	for (code = 0; code < 40; code++) {
		packet.sport = (uint16_t)(2000 + code);
		quote_open(&packet, &request);
		say(&request, type, (uint8_t)code);
		refused += code < 32 ? refusals >> code & 1 : refusals == UINT32_MAX;
		cr_assert_eq(edge_answers(f->endpoint).udp_refused, refused, "type %u code %u",
			type, code);
	}
	packet.sport = 1999;
	quote_open(&packet, &request);
	quote_answer(&request, &request);
	cr_assert_eq(edge_answers(f->endpoint).udp_refused, 0);
}

Test(nat_refusals, types_and_codes)
{
	edge_open(NULL);
	edge_world();
	run_codes(&families[0], 3, 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 10 | 1 << 13);
	run_codes(&families[0], 11, 0);
	run_codes(&families[0], 12, 0);
	run_codes(&families[1], 1, UINT32_MAX);
	run_codes(&families[1], 2, 0);
	run_codes(&families[1], 3, 0);
	run_codes(&families[1], 4, 0);
	edge_check_sum();
}

/* ----------------------------------------------------------------------- flows */

/** Both entries, but for what an error may note. */
static void read_flows(struct fl_nat_entry ret[2])
{
	struct fl_flow key, *previous = NULL;
	int table = edge_nat_table(0), count = 0;

	memset(ret, 0, 2 * sizeof(*ret));
	while (!bpf_map_get_next_key(table, previous, &key)) {
		cr_assert_lt(count, 2);
		cr_assert_eq(bpf_map_lookup_elem(table, &key, &ret[count]), 0);
		ret[count++].refused = 0;
		previous = &key;
	}
	close(table);
	cr_assert_eq(count, 2);
}

Test(nat_refusals, no_error_does_anything_to_a_flow)
{
	struct fl_nat_entry before[2], after[2];
	struct quoted request, answer;
	uint8_t flags = SYN;
	size_t i;

	edge_open(NULL);
	edge_world();
	for (i = 0; i < 4; i++, flags = i & 2 ? 0 : SYN) {
		const struct family *f = &families[i & 1];
		struct packet packet = { .src = f->client,
			.dst = f->vip,
			.sport = 4242,
			.dport = flags ? 80 : 53,
			.flags = flags };

		edge_nat_reset();
		quote_open(&packet, &request);
		read_flows(before);
		say(&request, f->unreachable, 0);
		read_flows(after);
		cr_assert_arr_eq(before, after, sizeof(before), "an opening");
		quote_answer(&request, &answer);
		read_flows(before);
		sleep(1); /* `seen` is in seconds: an error that is seen would show */
		say(&request, f->unreachable, 0);
		say(&answer, f->unreachable, 0);
		read_flows(after);
		cr_assert_arr_eq(before, after, sizeof(before), "a flow that is answered");
	}
	edge_check_sum();
}
