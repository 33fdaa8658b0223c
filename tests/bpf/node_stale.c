/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Walks over sockets, in both ways: those that the node path connected to an endpoint that
 * went are closed, and no others.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "kernel/sock_diag.h"
#include "kernel/sock_walk.h"
#include "kernel/stale.h"
#include "lib/netns.h"
#include "lib/node.h"

#define PORT 8080

static struct test_node node;

static void setup(void)
{
	test_node_open(&node);
	test_node_declare(&node, "web 10.99.0.1:80/tcp 10.99.0.1:80/udp [2001:db8:99::1]:80/tcp "
				 "[2001:db8:99::1]:80/udp = 127.0.0.11:8080 [::1]:8080; "
				 "zoo 10.99.0.2:80/tcp 10.99.0.2:80/udp = 127.0.0.12:8080");
}

static void teardown(void)
{
	test_node_close(&node);
}

TestSuite(node_stale, .init = setup, .fini = teardown, .timeout = 300);

/* ------------------------------------------------------------------------ ends */

/* An endpoint: of TCP it accepts by its queue alone. */
static int serve(const char *address, int type)
{
	struct sockaddr_storage at;
	socklen_t length = test_node_address(address, PORT, &at);
	int fd = socket(at.ss_family, type, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	cr_assert_eq(
		bind(fd, (struct sockaddr *)&at, length), 0, "%s: %s", address, strerror(errno));
	cr_assert(type == SOCK_DGRAM || listen(fd, 16) == 0);
	return fd;
}

static void serve_all(void)
{
	static const char *const addresses[] = { "127.0.0.11", "127.0.0.12", "127.0.0.13", "::1" };

	for (size_t i = 0; i < 4; i++) {
		serve(addresses[i], SOCK_STREAM);
		serve(addresses[i], SOCK_DGRAM);
	}
}

static void connect_to(int fd, const char *address, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t length = test_node_address(address, port, &to);

	cr_assert_eq(
		connect(fd, (struct sockaddr *)&to, length), 0, "%s: %s", address, strerror(errno));
}

static int client(const char *address, uint16_t port, int type)
{
	int fd = socket(strchr(address, ':') ? AF_INET6 : AF_INET, type, 0);

	connect_to(fd, address, port);
	return fd;
}

/* @return its error; 0 = it is as it was */
static int error_of(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	int error = 0;
	socklen_t length = sizeof(error);

	poll(&ready, 1, 0);
	if (!(ready.revents & (POLLERR | POLLHUP)))
		return 0;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	return error ? error : -1;
}

/* ------------------------------------------------------------------------ walks */

static void put_stale(const char *address)
{
	struct fl_stale_row row = { 0 };
	uint32_t id = test_node_endpoint(&node, address);

	row.addr = node.kernel->maps.endpoints[id].addr;
	cr_assert_eq(
		bpf_map_update_elem(node.path.maps.fd[FL_NODE_MAP_stale], &id, &row, BPF_ANY), 0);
}

struct seen {
	unsigned met, closed;
};

static int count(void *context, const struct fl_stale_socket *socket)
{
	struct seen *seen = context;

	seen->met++;
	seen->closed += socket->closed;
	cr_expect_eq(ntohs(socket->remote_port), PORT);
	return 0;
}

/* As on kernels that let nobody visit what sockets remember. */
static bool look_everywhere;

static struct fl_sock_walk open_walk(enum fl_close_way way)
{
	struct fl_sock_walk walk = FL_SOCK_WALK_NONE;
	struct fl_failure failure = { 0 };

	cr_assert_eq(
		fl_sock_walk_open(node.kernel, &node.config, &node.path.maps, way, &failure, &walk),
		0, "%s: %s", fl_close_way_name(way), failure.message);
	if (look_everywhere && walk.find >= 0) {
		close(walk.find);
		walk.find = -1;
	}
	return walk;
}

static struct seen walk_once(enum fl_close_way way)
{
	struct fl_sock_walk walk = open_walk(way);
	struct seen seen = { 0 };
	int r = fl_sock_walk(&walk, count, &seen);

	cr_expect_eq(r, 0, "%s: %s", fl_close_way_name(way), strerror(-r));
	fl_sock_walk_close(&walk);
	return seen;
}

/* Both where the kernel has both. Each is tried twice: the second time everywhere. */
static size_t ways(enum fl_close_way ret[4])
{
	size_t number = 0;

	if (fl_sock_walk_way() == FL_CLOSE_BPF)
		ret[number++] = FL_CLOSE_BPF;
	if (fl_sock_diag_probe() == 0)
		ret[number++] = FL_CLOSE_DIAG;
	cr_assert_gt(number, 0, "this kernel closes sockets in neither way");
	for (size_t i = 0; i < number; i++)
		ret[number + i] = ret[i];
	return number * 2;
}

Test(node_stale, sockets_of_an_endpoint_that_went_and_no_others)
{
	static const struct {
		const char *name, *address;
		int type;
		bool goes;
	} rows[] = {
		{ "TCP", "10.99.0.1", SOCK_STREAM, true },
		{ "UDP", "10.99.0.1", SOCK_DGRAM, true },
		{ "TCP in IPv6", "::ffff:10.99.0.1", SOCK_STREAM, true },
		{ "UDP in IPv6", "::ffff:10.99.0.1", SOCK_DGRAM, true },
		{ "IPv6, another endpoint", "2001:db8:99::1", SOCK_STREAM, false },
		{ "another service", "10.99.0.2", SOCK_STREAM, false },
		{ "another service, UDP", "10.99.0.2", SOCK_DGRAM, false },
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	enum fl_close_way way[4];
	size_t number = ways(way);

	serve_all();
	for (size_t w = 0; w < number; w++) {
		int fds[ROWS], straight = client("127.0.0.11", PORT, SOCK_STREAM);
		const char *name = fl_close_way_name(way[w]);
		struct seen seen;

		look_everywhere = w >= number / 2;
		for (size_t i = 0; i < ROWS; i++)
			fds[i] = client(rows[i].address, 80, rows[i].type);
		put_stale("127.0.0.11");
		seen = walk_once(way[w]);
		cr_expect_eq(seen.met, 4, "%s: %u met", name, seen.met);
		cr_expect_eq(seen.closed, 4, "%s: %u closed", name, seen.closed);
		for (size_t i = 0; i < ROWS; i++) {
			cr_expect_eq(error_of(fds[i]), rows[i].goes ? ECONNABORTED : 0,
				"%s, %s: %s", name, rows[i].name, strerror(error_of(fds[i])));
			close(fds[i]);
		}
		cr_expect_eq(error_of(straight), 0, "connected by itself, not by the node path");
		close(straight);
		cr_expect_eq(walk_once(way[w]).met, 0, "%s: nothing is left", name);
	}
}

Test(node_stale, ipv6)
{
	enum fl_close_way way[4];
	size_t number = ways(way);

	serve_all();
	for (size_t w = 0; w < number; w++) {
		int tcp = client("2001:db8:99::1", 80, SOCK_STREAM);
		int udp = client("2001:db8:99::1", 80, SOCK_DGRAM);

		look_everywhere = w >= number / 2;
		put_stale("::1");
		cr_expect_eq(walk_once(way[w]).closed, 2, "%s", fl_close_way_name(way[w]));
		cr_expect_eq(error_of(tcp), ECONNABORTED);
		cr_expect_eq(error_of(udp), ECONNABORTED);
		close(tcp);
		close(udp);
	}
}

/* The number of the endpoint is remembered, but it has become another's. */
Test(node_stale, a_number_that_is_anothers_by_now)
{
	uint32_t id = test_node_endpoint(&node, "127.0.0.11");
	const struct fl_stale_row row = { .addr.word = { 0, 0, htonl(0xffff), htonl(0x0a000001) } };
	int fd;

	serve_all();
	fd = client("10.99.0.1", 80, SOCK_STREAM);
	bpf_map_update_elem(node.path.maps.fd[FL_NODE_MAP_stale], &id, &row, BPF_ANY);
	cr_expect_eq(walk_once(fl_sock_walk_way()).met, 0);
	cr_expect_eq(error_of(fd), 0);
}

/* A datagram socket may be connected elsewhere at any time. */
Test(node_stale, a_socket_that_has_gone_elsewhere)
{
	int fd;

	serve_all();
	fd = client("10.99.0.1", 80, SOCK_DGRAM);
	connect_to(fd, "127.0.0.13", PORT);
	put_stale("127.0.0.11");
	cr_expect_eq(walk_once(fl_sock_walk_way()).met, 0);
	cr_expect_eq(error_of(fd), 0);
}

Test(node_stale, a_socket_without_connection)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_storage to;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);

	serve_all();
	cr_assert_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, length), 1);
	put_stale("127.0.0.11");
	cr_expect_eq(walk_once(fl_sock_walk_way()).met, 0);
	cr_expect_eq(error_of(fd), 0);
}

