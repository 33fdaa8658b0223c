/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>

#include "lib/edge.h"
#include "bpf/xdp_edge.skel.h"

/*
 * Rows of `frontends` are remembered by the CPUs that found them, until the agent
 * says that the map has changed. Whose a packet is can be seen by who counts it.
 */
TestSuite(memo, .timeout = 600);

static const struct packet_to {
	const char *name;
	struct packet packet;
	uint8_t proto;
	uint32_t frontend; /* of edge_world */
} rows[] = {
	{ "ipv4", { .src = CLIENT_A, .dst = VIP_WEB, .sport = 1, .dport = 80, .flags = SYN },
		IPPROTO_TCP, 1 },
	{ "ipv6", { .src = CLIENT_A6, .dst = VIP_WEB6, .sport = 1, .dport = 80, .flags = SYN },
		IPPROTO_TCP, 3 },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Write the row behind the agent's back: no epoch changes. */
static void write_quietly(const struct packet_to *row, uint32_t frontend)
{
	edge_frontend(row->packet.dst, row->packet.dport, row->proto, 1, frontend);
	edge_frontends_epoch(-2u);
}

/* Which of two frontends counts the next packet. */
static uint32_t counted_by(const struct packet_to *row, uint32_t one, uint32_t other)
{
	uint64_t before = edge_frontend_stats(one).packets,
		 others = edge_frontend_stats(other).packets;
	struct outcome outcome;
	struct frame in;

	packet_build(&row->packet, &in);
	edge_run(&in, &outcome);
	cr_assert_eq(
		outcome.reason, FL_SENT, "%s: %s", row->name, edge_reason_name(outcome.reason));
	if (edge_frontend_stats(one).packets == before + 1)
		return one;
	cr_assert_eq(edge_frontend_stats(other).packets, others + 1, "%s", row->name);
	return other;
}

Test(memo, lasts_until_the_epoch_changes)
{
	edge_open(NULL);
	edge_world();
	for (size_t i = 0; i < ROWS; i++) {
		const struct packet_to *row = &rows[i];
		uint32_t was = row->frontend, is = row->frontend + 10;

		cr_expect_eq(counted_by(row, was, is), was, "%s", row->name);
		write_quietly(row, is);
		cr_expect_eq(counted_by(row, was, is), was, "%s is remembered", row->name);
		edge_frontends_epoch(2);
		cr_expect_eq(counted_by(row, was, is), is, "%s: told of the change", row->name);
		edge_frontends_epoch(-2u);
		cr_expect_eq(counted_by(row, was, is), is, "%s: one memo for each", row->name);
	}
	edge_check_sum();
}

Test(memo, nothing_is_kept_while_a_row_changes)
{
	edge_open(NULL);
	edge_world();
	edge_frontends_epoch(1);
	for (size_t i = 0; i < ROWS; i++) {
		const struct packet_to *row = &rows[i];
		uint32_t was = row->frontend, is = row->frontend + 10;

		cr_expect_eq(counted_by(row, was, is), was, "%s", row->name);
		write_quietly(row, is);
		cr_expect_eq(counted_by(row, was, is), is, "%s was looked up again", row->name);
	}
	edge_check_sum();
}

Test(memo, explain_keeps_nothing)
{
	const struct packet_to *row = &rows[0];
	struct fl_explanation answer;
	struct frame in;
	int action;

	edge_open(NULL);
	edge_world();
	packet_build(&row->packet, &in);
	edge_explain(&in, &answer, &action);
	cr_expect_eq(answer.frontend, 1);
	write_quietly(row, 11);
	cr_expect_eq(counted_by(row, 1, 11), 11);
	edge_explain(&in, &answer, &action);
	cr_expect_eq(answer.frontend, 11);
}

/* Two frontends of one place in the memos push each other out, and stay right. */
Test(memo, frontends_that_share_a_place)
{
	edge_open(NULL);
	edge_world();
	for (uint16_t port = 1000; port < 2000; port++)
		edge_frontend(VIP_WEB, port, IPPROTO_TCP, 1, 10 + port % 47);
	for (int round = 0; round < 2; round++)
		for (uint16_t port = 1000; port < 2000; port++) {
			struct packet_to row = rows[0];

			row.packet.dport = port;
			cr_assert_eq(counted_by(&row, 10 + port % 47, 1), 10 + port % 47);
		}
	edge_check_sum();
}

/* What the next packet met; or FL_SENT, when it went to `endpoint`. */
static enum fl_reason sent_to(const struct packet_to *row, uint32_t endpoint)
{
	uint64_t before = edge_endpoint_stats(endpoint).packets;
	struct outcome outcome;
	struct frame in;

	packet_build(&row->packet, &in);
	edge_run(&in, &outcome);
	if (outcome.reason == FL_SENT)
		cr_assert_eq(edge_endpoint_stats(endpoint).packets, before + 1, "%s", row->name);
	return outcome.reason;
}

/* The memo of a frontend knows where its service's slots are: no longer than they are. */
Test(memo, slots_that_lie_elsewhere)
{
	edge_open(NULL);
	edge_world();
	edge_service(1, FL_IPIP);
	for (size_t i = 0; i < ROWS; i++) {
		enum fl_family family = i == 0 ? FL_IPV4 : FL_IPV6;
		uint32_t first = family == FL_IPV4 ? 1 : 4;

		cr_expect_eq(sent_to(&rows[i], first), FL_SENT);
		cr_expect_eq(sent_to(&rows[i], first), FL_SENT);
		edge_table_elsewhere(1, family, first + 1);
		cr_expect_eq(sent_to(&rows[i], first + 1), FL_SENT);
		edge_table(1, family, first + 2);
		cr_expect_eq(sent_to(&rows[i], first + 2), FL_SENT);
		edge_table_elsewhere(1, family, 0);
		cr_expect_eq(sent_to(&rows[i], first), FL_DROP_NO_TABLE);
		edge_table(1, family, first);
		cr_expect_eq(sent_to(&rows[i], first), FL_SENT);
	}
	edge_check_sum();
}
