/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/edge.h"
#include "bpf/xdp_edge.skel.h"

/*
 * Source ports: every one can be used, none twice, and when all are in use the
 * next flow is dropped and counted.
 */
TestSuite(nat_ports, .timeout = 900);

#define PORT_MIN  10000
#define PORTS     2000
#define ENDPOINTS 3

static const char *const endpoints[ENDPOINTS] = { ENDPOINT_1, ENDPOINT_2, ENDPOINT_3 };

/** Three services, VIP_WEB:80 to :82, each with one endpoint of its own. */
static void world(uint16_t ports, uint32_t sources)
{
	struct fl_edge_conf conf = { .nat_port_min = PORT_MIN,
		.nat_port_max = (uint16_t)(PORT_MIN + ports - 1),
		.hash_seed = 7 };
	uint32_t i;

	conf.nat_sources[FL_IPV4] = sources;
	for (i = 0; i < sources; i++) {
		conf.nat_source[FL_IPV4][i].word[2] = htonl(0xffff);
		conf.nat_source[FL_IPV4][i].word[3] = htonl(0xc0000201 + i); /* NODE, NODE_2, … */
	}
	edge_open(&conf);
	edge_world();
	for (i = 0; i < ENDPOINTS; i++) {
		edge_service(1 + i, FL_NAT);
		edge_table(1 + i, FL_IPV4, 1 + i);
		edge_frontend(VIP_WEB, (uint16_t)(80 + i), IPPROTO_TCP, 1 + i, 10 + i);
		edge_frontend(VIP_WEB, (uint16_t)(80 + i), IPPROTO_UDP, 1 + i, 20 + i);
	}
}

/** The number-th flow to an endpoint, as a frame. */
static void flow_build(uint32_t endpoint, uint32_t number, uint8_t flags, struct frame *ret)
{
	char client[16];
	struct packet packet = { .src = client,
		.dst = VIP_WEB,
		.sport = (uint16_t)(1024 + number % 50000),
		.dport = (uint16_t)(80 + endpoint),
		.flags = flags,
		.payload = NO_PAYLOAD };

	snprintf(client, sizeof(client), "198.51.100.%u", 2 + number % 250);
	packet_build(&packet, ret);
}

/** Which pairs are in use, towards which endpoint. */
static uint8_t owned[ENDPOINTS][16][PORTS];

static void own(uint32_t endpoint, const struct tuple *sent)
{
	uint32_t source = (uint32_t)(atoi(strrchr(sent->src, '.') + 1) - 1);

	cr_assert_str_eq(sent->dst, endpoints[endpoint]);
	cr_assert(sent->sport >= PORT_MIN && sent->sport < PORT_MIN + PORTS, "%u", sent->sport);
	cr_assert_lt(source, 16);
	cr_assert_eq(owned[endpoint][source][sent->sport - PORT_MIN]++, 0,
		"%s:%u towards %s was given out twice", sent->src, sent->sport, sent->dst);
}

/** Order in which flows are opened: what number `i` of `count` is about. */
enum order { ONE_AFTER_THE_OTHER, IN_TURNS, SHUFFLED, ORDERS };

static void order_flows(enum order order, uint32_t flows, uint32_t *ret)
{
	uint32_t i, j, swap, random = 1;

	for (i = 0; i < flows; i++)
		ret[i] = i;
	if (order == ONE_AFTER_THE_OTHER)
		for (i = 0; i < flows; i++)
			ret[i] = i % (flows / ENDPOINTS) * ENDPOINTS + i / (flows / ENDPOINTS);
	if (order != SHUFFLED)
		return;
	for (i = flows - 1; i > 0; i--) {
		random = random * 1664525 + 1013904223;
		j = (random >> 4) % (i + 1);
		swap = ret[i];
		ret[i] = ret[j];
		ret[j] = swap;
	}
}

