/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fairlead/latency.h"
#include "lib/netns.h"
#include "lib/node.h"

/* What the programs count of connections, of real sockets in a cgroup of the test's own. */

#define VIP  "10.99.0.1"
#define VIP6 "2001:db8:99::1"
#define E1   "192.0.2.1"
#define E2   "192.0.2.2"
#define E6   "2001:db8::1"
#define PORT 8080

#define WEB "web+calm " VIP ":80/tcp " VIP ":81/udp = " E1 ":8080"

static struct test_node node;

static void setup(void)
{
	test_node_open(&node);
	test_run("ip link set lo up && ip addr add " E1 "/32 dev lo && ip addr add " E2
		 "/32 dev lo && ip -6 addr add " E6 "/128 dev lo nodad");
}

static void teardown(void)
{
	test_node_close(&node);
}

TestSuite(node_watch, .init = setup, .fini = teardown, .timeout = 300);

/* ------------------------------------------------------------------ what sockets do */

static int listen_at(const char *address)
{
	struct sockaddr_storage at;
	socklen_t length = test_node_address(address, PORT, &at);
	int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, length), 0, "%s: %m", address);
	cr_assert_eq(listen(fd, 1024), 0);
	return fd;
}

static int connect_to(int fd, const char *address, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t length = test_node_address(address, port, &to);

	return connect(fd, (struct sockaddr *)&to, length) < 0 ? -errno : 0;
}

