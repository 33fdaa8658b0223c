/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/slot.h"
#include "lib/edge.h"
#include "bpf/xdp_edge.skel.h"

/*
 * `explain` answers what `edge` would do, from the same maps, and leaves no trace.
 */
TestSuite(explain, .timeout = 600);

static const struct row {
	const char *name;
	struct packet packet;
	int reason;
	uint32_t service, frontend, endpoint;
} rows[] = {
	{ "a new flow", { .src = CLIENT_A, .dst = VIP_WEB, .sport = 1, .dport = 80, .flags = SYN },
		FL_SENT, 1, 1, 1 },
	{ "ipv6", { .src = CLIENT_A6, .dst = VIP_WEB6, .sport = 1, .dport = 53 }, FL_SENT, 1, 4,
		4 },
	{ "no flow", { .src = CLIENT_A, .dst = VIP_WEB, .sport = 1, .dport = 80, .flags = ACK },
		FL_DROP_NO_FLOW, 1, 1, 0 },
	{ "another port",
		{ .src = CLIENT_A, .dst = VIP_WEB, .sport = 1, .dport = 81, .flags = SYN },
		FL_PASS_NO_SERVICE, 0, 0, 0 },
	{ "malformed",
		{ .src = CLIENT_A,
			.dst = VIP_WEB,
			.sport = 1,
			.dport = 80,
			.flags = SYN,
			.doff = 4 },
		FL_DROP_MALFORMED, 1, 1, 0 },
	{ "last hop",
		{ .src = CLIENT_A,
			.dst = VIP_WEB,
			.sport = 1,
			.dport = 80,
			.flags = SYN,
			.ttl = 1 },
		FL_DROP_TTL, 1, 1, 0 },
	{ "not ip", { .src = CLIENT_A, .dst = VIP_WEB, .sport = 1, .ethertype = 0x0806 },
		FL_PASS_NOT_IP, 0, 0, 0 },
};

Test(explain, answers)
{
	struct fl_explanation answer;
	struct frame in;
	size_t i;
	int action;

	edge_open(NULL);
	edge_world();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		packet_build(&row->packet, &in);
		edge_explain(&in, &answer, &action);
		cr_expect_eq(answer.reason, row->reason, "%s: %s", row->name,
			edge_reason_name(answer.reason));
		cr_expect_eq(
			answer.service, row->service, "%s: service %u", row->name, answer.service);
		cr_expect_eq(answer.frontend, row->frontend, "%s: frontend %u", row->name,
			answer.frontend);
		cr_expect_eq(answer.endpoint, row->endpoint, "%s: endpoint %u", row->name,
			answer.endpoint);
		cr_expect_eq(answer.pinned, 0, "%s", row->name);
	}
	cr_assert_eq(edge_nat_entries(), 0, "explain opened a flow");
	edge_check_sum(); /* no packet was run: nothing was counted */
	cr_assert_eq(edge_frontend_stats(1).packets, 0);
}

