/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/netns.h"
#include "lib/watching.h"

/* What the programs count of streams: real sockets in a cgroup of the test's own. */

TestSuite(node_watch, .init = watch_setup, .fini = watch_teardown, .timeout = 300);

Test(node_watch, a_connection_is_open_until_it_ends)
{
	int listener = watch_listen(E1), a[2], b[2];

	test_node_declare(&watched, WEB);
	watch_pair(listener, a);
	watch_pair(listener, b);
	EXPECT("two", .connects = 2, .established = 2);
	watch_expect_open(2);
	close(a[0]);
	close(a[1]);
	watch_expect_open(1);
	close(b[1]); /* the other end first */
	close(b[0]);
	watch_expect_open(0);
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
	int listeners[] = { watch_listen(E6), watch_listen(E1) };

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		int fd = socket(families[i].family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		const char *address = i == 0 ? E6 : E1;

		test_node_declare(&watched, families[i].frontends);
		cr_expect_eq(watch_connect(fd, families[i].client, 80), 0, "row %zu: %m", i);
		cr_expect_eq(test_node_live(&watched, address)->open, 1, "row %zu", i);
		cr_expect_eq(test_node_live(&watched, address)->established, 1, "row %zu", i);
		close(fd);
		close(listeners[i]);
	}
}

Test(node_watch, nobody_listens)
{
	int fd = watch_stream();

	test_node_declare(&watched, WEB);
	cr_expect_eq(watch_connect(fd, VIP, 80), -ECONNREFUSED);
	EXPECT("refused", .connects = 1, .refused = 1);
	watch_expect_open(0);
	close(fd);
	EXPECT("closed", .connects = 1, .refused = 1);
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
	int fd = watch_stream(), once = 1;

	watch_lose_all();
	test_node_declare(&watched, WEB);
	setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &once, sizeof(once));
	cr_expect_eq(watch_connect(fd, VIP, 80), -ETIMEDOUT);
	watch_expect_open(0);
	EXPECT("timed out", .connects = 1, .timed_out = 1);
	cr_expect_eq(test_node_live(&watched, E1)->retransmits, sent_again());
	close(fd);
}

Test(node_watch, nobody_has_the_address)
{
	int fd = watch_stream();

	watch_lay_cable();
	test_node_declare(&watched, WEB);
	cr_expect_eq(watch_connect(fd, VIP, 80), -EHOSTUNREACH);
	watch_expect_open(0);
	EXPECT("unreachable", .connects = 1, .unreachable = 1);
	close(fd);
	EXPECT("closed", .connects = 1, .unreachable = 1);
}

/* There is no SYN, so it is seen when the socket connects again, or is released. */
Test(node_watch, there_is_no_way)
{
	int fd = watch_stream(), listener;

	test_run("ip addr del " E1 "/32 dev lo && ip route add unreachable " E1);
	test_node_declare(&watched, WEB);
	cr_expect_eq(watch_connect(fd, VIP, 80), -EHOSTUNREACH);
	cr_expect_eq(watch_connect(fd, VIP, 80), -EHOSTUNREACH);
	EXPECT("the first", .connects = 1, .unreachable = 1);
	close(fd);
	EXPECT("both", .connects = 2, .unreachable = 2);

	fd = watch_stream();
	cr_expect_eq(watch_connect(fd, VIP, 80), -EHOSTUNREACH);
	test_run("ip route del unreachable " E1 " && ip addr add " E1 "/32 dev lo");
	listener = watch_listen(E1);
	cr_expect_eq(watch_connect(fd, VIP, 80), 0);
	EXPECT("a way", .connects = 4, .unreachable = 3, .established = 1);
	watch_expect_open(1);
	close(fd);
	EXPECT("closed", .connects = 4, .unreachable = 3, .established = 1);
	close(listener);
}

Test(node_watch, who_gives_up_is_not_let_down)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	watch_lose_all();
	test_node_declare(&watched, WEB);
	cr_expect_eq(watch_connect(fd, VIP, 80), -EINPROGRESS);
	EXPECT("begun", .connects = 1);
	watch_expect_open(1);
	close(fd);
	watch_expect_open(0);
	EXPECT("closed", .connects = 1, .given_up = 1);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_expect_eq(watch_connect(fd, VIP, 80), -EINPROGRESS);
	cr_expect_eq(watch_disconnect(fd), 0);
	watch_expect_open(0);
	EXPECT("not connected any more", .connects = 2, .given_up = 2);
	close(fd);
	EXPECT("closed", .connects = 2, .given_up = 2);
}