static int stream(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int connect_away(int fd)
{
	struct sockaddr nothing = { .sa_family = AF_UNSPEC };

	return connect(fd, &nothing, sizeof(nothing));
}

static void connected_pair(int listener, int pair[2])
{
	pair[0] = stream();
	cr_assert_eq(connect_to(pair[0], VIP, 80), 0, "%m");
	pair[1] = accept(listener, NULL, NULL);
	cr_assert_geq(pair[1], 0);
}

/* With a reset instead of a FIN. */
static void close_hard(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/* ------------------------------------------------------------------- what is known */

static bool has_open(void *context)
{
	return test_node_live(&node, E1)->open == *(uint32_t *)context;
}

/* States change when packets arrive, a little after close(2). */
static void expect_open(uint32_t open)
{
	cr_expect(test_node_wait(has_open, &open), "%u are open, expected %u",
		test_node_live(&node, E1)->open, open);
}

struct counts {
	uint64_t connects, established, given_up, refused, timed_out, unreachable, resets;
};

static void expect_counts(const char *when, const struct counts *expected)
{
	const struct fl_live_row *live = test_node_live(&node, E1);
	const struct counts found = { live->connects, live->established,
		live->faults[FL_FAULT_NONE], live->faults[FL_FAULT_REFUSED],
		live->faults[FL_FAULT_TIMED_OUT], live->faults[FL_FAULT_UNREACHABLE],
		live->resets };
	const char *const names[] = { "connects", "established", "given up", "refused", "timed out",
		"unreachable", "resets" };
	const uint64_t *a = (const uint64_t *)expected, *b = (const uint64_t *)&found;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_expect_eq(
			a[i], b[i], "%s: %s are %lu, expected %lu", when, names[i], b[i], a[i]);
}

#define EXPECT(when, ...) expect_counts(when, &(struct counts){ __VA_ARGS__ })

/* ------------------------------------------------------------------------ streams */

Test(node_watch, a_connection_is_open_until_it_ends)
{
	int listener = listen_at(E1), a[2], b[2];

	test_node_declare(&node, WEB);
	connected_pair(listener, a);
	connected_pair(listener, b);
	EXPECT("two", .connects = 2, .established = 2);
	expect_open(2);
	close(a[0]);
	close(a[1]);
	expect_open(1);
	close(b[1]); /* the other end first */
	close(b[0]);
	expect_open(0);
	EXPECT("closed", .connects = 2, .established = 2);
}

static const struct family_row {
	const char *frontends, *client;
	int family;
} families[] = {
	{ "web+calm [" VIP6 "]:80/tcp = [" E6 "]:8080", VIP6, AF_INET6 },
	{ "web+calm " VIP ":80/tcp = " E1 ":8080", "::ffff:" VIP, AF_INET6 },
};

Test(node_watch, each_family_is_counted)
{
	int listeners[] = { listen_at(E6), listen_at(E1) };

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		int fd = socket(families[i].family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		const char *address = i == 0 ? E6 : E1;

		test_node_declare(&node, families[i].frontends);
		cr_expect_eq(connect_to(fd, families[i].client, 80), 0, "row %zu: %m", i);
		cr_expect_eq(test_node_live(&node, address)->open, 1, "row %zu", i);
		cr_expect_eq(test_node_live(&node, address)->established, 1, "row %zu", i);
		close(fd);
		close(listeners[i]);
	}
}

Test(node_watch, nobody_listens)
{
	int fd = stream();

	test_node_declare(&node, WEB);
	cr_expect_eq(connect_to(fd, VIP, 80), -ECONNREFUSED);
	EXPECT("refused", .connects = 1, .refused = 1);
	expect_open(0);
	close(fd);
	EXPECT("closed", .connects = 1, .refused = 1);
}

/* Two ends of one cable, of which none has the address. */
static void lay_cable(void)
{
	test_run("ip link add near type veth peer name far && ethtool -K near tx off >/dev/null && "
		 "ip link set near up && ip link set far up && ip addr del " E1
		 "/32 dev lo && ip addr add 192.0.2.100/24 dev near");
}

/* What is sent there is lost. */
static void lose_all(void)
{
	lay_cable();
	test_run("ip neigh add " E1 " lladdr 02:00:00:00:00:99 dev near");
}

/* Segments, as the kernel counts them for the whole network namespace. */
static uint64_t sent_again(void)
{
	FILE *file = fopen("/proc/net/snmp", "r");
	unsigned long found = 0;
	char line[512];

	while (fgets(line, sizeof(line), file))
		sscanf(line, "Tcp: %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lu", &found);
	fclose(file);
	cr_assert_gt(found, 0);
	return found;
}

Test(node_watch, nobody_answers)
{
	int fd = stream(), once = 1;

	lose_all();
	test_node_declare(&node, WEB);
	setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &once, sizeof(once));
	cr_expect_eq(connect_to(fd, VIP, 80), -ETIMEDOUT);
	expect_open(0);
	EXPECT("timed out", .connects = 1, .timed_out = 1);
	cr_expect_eq(test_node_live(&node, E1)->retransmits, sent_again());
	close(fd);
}

Test(node_watch, nobody_has_the_address)
{
	int fd = stream();

	lay_cable();
	test_node_declare(&node, WEB);
	cr_expect_eq(connect_to(fd, VIP, 80), -EHOSTUNREACH);
	expect_open(0);
	EXPECT("unreachable", .connects = 1, .unreachable = 1);
	close(fd);
	EXPECT("closed", .connects = 1, .unreachable = 1);
}

/* There is no SYN, so it is seen when the socket connects again, or is released. */
Test(node_watch, there_is_no_way)
{
	int fd = stream(), listener;

	test_run("ip addr del " E1 "/32 dev lo && ip route add unreachable " E1);
	test_node_declare(&node, WEB);
	cr_expect_eq(connect_to(fd, VIP, 80), -EHOSTUNREACH);
	cr_expect_eq(connect_to(fd, VIP, 80), -EHOSTUNREACH);
	EXPECT("the first", .connects = 1, .unreachable = 1);
	close(fd);
	EXPECT("both", .connects = 2, .unreachable = 2);

	fd = stream();
	cr_expect_eq(connect_to(fd, VIP, 80), -EHOSTUNREACH);
	test_run("ip route del unreachable " E1 " && ip addr add " E1 "/32 dev lo");
	listener = listen_at(E1);
	cr_expect_eq(connect_to(fd, VIP, 80), 0);
	EXPECT("a way", .connects = 4, .unreachable = 3, .established = 1);
	expect_open(1);
	close(fd);
	EXPECT("closed", .connects = 4, .unreachable = 3, .established = 1);
	close(listener);
}

Test(node_watch, who_gives_up_is_not_let_down)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	lose_all();
	test_node_declare(&node, WEB);
	cr_expect_eq(connect_to(fd, VIP, 80), -EINPROGRESS);
	EXPECT("begun", .connects = 1);
	expect_open(1);
	close(fd);
	expect_open(0);
	EXPECT("closed", .connects = 1, .given_up = 1);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_expect_eq(connect_to(fd, VIP, 80), -EINPROGRESS);
	cr_expect_eq(connect_away(fd), 0);
	expect_open(0);
	EXPECT("not connected any more", .connects = 2, .given_up = 2);
	close(fd);
	EXPECT("closed", .connects = 2, .given_up = 2);
}

Test(node_watch, resets_are_those_of_the_endpoint)
{
	int listener = listen_at(E1), pair[2];
	char byte;

	test_node_declare(&node, WEB);
	connected_pair(listener, pair);
	close_hard(pair[1]);
	cr_expect_eq(read(pair[0], &byte, 1), -1);
	expect_open(0);
	EXPECT("by the endpoint", .connects = 1, .established = 1, .resets = 1);
	close(pair[0]);

	connected_pair(listener, pair);
	shutdown(pair[1], SHUT_WR);
	cr_expect_eq(read(pair[0], &byte, 1), 0);
	close_hard(pair[1]);
	expect_open(0);
	EXPECT("after its FIN", .connects = 2, .established = 2, .resets = 2);
	close(pair[0]);

	connected_pair(listener, pair);
	close_hard(pair[0]);
	expect_open(0);
	EXPECT("by the client", .connects = 3, .established = 3, .resets = 2);
	close(pair[1]);
}

