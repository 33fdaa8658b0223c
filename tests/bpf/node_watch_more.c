/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fairlead/latency.h"
#include "lib/watching.h"

/* What the programs measure, and what they count of datagrams and beside others. */

TestSuite(node_watch_more, .init = watch_setup, .fini = watch_teardown, .timeout = 300);

/* --------------------------------------------------------------------------- times */

static uint64_t sum_of(const uint32_t buckets[FL_LATENCY_BUCKETS])
{
	uint64_t sum = 0;

	for (int i = 0; i < FL_LATENCY_BUCKETS; i++)
		sum += buckets[i];
	return sum;
}

static struct fl_histograms histograms_of(const char *address)
{
	uint32_t endpoint = test_node_endpoint(&watched, address);
	struct fl_histograms found;

	cr_assert_eq(bpf_map_lookup_elem(
			     watched.path.maps.fd[FL_NODE_MAP_histograms], &endpoint, &found),
		0);
	return found;
}

Test(node_watch_more, times_are_those_of_tcp)
{
	int listener = watch_listen(E1), pair[2];
	struct fl_histograms histograms;
	struct tcp_info info;
	socklen_t length = sizeof(info);

	test_node_declare(&watched, WEB);
	watch_pair(listener, pair);
	cr_assert_eq(getsockopt(pair[0], IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	cr_expect_eq(test_node_live(&watched, E1)->srtt_us, info.tcpi_rtt);
	cr_expect_gt(test_node_live(&watched, E1)->connect_us, 0);
	histograms = histograms_of(E1);
	cr_expect_eq(histograms.rtt[fl_latency_bucket(info.tcpi_rtt)], 1);
	cr_expect_eq(histograms.rtt_us, info.tcpi_rtt);
	cr_expect_eq(histograms.connect[fl_latency_bucket((__u32)histograms.connect_us)], 1);
	for (int i = 0; i < 9; i++)
		watch_pair(listener, pair);
	histograms = histograms_of(E1);
	cr_expect_eq(sum_of(histograms.connect), 10);
	cr_expect_eq(sum_of(histograms.rtt), 10);
	close(pair[0]);
	close(pair[1]);
	watch_expect_open(9);
	histograms = histograms_of(E1);
	cr_expect_eq(sum_of(histograms.connect), 10);
	cr_expect_eq(sum_of(histograms.rtt), 11, "once more when it is closed");
}

static bool has_retransmitted(void *context)
{
	(void)context;
	return test_node_live(&watched, E1)->retransmits >= 2;
}

Test(node_watch_more, what_is_sent_again)
{
	int listener = watch_listen(E1), pair[2] = { watch_stream() };
	struct sockaddr_storage from;
	socklen_t length = test_node_address(E2, 0, &from);

	test_node_declare(&watched, WEB);
	cr_assert_eq(bind(pair[0], (struct sockaddr *)&from, length), 0);
	cr_assert_eq(watch_connect(pair[0], VIP, 80), 0);
	pair[1] = accept(listener, NULL, NULL);
	watch_lose_all();
	cr_expect_eq(write(pair[0], "lost", 4), 4);
	cr_expect(test_node_wait(has_retransmitted, NULL));
	watch_reset(pair[0]);
	watch_reset(pair[1]);
	watch_expect_open(0);
}

/* ----------------------------------------------------------------------- datagrams */

Test(node_watch_more, connected_datagram_sockets_are_open)
{
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);

	test_node_declare(&watched, WEB);
	cr_expect_eq(watch_connect(a, VIP, 81), 0);
	cr_expect_eq(watch_connect(b, VIP, 81), 0);
	watch_expect_open(2);
	cr_expect_eq(watch_connect(a, VIP, 81), 0);
	watch_expect_open(2); /* of the same socket */
	cr_expect_eq(watch_connect(a, E2, 9), 0);
	watch_expect_open(1);
	cr_expect_eq(watch_connect(a, VIP, 81), 0);
	watch_expect_open(2);
	close(a);
	watch_expect_open(1);
	close(b);
	watch_expect_open(0);
	EXPECT("datagrams", .connects = 0);
}

/* One that says nothing of them is not noticed before it connects again, or ends. */
Test(node_watch_more, a_datagram_socket_that_is_disconnected)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	test_node_declare(&watched, WEB);
	cr_expect_eq(watch_connect(fd, VIP, 81), 0);
	cr_expect_eq(watch_disconnect(fd), 0);
	cr_expect_eq(watch_connect(fd, VIP, 81), 0);
	watch_expect_open(1);
	cr_expect_eq(watch_disconnect(fd), 0);
	close(fd);
	watch_expect_open(0);
}

/* A program beside ours that wants other callbacks, and forgets those that are wanted. */
static int attach_rude(void)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_1 },
		{ .code = BPF_JMP | BPF_JNE | BPF_K,
			.dst_reg = BPF_REG_2,
			.off = 2,
			.imm = BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K,
			.dst_reg = BPF_REG_2,
			.imm = BPF_SOCK_OPS_RTT_CB_FLAG },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_sock_ops_cb_flags_set },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int program = bpf_prog_load(
		BPF_PROG_TYPE_SOCK_OPS, "rude", "GPL", code, sizeof(code) / sizeof(code[0]), NULL);
	int cgroup = open(watched.cgroup, O_RDONLY | O_DIRECTORY);
	int link = bpf_link_create(program, cgroup, BPF_CGROUP_SOCK_OPS, NULL);

	cr_assert_geq(link, 0, "%m");
	close(cgroup);
	close(program);
	return link;
}

Test(node_watch_more, another_program_takes_the_callbacks)
{
	int listener = watch_listen(E1), pair[2], link = attach_rude();

	test_node_declare(&watched, WEB);
	watch_pair(listener, pair);
	EXPECT("connected", .connects = 1, .established = 1);
	watch_expect_open(1);
	close(pair[0]);
	close(pair[1]);
	watch_expect_open(0);
	EXPECT("closed", .connects = 1, .established = 1);
	close(link);
}

/* Its first subflow is what connects, and what is counted. */
Test(node_watch_more, multipath_tcp)
{
	int listener = watch_listen(E1), fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP), end;

	cr_assert_geq(fd, 0, "%m");
	test_node_declare(&watched, WEB);
	cr_expect_eq(watch_connect(fd, VIP, 80), 0);
	end = accept(listener, NULL, NULL);
	watch_expect_open(1);
	close(fd);
	close(end);
	watch_expect_open(0);
	EXPECT("multipath", .connects = 1, .established = 1);
}