/** More flows than there are pairs: exactly `pairs` towards each endpoint work. */
static void exhaust(enum order order, uint32_t pairs, uint8_t flags)
{
	const uint32_t each = pairs + pairs / 10, flows = each * ENDPOINTS;
	uint32_t *turn = calloc(flows, sizeof(*turn)), i, sent_count[ENDPOINTS] = { 0 };
	uint8_t proto = flags ? IPPROTO_TCP : IPPROTO_UDP;
	struct outcome outcome;
	struct tuple sent;
	struct frame in;

	memset(owned, 0, sizeof(owned));
	edge_nat_tables(1, (uint32_t[]){ 2 * FL_NAT_FIRST_SIZE });
	order_flows(order, flows, turn);
	for (i = 0; i < flows; i++) {
		uint32_t endpoint = turn[i] % ENDPOINTS;

		flow_build(endpoint, turn[i], flags, &in);
		edge_run(&in, &outcome);
		if (sent_count[endpoint] == pairs) {
			cr_assert_eq(outcome.reason, FL_DROP_NO_PORT, "order %d: %s", order,
				edge_reason_name(outcome.reason));
			continue;
		}
		cr_assert_eq(outcome.reason, FL_SENT, "order %d: flow %u of %u is %s", order,
			sent_count[endpoint] + 1, pairs, edge_reason_name(outcome.reason));
		frame_tuple(&outcome.out, &sent);
		own(endpoint, &sent);
		sent_count[endpoint]++;
	}
	for (i = 0; i < ENDPOINTS; i++) {
		cr_assert_eq(sent_count[i], pairs);
		cr_assert_eq(edge_nat_used(1 + i, proto), pairs);
	}
	cr_assert_eq(edge_nat_entries(), 2 * ENDPOINTS * pairs);
	free(turn);
}

Test(nat_ports, tcp)
{
	enum order order;

	world(PORTS, 0);
	for (order = 0; order < ORDERS; order++)
		exhaust(order, PORTS, SYN);
	edge_check_sum();
}

Test(nat_ports, udp)
{
	world(500, 0);
	exhaust(SHUFFLED, 500, 0);
	edge_check_sum();
}

/** Four sources have four times the pairs; 500 ports are no power of two. */
Test(nat_ports, sources)
{
	world(500, 4);
	exhaust(SHUFFLED, 4 * 500, SYN);
	edge_check_sum();
}

Test(nat_ports, one_port)
{
	world(1, 0);
	exhaust(IN_TURNS, 1, SYN);
	edge_check_sum();
}

/** Each answer reaches the client whose flow owns the port. */
Test(nat_ports, answers)
{
	struct frame in, back;
	struct outcome outcome;
	struct tuple sent, answered;
	uint32_t i;

	world(300, 0);
	for (i = 0; i < 300; i++) {
		struct packet answer = { .sport = 8080, .flags = SYN | ACK };

		flow_build(i % ENDPOINTS, i, SYN, &in);
		edge_run(&in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT);
		frame_tuple(&outcome.out, &sent);
		answer.src = sent.dst;
		answer.dst = sent.src;
		answer.dport = sent.sport;
		packet_build(&answer, &back);
		edge_run(&back, &outcome);
		cr_assert(outcome.reason == FL_SENT_REPLY || outcome.reason == FL_PASS_NEIGHBOUR);
		frame_tuple(&outcome.out, &answered);
		frame_tuple(&in, &sent);
		cr_assert_str_eq(answered.dst, sent.src);
		cr_assert_eq(answered.dport, sent.sport);
		cr_assert_eq(answered.sport, sent.dport);
	}
	edge_check_sum();
}