Test(node_watch, a_socket_connects_again)
{
	int fd = stream(), listener;

	test_node_declare(&node, WEB);
	cr_expect_eq(connect_to(fd, VIP, 80), -ECONNREFUSED);
	listener = listen_at(E1);
	cr_expect_eq(connect_to(fd, VIP, 80), 0);
	EXPECT("refused, then not", .connects = 2, .established = 1, .refused = 1);
	expect_open(1);
	for (uint64_t i = 0; i < 3; i++) {
		cr_expect_eq(connect_away(fd), 0);
		expect_open(0);
		cr_expect_eq(connect_to(fd, VIP, 80), 0);
		EXPECT("again", .connects = 3 + i, .established = 2 + i, .refused = 1);
		expect_open(1);
	}
	/* Now to somebody that we have nothing to do with. */
	cr_expect_eq(connect_away(fd), 0);
	cr_expect_eq(connect_to(fd, E1, PORT), 0);
	expect_open(0);
	close(fd);
	close(listener);
	expect_open(0);
	EXPECT("elsewhere", .connects = 5, .established = 4, .refused = 1);
}

/* Nothing is sent before there is data to go with the SYN. */
Test(node_watch, a_connection_that_was_put_off)
{
	int listener = listen_at(E1), fd = stream(), one = 1;

	/* As a client that has no cookie, and needs none. */
	test_run("echo 5 >/proc/sys/net/ipv4/tcp_fastopen");
	test_node_declare(&node, WEB);
	cr_assert_eq(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)), 0);
	cr_expect_eq(connect_to(fd, VIP, 80), 0);
	close(fd);
	EXPECT("and given up", .connects = 0);
	close(listener);
}

static int hold(void)
{
	pid_t child = fork();

	if (child == 0) {
		pause();
		_exit(0);
	}
	return child;
}

static void end_child(pid_t child)
{
	int status;

	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, &status, 0), child);
}

Test(node_watch, who_inherits_a_connection_keeps_it_open)
{
	int listener = listen_at(E1), pair[2];
	pid_t child;

	test_node_declare(&node, WEB);
	connected_pair(listener, pair);
	child = hold();
	close(pair[0]);
	close(pair[1]);
	expect_open(1);
	end_child(child);
	expect_open(0);
	EXPECT("inherited", .connects = 1, .established = 1);
}

/* In the child: as many connections as that, and never again a word. */
static void connect_and_wait(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (connect_to(stream(), VIP, 80) < 0)
			_exit(1);
	pause();
}

Test(node_watch, who_is_killed_has_no_connections)
{
	int listener = listen_at(E1);
	pid_t child;

	test_node_declare(&node, WEB);
	child = fork();
	if (child == 0)
		connect_and_wait(20);
	expect_open(20);
	end_child(child);
	for (int i = 0; i < 20; i++)
		close(accept(listener, NULL, NULL));
	expect_open(0);
	EXPECT("killed", .connects = 20, .established = 20);
}

Test(node_watch, many_are_counted_one_by_one)
{
	static int pairs[1000][2];
	struct rlimit files = { 4096, 4096 };
	int listener = listen_at(E1);

	test_node_declare(&node, WEB);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (int i = 0; i < 1000; i++)
		connected_pair(listener, pairs[i]);
	expect_open(1000);
	for (int i = 0; i < 1000; i++)
		for (int end = 0; end < 2; end++)
			close(pairs[i][(i + end) % 2]);
	expect_open(0);
	EXPECT("all", .connects = 1000, .established = 1000);
}

/* What the next agent's programs see is what the last one's counted. */
Test(node_watch, counts_outlive_the_programs)
{
	int listener = listen_at(E1), pair[2];

	test_node_declare(&node, WEB);
	connected_pair(listener, pair);
	test_node_restart(&node);
	test_node_declare(&node, WEB);
	expect_open(1);
	close(pair[0]);
	close(pair[1]);
	expect_open(0);
	EXPECT("restarted", .connects = 1, .established = 1);
}

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
	uint32_t endpoint = test_node_endpoint(&node, address);
	struct fl_histograms found;

	cr_assert_eq(
		bpf_map_lookup_elem(node.path.maps.fd[FL_NODE_MAP_histograms], &endpoint, &found),
		0);
	return found;
}

