/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <string.h>

#include "fairlead/abi.h"
/* after abi.h, whose structs it has */
#include "bpf/tc_probe.skel.h"
#include "bpf/xdp_edge.skel.h"
#include "lib/edge.h"

/*
 * What a marked packet of the agent becomes on its way out by `lo`: the same packet in the tunnel
 * to the endpoint whose number is in the mark. What has another mark stays as it is.
 */
TestSuite(probe_tunnel, .timeout = 600);

#define HERE4 .src = NODE, .dst = VIP_WEB, .sport = 40000
#define HERE6 .src = NODE6, .dst = VIP_WEB6, .sport = 40000
#define LO    .dmac = "\0\0\0\0\0\0", .smac = "\0\0\0\0\0\0"

static struct tc_probe *probe;

static void open_world(void)
{
	struct bpf_map *map;

	edge_open(NULL);
	edge_world();
	probe = tc_probe__open();
	cr_assert_not_null(probe);
	bpf_object__for_each_map(map, probe->obj)
	{
		struct bpf_map *other = bpf_object__find_map_by_name(edge->obj, bpf_map__name(map));

		if (other)
			cr_assert_eq(bpf_map__reuse_fd(map, bpf_map__fd(other)), 0);
	}
	cr_assert_eq(tc_probe__load(probe), 0, "load: %m");
}

/* @return the verdict, TC_ACT_* */
static int run(const struct frame *in, uint32_t mark, struct frame *out)
{
	struct __sk_buff context = { .mark = mark, .protocol = 0 };
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in->bytes, .data_size_in = in->length,
		.data_out = out->bytes, .data_size_out = sizeof(out->bytes), .ctx_in = &context,
		.ctx_size_in = sizeof(context));

	cr_assert_eq(bpf_prog_test_run_opts(bpf_program__fd(probe->progs.probe), &options), 0,
		"test run: %m");
	out->length = options.data_size_out;
	return (int)options.retval;
}

static void put_address(uint8_t *at, const char *text)
{
	cr_assert_eq(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, at), 1);
}

/* By hand, as RFC 2003, 2473 and 4213 have it. */
static void expect_wrapped(const struct packet *packet, const struct frame *in,
	const struct frame *out, const char *src, const char *dst)
{
	bool outer6 = strchr(dst, ':'), inner6 = strchr(packet->src, ':');
	uint32_t head = outer6 ? 40 : 20, length = in->length - in->ip;
	uint8_t wanted[54] = { 0 }, *ip = wanted + 14;

	memcpy(wanted, MAC_ENDPOINT, 6);
	memcpy(wanted + 6, MAC_EGRESS, 6);
	wanted[12] = outer6 ? 0x86 : 0x08;
	wanted[13] = outer6 ? 0xdd : 0x00;
	if (outer6) {
		ip[0] = (uint8_t)(0x60 | packet->tos >> 4);
		ip[1] = (uint8_t)(packet->tos << 4);
		ip[4] = (uint8_t)(length >> 8);
		ip[5] = (uint8_t)length;
		ip[6] = inner6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
		ip[7] = 64;
		put_address(ip + 8, src);
		put_address(ip + 24, dst);
	} else {
		uint16_t check;

		ip[0] = 0x45;
		ip[1] = packet->tos;
		ip[2] = (uint8_t)((length + 20) >> 8);
		ip[3] = (uint8_t)(length + 20);
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = inner6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
		put_address(ip + 12, src);
		put_address(ip + 16, dst);
		check = checksum_end(checksum_add(0, ip, 20));
		memcpy(ip + 10, &check, 2);
	}
	cr_assert_eq(out->length, 14 + head + length);
	for (uint32_t i = 0; i < 14 + head; i++)
		cr_assert_eq(out->bytes[i], wanted[i], "byte %u is %02x, not %02x", i,
			out->bytes[i], wanted[i]);
	cr_assert_arr_eq(out->bytes + 14 + head, in->bytes + in->ip, length);
}

Test(probe_tunnel, marked_packets_go_to_the_endpoint_that_is_meant)
{
	static const struct {
		struct packet packet;
		uint32_t endpoint;
		const char *src, *dst; /* of the tunnel */
	} rows[] = {
		{ { HERE4, LO, .dport = 80, .flags = SYN }, 1, NODE, ENDPOINT_1 },
		{ { HERE4, LO, .dport = 80, .flags = SYN }, 3, NODE, ENDPOINT_3 },
		{ { HERE4, LO, .dport = 80, .flags = ACK, .payload = 1000, .tos = 0xb9 }, 2, NODE,
			ENDPOINT_2 },
		{ { HERE4, LO, .dport = 53 }, 1, NODE, ENDPOINT_1 },
		{ { HERE6, LO, .dport = 80, .flags = SYN }, 4, NODE6, ENDPOINT_1_6 },
		{ { HERE6, LO, .dport = 53, .tos = 0xb9 }, 5, NODE6, ENDPOINT_2_6 },
		{ { HERE6, LO, .dport = 80, .flags = SYN, .tos = 0x3 }, 1, NODE, ENDPOINT_1 },
		{ { HERE4, LO, .dport = 80, .flags = SYN, .tos = 0x3 }, 4, NODE6, ENDPOINT_1_6 },
	};

	open_world();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct frame in, out;

		packet_build(&rows[i].packet, &in);
		cr_assert_eq(run(&in, FL_PROBE_MARK | rows[i].endpoint, &out), TC_ACT_REDIRECT,
			"row %zu", i);
		expect_wrapped(&rows[i].packet, &in, &out, rows[i].src, rows[i].dst);
	}
	tc_probe__destroy(probe);
}

Test(probe_tunnel, other_packets_are_none_of_its_business)
{
	static const struct {
		uint32_t mark;
		int verdict;
	} rows[] = {
		{ 0, TC_ACT_OK }, { 1, TC_ACT_OK }, { FL_PROBE_MARK >> 1, TC_ACT_OK },
		{ 0xfb000001, TC_ACT_OK },
		{ FL_PROBE_MARK, TC_ACT_SHOT },            /* no endpoint has number 0 */
		{ FL_PROBE_MARK | 200, TC_ACT_SHOT },      /* none has that */
		{ FL_PROBE_MARK | 0xffffff, TC_ACT_SHOT }, /* nor can have */
	};
	const struct packet packet = { HERE4, LO, .dport = 80, .flags = SYN };
	struct frame in, out;

	open_world();
	packet_build(&packet, &in);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(run(&in, rows[i].mark, &out), rows[i].verdict, "%08x", rows[i].mark);
		cr_expect_eq(out.length, in.length, "%08x", rows[i].mark);
		cr_expect_arr_eq(out.bytes, in.bytes, in.length);
	}
	edge_nexthop(1, EDGE_LO, NODE, 1500, FL_NEXTHOP_LOCAL);
	cr_expect_eq(run(&in, FL_PROBE_MARK | 1, &out), TC_ACT_OK, "this node is the endpoint");
	cr_expect_eq(out.length, in.length);
	tc_probe__destroy(probe);
}