Test(node_watch, resets_are_those_of_the_endpoint)
{
	int listener = watch_listen(E1), pair[2];
	char byte;

	test_node_declare(&watched, WEB);
	watch_pair(listener, pair);
	watch_reset(pair[1]);
	cr_expect_eq(read(pair[0], &byte, 1), -1);
	watch_expect_open(0);
	EXPECT("by the endpoint", .connects = 1, .established = 1, .resets = 1);
	close(pair[0]);

	watch_pair(listener, pair);
	shutdown(pair[1], SHUT_WR);
	cr_expect_eq(read(pair[0], &byte, 1), 0);
	watch_reset(pair[1]);
	watch_expect_open(0);
	EXPECT("after its FIN", .connects = 2, .established = 2, .resets = 2);
	close(pair[0]);

	watch_pair(listener, pair);
	watch_reset(pair[0]);
	watch_expect_open(0);
	EXPECT("by the client", .connects = 3, .established = 3, .resets = 2);
	close(pair[1]);
}

Test(node_watch, a_socket_connects_again)
{
	int fd = watch_stream(), listener;

	test_node_declare(&watched, WEB);
	cr_expect_eq(watch_connect(fd, VIP, 80), -ECONNREFUSED);
	listener = watch_listen(E1);
	cr_expect_eq(watch_connect(fd, VIP, 80), 0);
	EXPECT("refused, then not", .connects = 2, .established = 1, .refused = 1);
	watch_expect_open(1);
	for (uint64_t i = 0; i < 3; i++) {
		cr_expect_eq(watch_disconnect(fd), 0);
		watch_expect_open(0);
		cr_expect_eq(watch_connect(fd, VIP, 80), 0);
		EXPECT("again", .connects = 3 + i, .established = 2 + i, .refused = 1);
		watch_expect_open(1);
	}
	/* Now to somebody that we have nothing to do with. */
	cr_expect_eq(watch_disconnect(fd), 0);
	cr_expect_eq(watch_connect(fd, E1, PORT), 0);
	watch_expect_open(0);
	close(fd);
	close(listener);
	watch_expect_open(0);
	EXPECT("elsewhere", .connects = 5, .established = 4, .refused = 1);
}

/* Nothing is sent before there is data to go with the SYN. */
Test(node_watch, a_connection_that_was_put_off)
{
	int listener = watch_listen(E1), fd = watch_stream(), one = 1;

	/* As a client that has no cookie, and needs none. */
	test_run("echo 5 >/proc/sys/net/ipv4/tcp_fastopen");
	test_node_declare(&watched, WEB);
	cr_assert_eq(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)), 0);
	cr_expect_eq(watch_connect(fd, VIP, 80), 0);
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
	int listener = watch_listen(E1), pair[2];
	pid_t child;

	test_node_declare(&watched, WEB);
	watch_pair(listener, pair);
	child = hold();
	close(pair[0]);
	close(pair[1]);
	watch_expect_open(1);
	end_child(child);
	watch_expect_open(0);
	EXPECT("inherited", .connects = 1, .established = 1);
}

/* In the child: as many connections as that, and never again a word. */
static void connect_and_wait(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (watch_connect(watch_stream(), VIP, 80) < 0)
			_exit(1);
	pause();
}

Test(node_watch, who_is_killed_has_no_connections)
{
	int listener = watch_listen(E1);
	pid_t child;

	test_node_declare(&watched, WEB);
	child = fork();
	if (child == 0)
		connect_and_wait(20);
	watch_expect_open(20);
	end_child(child);
	for (int i = 0; i < 20; i++)
		close(accept(listener, NULL, NULL));
	watch_expect_open(0);
	EXPECT("killed", .connects = 20, .established = 20);
}

Test(node_watch, many_are_counted_one_by_one)
{
	static int pairs[1000][2];
	struct rlimit files = { 4096, 4096 };
	int listener = watch_listen(E1);

	test_node_declare(&watched, WEB);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (int i = 0; i < 1000; i++)
		watch_pair(listener, pairs[i]);
	watch_expect_open(1000);
	for (int i = 0; i < 1000; i++)
		for (int end = 0; end < 2; end++)
			close(pairs[i][(i + end) % 2]);
	watch_expect_open(0);
	EXPECT("all", .connects = 1000, .established = 1000);
}

/* What the next agent's programs see is what the last one's counted. */
Test(node_watch, counts_outlive_the_programs)
{
	int listener = watch_listen(E1), pair[2];

	test_node_declare(&watched, WEB);
	watch_pair(listener, pair);
	test_node_restart(&watched);
	test_node_declare(&watched, WEB);
	watch_expect_open(1);
	close(pair[0]);
	close(pair[1]);
	watch_expect_open(0);
	EXPECT("restarted", .connects = 1, .established = 1);
}