Test(node_watch, times_are_those_of_tcp)
{
	int listener = listen_at(E1), pair[2];
	struct fl_histograms histograms;
	struct tcp_info info;
	socklen_t length = sizeof(info);

	test_node_declare(&node, WEB);
	connected_pair(listener, pair);
	cr_assert_eq(getsockopt(pair[0], IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	cr_expect_eq(test_node_live(&node, E1)->srtt_us, info.tcpi_rtt);
	cr_expect_gt(test_node_live(&node, E1)->connect_us, 0);
	histograms = histograms_of(E1);
	cr_expect_eq(histograms.rtt[fl_latency_bucket(info.tcpi_rtt)], 1);
	cr_expect_eq(histograms.rtt_us, info.tcpi_rtt);
	cr_expect_eq(histograms.connect[fl_latency_bucket((__u32)histograms.connect_us)], 1);
	for (int i = 0; i < 9; i++)
		connected_pair(listener, pair);
	histograms = histograms_of(E1);
	cr_expect_eq(sum_of(histograms.connect), 10);
	cr_expect_eq(sum_of(histograms.rtt), 10);
	close(pair[0]);
	close(pair[1]);
	expect_open(9);
	histograms = histograms_of(E1);
	cr_expect_eq(sum_of(histograms.connect), 10);
	cr_expect_eq(sum_of(histograms.rtt), 11, "once more when it is closed");
}

static bool has_retransmitted(void *context)
{
	(void)context;
	return test_node_live(&node, E1)->retransmits >= 2;
}

Test(node_watch, what_is_sent_again)
{
	int listener = listen_at(E1), pair[2] = { stream() };
	struct sockaddr_storage from;
	socklen_t length = test_node_address(E2, 0, &from);

	test_node_declare(&node, WEB);
	cr_assert_eq(bind(pair[0], (struct sockaddr *)&from, length), 0);
	cr_assert_eq(connect_to(pair[0], VIP, 80), 0);
	pair[1] = accept(listener, NULL, NULL);
	lose_all();
	cr_expect_eq(write(pair[0], "lost", 4), 4);
	cr_expect(test_node_wait(has_retransmitted, NULL));
	close_hard(pair[0]);
	close_hard(pair[1]);
	expect_open(0);
}

/* ----------------------------------------------------------------------- datagrams */

Test(node_watch, connected_datagram_sockets_are_open)
{
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);

	test_node_declare(&node, WEB);
	cr_expect_eq(connect_to(a, VIP, 81), 0);
	cr_expect_eq(connect_to(b, VIP, 81), 0);
	expect_open(2);
	cr_expect_eq(connect_to(a, VIP, 81), 0);
	expect_open(2); /* of the same socket */
	cr_expect_eq(connect_to(a, E2, 9), 0);
	expect_open(1);
	cr_expect_eq(connect_to(a, VIP, 81), 0);
	expect_open(2);
	close(a);
	expect_open(1);
	close(b);
	expect_open(0);
	EXPECT("datagrams", .connects = 0);
}

/* One that says nothing of them is not noticed before it connects again, or ends. */
Test(node_watch, a_datagram_socket_that_is_disconnected)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	test_node_declare(&node, WEB);
	cr_expect_eq(connect_to(fd, VIP, 81), 0);
	cr_expect_eq(connect_away(fd), 0);
	cr_expect_eq(connect_to(fd, VIP, 81), 0);
	expect_open(1);
	cr_expect_eq(connect_away(fd), 0);
	close(fd);
	expect_open(0);
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
	int cgroup = open(node.cgroup, O_RDONLY | O_DIRECTORY);
	int link = bpf_link_create(program, cgroup, BPF_CGROUP_SOCK_OPS, NULL);

	cr_assert_geq(link, 0, "%m");
	close(cgroup);
	close(program);
	return link;
}

Test(node_watch, another_program_takes_the_callbacks)
{
	int listener = listen_at(E1), pair[2], link = attach_rude();

	test_node_declare(&node, WEB);
	connected_pair(listener, pair);
	EXPECT("connected", .connects = 1, .established = 1);
	expect_open(1);
	close(pair[0]);
	close(pair[1]);
	expect_open(0);
	EXPECT("closed", .connects = 1, .established = 1);
	close(link);
}

/* Its first subflow is what connects, and what is counted. */
Test(node_watch, multipath_tcp)
{
	int listener = listen_at(E1), fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP), end;

	cr_assert_geq(fd, 0, "%m");
	test_node_declare(&node, WEB);
	cr_expect_eq(connect_to(fd, VIP, 80), 0);
	end = accept(listener, NULL, NULL);
	expect_open(1);
	close(fd);
	close(end);
	expect_open(0);
	EXPECT("multipath", .connects = 1, .established = 1);
}