/** A table that is full: counted, and nothing is left behind. */
Test(nat_ports, table_full)
{
	struct outcome outcome;
	struct frame in;
	uint32_t i, full = 0;

	world(PORTS, 0);
	edge_nat_tables(1, (uint32_t[]){ 101 }); /* odd: a reply entry without room for its twin */
	for (i = 0; i < 80; i++) {
		flow_build(0, i, SYN, &in);
		edge_run(&in, &outcome);
		full += outcome.reason == FL_DROP_TABLE_FULL;
		cr_assert(outcome.reason == FL_SENT || outcome.reason == FL_DROP_TABLE_FULL, "%s",
			edge_reason_name(outcome.reason));
	}
	cr_assert_eq(full, 30);
	cr_assert_eq(edge_nat_entries(), 100);
	cr_assert_eq(edge_nat_used(1, IPPROTO_TCP), 50);
	edge_check_sum();
}

/** A port that a flow in an older table owns is not given out by the newest. */
Test(nat_ports, generations)
{
	struct outcome outcome;
	struct tuple sent;
	struct frame in;
	int old, first, second;
	uint32_t i, zero = 0, one = 1;

	world(100, 0);
	memset(owned, 0, sizeof(owned));
	for (i = 0; i < 60; i++) {
		flow_build(0, i, SYN, &in);
		edge_run(&in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT);
		frame_tuple(&outcome.out, &sent);
		own(0, &sent);
	}
	/* Grow: the table moves to position 1, a new one takes its place. */
	old = edge_nat_table(0);
	cr_assert_eq(bpf_map_update_elem(bpf_map__fd(edge->maps.fl_nat), &one, &old, 0), 0);
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	first = bpf_map_create(BPF_MAP_TYPE_HASH, "newest", sizeof(struct fl_flow),
		sizeof(struct fl_nat_entry), 1000, &options);
	cr_assert_eq(bpf_map_update_elem(bpf_map__fd(edge->maps.fl_nat), &zero, &first, 0), 0);
	for (; i < 100; i++) {
		flow_build(0, i, SYN, &in);
		edge_run(&in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT, "flow %u: %s", i,
			edge_reason_name(outcome.reason));
		frame_tuple(&outcome.out, &sent);
		own(0, &sent);
	}
	flow_build(0, i, SYN, &in);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, FL_DROP_NO_PORT);
	/* Flows in the older table go on, with the ports they had. */
	for (i = 0; i < 60; i++) {
		flow_build(0, i, ACK, &in);
		edge_run(&in, &outcome);
		cr_assert_eq(outcome.reason, FL_SENT, "old flow %u: %s", i,
			edge_reason_name(outcome.reason));
	}
	second = edge_nat_table(1);
	cr_assert_geq(second, 0);
	close(old);
	close(first);
	close(second);
	edge_check_sum();
}

/* Two CPUs open the same flows at once. */
#define RACES 400

static void *open_all(void *context)
{
	struct tuple *sent = context;
	struct frame in, out;
	uint32_t i;

	for (i = 0; i < RACES; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in.bytes, .data_out = out.bytes,
			.data_size_out = sizeof(out.bytes));

		flow_build(0, i, 0, &in);
		options.data_size_in = in.length;
		if (bpf_prog_test_run_opts(bpf_program__fd(edge->progs.edge), &options) ||
			options.retval != XDP_TX)
			continue;
		out.ip = in.ip;
		out.l4 = in.l4;
		frame_tuple(&out, &sent[i]);
	}
	return NULL;
}

Test(nat_ports, races)
{
	static struct tuple sent[2][RACES];
	pthread_t threads[2];
	uint32_t i;

	world(RACES + 1, 0);
	for (i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, open_all, sent[i]), 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	memset(owned, 0, sizeof(owned));
	for (i = 0; i < RACES; i++) {
		cr_assert(sent[0][i].sport && sent[1][i].sport, "flow %u was not sent", i);
		cr_assert_eq(sent[0][i].sport, sent[1][i].sport, "flow %u left with two ports", i);
		own(0, &sent[0][i]);
	}
	cr_assert_eq(edge_nat_used(1, IPPROTO_UDP), RACES);
	cr_assert_eq(edge_nat_entries(), 2 * RACES);
}