/* As in a container: its process has its own network namespace. */
Test(node_stale, another_network_namespace)
{
	enum fl_close_way way[4];
	size_t number = ways(way);

	for (size_t w = 0; w < number; w++) {
		int ready[2], leave[2], fd, status;
		struct seen seen;
		pid_t child;
		char word;

		look_everywhere = w >= number / 2;
		cr_assert(pipe(ready) == 0 && pipe(leave) == 0);
		child = fork();
		if (child == 0) {
			close(leave[1]);
			if (unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0)
				_exit(1);
			serve("127.0.0.11", SOCK_STREAM);
			fd = client("10.99.0.1", 80, SOCK_STREAM);
			if (write(ready[1], "r", 1) != 1 || read(leave[0], &word, 1) != 0)
				_exit(2);
			_exit(error_of(fd) == ECONNABORTED ? 0 : 3);
		}
		cr_assert_eq(read(ready[0], &word, 1), 1);
		put_stale("127.0.0.11");
		seen = walk_once(way[w]);
		cr_expect_eq(seen.closed, 1, "%s", fl_close_way_name(way[w]));
		close(leave[0]);
		close(leave[1]);
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: %d",
			fl_close_way_name(way[w]), WEXITSTATUS(status));
	}
}

Test(node_stale, none_can_be_closed_where_the_kernel_has_no_way)
{
	struct fl_sock_walk walk = FL_SOCK_WALK_NONE;
	struct fl_failure failure = { 0 };

	cr_expect_eq(fl_sock_walk_open(node.kernel, &node.config, &node.path.maps, FL_CLOSE_NOT,
			     &failure, &walk),
		-EOPNOTSUPP);
	cr_expect(strstr(failure.message, "CONFIG_INET_DIAG_DESTROY"), "%s", failure.message);
	cr_expect_eq(walk.tcp, -1);
}