/** The slot that is shown is the one that decides: turn it behind everybody's back. */
Test(explain, slot)
{
	struct packet packet = {
		.src = CLIENT_A, .dst = VIP_WEB, .sport = 77, .dport = 80, .flags = SYN
	};
	struct fl_explanation answer;
	struct outcome outcome;
	struct tuple sent;
	struct frame in;
	int action;

	edge_open(NULL);
	edge_world();
	packet_build(&packet, &in);
	edge_explain(&in, &answer, &action);
	cr_assert_lt(answer.slot, 251);
	cr_assert_eq(answer.slot, fl_hash_slot(answer.hash, 251));
	cr_assert_eq(answer.value, fl_slot_settled(1));
	cr_assert_eq(answer.moving, 0);
	cr_assert_eq(answer.state, FL_UP);
	cr_assert_eq(answer.forward, FL_NAT);
	cr_assert_eq(action, XDP_TX);

	edge_slot(1, FL_IPV4, answer.slot, fl_slot_moving(3, 1, 99));
	edge_explain(&in, &answer, &action);
	cr_assert_eq(answer.value, fl_slot_moving(3, 1, 99));
	cr_assert_eq(answer.moving, 1);
	cr_assert_eq(answer.endpoint, 3);

	edge_slot(1, FL_IPV4, answer.slot, fl_slot_settled(2));
	edge_explain(&in, &answer, &action);
	cr_assert_eq(answer.endpoint, 2);
	edge_run(&in, &outcome);
	frame_tuple(&outcome.out, &sent);
	cr_assert_str_eq(sent.dst, ENDPOINT_2, "edge went elsewhere");

	edge_slot(1, FL_IPV4, answer.slot, fl_slot_settled(1));
	edge_explain(&in, &answer, &action);
	cr_assert_eq(answer.endpoint, 2, "the flow has a connection");
	cr_assert_eq(answer.pinned, 1);
	cr_assert_eq(answer.slot, FL_NO_SLOT);

	edge_state(2, FL_MAINTENANCE);
	packet.flags = ACK;
	packet_build(&packet, &in);
	edge_explain(&in, &answer, &action);
	cr_assert_eq(answer.reason, FL_DROP_NO_ENDPOINT);
	cr_assert_eq(answer.state, FL_MAINTENANCE);
	cr_assert_eq(action, XDP_DROP);
	packet.flags = SYN;
	packet_build(&packet, &in);
	edge_explain(&in, &answer, &action);
	cr_assert_eq(answer.endpoint, 1, "a SYN would go to another one");
	cr_assert_eq(edge_nat_entries(), 2);
}

/** Explaining changes no flow: neither its flags nor its time. */
Test(explain, leaves_no_trace)
{
	struct packet packet = {
		.src = CLIENT_A, .dst = VIP_WEB, .sport = 1, .dport = 80, .flags = SYN
	};
	struct fl_explanation answer;
	struct fl_nat_entry before, after;
	struct fl_flow key;
	struct outcome outcome;
	struct tuple sent;
	struct frame in;
	int action, table;

	edge_open(NULL);
	edge_world();
	packet_build(&packet, &in);
	edge_run(&in, &outcome);
	frame_tuple(&outcome.out, &sent);
	table = edge_nat_table(0);
	cr_assert_eq(bpf_map_get_next_key(table, NULL, &key), 0);
	cr_assert_eq(bpf_map_lookup_elem(table, &key, &before), 0);
	before.seen -= 10;
	cr_assert_eq(bpf_map_update_elem(table, &key, &before, BPF_EXIST), 0);

	packet.flags = FIN | ACK;
	packet_build(&packet, &in);
	edge_explain(&in, &answer, &action);
	cr_assert_eq(answer.reason, FL_SENT);
	packet = (struct packet){ .src = sent.dst,
		.dst = sent.src,
		.sport = sent.dport,
		.dport = sent.sport,
		.flags = RST };
	packet_build(&packet, &in);
	edge_explain(&in, &answer, &action);
	cr_assert_eq(answer.reason, FL_SENT_REPLY);
	cr_assert_eq(answer.endpoint, 1);
	cr_assert_eq(answer.pinned, 1);
	cr_assert_eq(bpf_map_lookup_elem(table, &key, &after), 0);
	cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0, "the flow changed");
	cr_assert_eq(edge_frontend_stats(1).packets, 1);
	cr_assert_eq(edge_frontend_stats(1).reply_packets, 0);
	edge_check_sum();
}

/** A packet with no room for the answer gets none, and nothing is written. */
Test(explain, no_room)
{
	struct packet packet = {
		.src = CLIENT_A, .dst = VIP_WEB, .sport = 1, .dport = 53, .payload = NO_PAYLOAD
	};
	struct frame in, out;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in.bytes, .data_out = out.bytes,
		.data_size_out = sizeof(out.bytes));

	edge_open(NULL);
	edge_world();
	packet_build(&packet, &in);
	cr_assert_lt(in.length, sizeof(struct fl_explanation));
	options.data_size_in = in.length;
	cr_assert_eq(bpf_prog_test_run_opts(bpf_program__fd(edge->progs.explain), &options), 0);
	cr_assert_eq(options.data_size_out, in.length);
	cr_assert_eq(memcmp(in.bytes, out.bytes, in.length), 0);
}
