/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "kernel/node_agent.h"
#include "kernel/reader.h"
#include "lib/netns.h"
#include "lib/node.h"

/*
 * Connections to frontends that are left alone. The frontend's address is on this machine,
 * too, and something else listens there: who answers tells what happened.
 */

static struct test_node node;

static void setup(void)
{
	test_node_open(&node);
	test_run(
		"ip link set lo up && ip addr add 192.0.2.1/32 dev lo && "
		"ip addr add 10.99.0.1/32 dev lo && ip -6 addr add 2001:db8::1/128 dev lo nodad && "
		"ip -6 addr add 2001:db8:99::1/128 dev lo nodad && "
		"ip link add fl0 type veth peer name fl1 && ip link set fl0 up");
	/* The kernel makes the routes to IPv6 addresses of its own a moment later. */
	test_run(
		"for i in $(seq 200); do ip -6 route get 2001:db8::1 >/dev/null 2>&1 && "
		"ip -6 route get 2001:db8:99::1 >/dev/null 2>&1 && exit; sleep 0.05; done; exit 1");
}

static void teardown(void)
{
	test_node_close(&node);
}

TestSuite(node_exempt, .init = setup, .fini = teardown, .timeout = 300);

static uint64_t decided(enum fl_reason reason)
{
	uint64_t counts[FL_REASON_COUNT];

	cr_assert_eq(fl_read_reasons(&node.kernel->maps, FL_PATH_NODE, counts), 0);
	return counts[reason];
}

static void introduce(void)
{
	struct fl_failure failure = { 0 };

	cr_assert_eq(fl_node_agent_enter(node.path.maps.node, &failure), 0, "%s", failure.message);
}

/* ---------------------------------------------------------------------- sockets */

/* Who may be reached: what really has the frontend's address, and the endpoint. */
enum reached { NOBODY, REAL, ENDPOINT };

struct listener {
	const char *address;
	uint16_t port;
};

/* A socket that others may share the address with. */
static int bound_socket(const char *address, uint16_t port, int type)
{
	struct sockaddr_storage at;
	socklen_t length = test_node_address(address, port, &at);
	int fd = socket(at.ss_family, type, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	cr_assert_eq(
		bind(fd, (struct sockaddr *)&at, length), 0, "%s: %s", address, strerror(errno));
	return fd;
}

static int listen_at(const struct listener *at, int type)
{
	int fd = bound_socket(at->address, at->port, type);

	cr_assert(type == SOCK_DGRAM || listen(fd, 8) == 0);
	return fd;
}

/* Which of two got something: a connection or a datagram. Takes it away. */
static enum reached see_who(const int listeners[2], int type)
{
	struct pollfd polled[2] = { { listeners[0], POLLIN, 0 }, { listeners[1], POLLIN, 0 } };
	char said[8];

	if (poll(polled, 2, TEST_DEADLINE_MS) <= 0)
		return NOBODY;
	for (int i = 0; i < 2; i++) {
		if (!(polled[i].revents & POLLIN))
			continue;
		if (type == SOCK_STREAM)
			close(accept(listeners[i], NULL, NULL));
		else
			recv(listeners[i], said, sizeof(said), 0);
		return i == 0 ? REAL : ENDPOINT;
	}
	return NOBODY;
}

/* One call, and who gets it. */
struct call {
	const char *frontend; /* as the client names it */
	uint16_t port;
	struct listener real, endpoint;
	int type;
	const char *source; /* NULL = not bound */
	uint16_t source_port;
	const char *device;  /* NULL = not bound to one */
	const char *pktinfo; /* source of the message alone; NULL = the socket's */
};

static int client_of(const struct call *call)
{
	struct sockaddr_storage to;
	int fd;

	test_node_address(call->frontend, call->port, &to);
	fd = call->source ? bound_socket(call->source, call->source_port, call->type)
			  : socket(to.ss_family, call->type, 0);
	if (call->device)
		cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, call->device,
				     (socklen_t)strlen(call->device)),
			0, "%s", strerror(errno));
	return fd;
}

/* A datagram that says where it comes from (ip(7)). */
static ssize_t send_from(
	int fd, const char *source, const struct sockaddr_storage *to, socklen_t length)
{
	struct in_pktinfo info = { 0 };
	union {
		char bytes[CMSG_SPACE(sizeof(info))];
		struct cmsghdr header;
	} control = { .header = { CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO } };
	struct iovec part = { (void *)"hello", 5 };
	struct msghdr message = { .msg_name = (void *)to,
		.msg_namelen = length,
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };

	inet_pton(AF_INET, source, &info.ipi_spec_dst);
	memcpy(CMSG_DATA(&control.header), &info, sizeof(info));
	return sendmsg(fd, &message, 0);
}

static bool carry_out(const struct call *call, int fd)
{
	struct sockaddr_storage to;
	socklen_t length = test_node_address(call->frontend, call->port, &to);

	if (call->type == SOCK_STREAM)
		return connect(fd, (struct sockaddr *)&to, length) == 0;
	if (call->pktinfo)
		return send_from(fd, call->pktinfo, &to, length) == 5;
	return sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, length) == 5;
}

static enum reached make_call(const struct call *call)
{
	int listeners[2] = { listen_at(&call->real, call->type),
		listen_at(&call->endpoint, call->type) };
	int fd = client_of(call);
	enum reached who = carry_out(call, fd) ? see_who(listeners, call->type) : NOBODY;

	close(fd);
	close(listeners[0]);
	close(listeners[1]);
	return who;
}

/* -------------------------------------------------------------------- the agent */

static const struct call plain = { "10.99.0.1", 80, { "10.99.0.1", 80 }, { "192.0.2.1", 8080 },
	SOCK_STREAM };
static const struct call plain_datagram = { "10.99.0.1", 80, { "10.99.0.1", 80 },
	{ "192.0.2.1", 8080 }, SOCK_DGRAM };

static void *call_in_thread(void *ret)
{
	*(enum reached *)ret = make_call(&plain);
	return NULL;
}

/* @param again  the child's child does it */
static enum reached call_in_child(bool again)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(again ? call_in_child(false) : make_call(&plain));
	cr_assert_eq(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

Test(node_exempt, the_agent_meets_what_is_really_there)
{
	enum reached in_thread = NOBODY;
	pthread_t thread;

	test_node_declare(&node, "web 10.99.0.1:80/tcp 10.99.0.1:80/udp = 192.0.2.1:8080");
	cr_expect_eq(make_call(&plain), ENDPOINT, "not introduced yet");
	introduce();
	cr_expect_eq(make_call(&plain), REAL);
	cr_expect_eq(make_call(&plain_datagram), REAL);
	cr_assert_eq(pthread_create(&thread, NULL, call_in_thread, &in_thread), 0);
	pthread_join(thread, NULL);
	cr_expect_eq(in_thread, REAL, "a thread of it");
	cr_expect_eq(decided(FL_PASS_EXEMPT), 3);

	cr_expect_eq(call_in_child(false), REAL, "a command that it started");
	cr_expect_eq(call_in_child(true), ENDPOINT, "what that started is another's");
	cr_expect_eq(decided(FL_PASS_EXEMPT), 4);
	fl_node_agent_leave(node.path.maps.node);
	cr_expect_eq(make_call(&plain), ENDPOINT, "it said that it goes");
	cr_expect_eq(call_in_child(false), ENDPOINT);
	cr_expect_eq(decided(FL_PASS_EXEMPT), 4);
}

/* After kill -9 nobody says that the number is free. */
Test(node_exempt, who_has_the_number_after_the_agent_is_not_taken_for_it)
{
	test_node_declare(&node, "web 10.99.0.1:80/tcp = 192.0.2.1:8080");
	introduce();
	prctl(PR_SET_NAME, "fairlead");
	cr_expect_eq(make_call(&plain), ENDPOINT);
	cr_expect_eq(call_in_child(false), ENDPOINT, "nor is what it starts");
	prctl(PR_SET_NAME, "fairleadd2");
	cr_expect_eq(make_call(&plain), ENDPOINT);
	prctl(PR_SET_NAME, FL_AGENT_COMM);
	cr_expect_eq(make_call(&plain), REAL);
}

/* --------------------------------------------------------------------- loopback */

static const struct call loopbacks[] = {
	{ "127.0.0.5", 80, { "127.0.0.5", 80 }, { "127.0.0.1", 8080 }, SOCK_STREAM },
	{ "127.0.0.5", 80, { "127.0.0.5", 80 }, { "127.0.0.1", 8080 }, SOCK_DGRAM },
	{ "::ffff:127.0.0.5", 80, { "127.0.0.5", 80 }, { "127.0.0.1", 8080 }, SOCK_STREAM },
	{ "::1", 80, { "::1", 80 }, { "::1", 8080 }, SOCK_STREAM },
	{ "::1", 80, { "::1", 80 }, { "::1", 8080 }, SOCK_DGRAM },
};
#define LOOPBACKS (sizeof(loopbacks) / sizeof(loopbacks[0]))

/* @return who all of them reached; NOBODY when they differ */
static enum reached call_all_loopbacks(void)
{
	enum reached who = make_call(&loopbacks[0]);

	for (size_t i = 1; i < LOOPBACKS; i++)
		if (make_call(&loopbacks[i]) != who)
			return NOBODY;
	return who;
}

/* As a container does that shares the tree of cgroups and nothing of the network. */
static enum reached call_elsewhere(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (unshare(CLONE_NEWNET) < 0 || test_try("ip link set lo up") != 0)
			_exit(99);
		_exit(call_all_loopbacks());
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

Test(node_exempt, loopback_frontends_belong_to_the_network_namespace_of_the_agent)
{
	uint64_t others;

	test_node_declare(&node, "web 127.0.0.5:80/tcp 127.0.0.5:80/udp = 127.0.0.1:8080; "
				 "web6 [::1]:80/tcp [::1]:80/udp = [::1]:8080");
	introduce();
	fl_node_agent_leave(node.path.maps.node);
	cr_expect_eq(call_all_loopbacks(), ENDPOINT);
	others = decided(FL_PASS_NO_SERVICE);
	cr_expect_eq(call_elsewhere(), REAL, "there it is another's");
	cr_expect_eq(decided(FL_PASS_NO_SERVICE), others + LOOPBACKS);

	node.path.maps.node->netns = 0;
	cr_expect_eq(call_elsewhere(), ENDPOINT, "nobody said whose they are");
}

/* ---------------------------------------------------------------- bound sockets */

#define WEB  "10.99.0.1", 80, { "10.99.0.1", 80 }, { "192.0.2.1", 8080 }
#define NEAR "10.99.0.1", 81, { "10.99.0.1", 81 }, { "127.0.0.1", 8081 }
#define WEB6 "2001:db8:99::1", 80, { "2001:db8:99::1", 80 }, { "2001:db8::1", 8080 }

static const struct source_row {
	const char name[48];
	struct call call;
	enum reached expected;
} sources[] = {
	{ "on loopback, endpoint is not", { WEB, SOCK_STREAM, "127.0.0.1" }, REAL },
	{ "the same of a datagram", { WEB, SOCK_DGRAM, "127.0.0.1" }, REAL },
	{ "the same of one message only", { WEB, SOCK_DGRAM, .pktinfo = "127.0.0.1" }, REAL },
	{ "the same of IPv6", { WEB6, SOCK_STREAM, "::1" }, REAL },
	{ "the same of a datagram of IPv6", { WEB6, SOCK_DGRAM, "::1" }, REAL },
	{ "the same of IPv4 in IPv6",
		{ "::ffff:10.99.0.1", 80, { "10.99.0.1", 80 }, { "192.0.2.1", 8080 }, SOCK_STREAM,
			"::ffff:127.0.0.1" },
		REAL },
	{ "on loopback, endpoint is, too", { NEAR, SOCK_STREAM, "127.0.0.1" }, ENDPOINT },
	{ "the same of a datagram of its own", { NEAR, SOCK_DGRAM, "127.0.0.1" }, ENDPOINT },
	{ "an address that reaches it", { WEB, SOCK_STREAM, "192.0.2.1" }, ENDPOINT },
	{ "a port only", { WEB, SOCK_STREAM, "0.0.0.0", 4711 }, ENDPOINT },
	{ "the endpoint's port only", { WEB, SOCK_DGRAM, "192.0.2.1", 4712 }, ENDPOINT },
	{ "the endpoint's own address and port", { WEB, SOCK_STREAM, "192.0.2.1", 8080 }, REAL },
	{ "the same of IPv6", { WEB6, SOCK_STREAM, "2001:db8::1", 8080 }, REAL },
	{ "the same port, and so address", { NEAR, SOCK_STREAM, "0.0.0.0", 8081 }, REAL },
	{ "the device of loopback", { WEB, SOCK_STREAM, .device = "lo" }, REAL },
	{ "the same, endpoint is there, too", { NEAR, SOCK_STREAM, .device = "lo" }, ENDPOINT },
};

Test(node_exempt, a_source_that_reaches_no_endpoint_is_left_alone)
{
	test_node_declare(&node, "web 10.99.0.1:80/tcp 10.99.0.1:80/udp = 192.0.2.1:8080; "
				 "near 10.99.0.1:81/tcp 10.99.0.1:81/udp = 127.0.0.1:8081; "
				 "web6 [2001:db8:99::1]:80/tcp [2001:db8:99::1]:80/udp = "
				 "[2001:db8::1]:8080");
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		const struct source_row *row = &sources[i];
		uint64_t before = decided(FL_PASS_SOURCE);

		cr_expect_eq(make_call(&row->call), row->expected, "%s", row->name);
		cr_expect_eq(
			decided(FL_PASS_SOURCE), before + (row->expected == REAL), "%s", row->name);
	}
}

/* An endpoint on loopback is that of the agent's network namespace, not a container's own. */
Test(node_exempt, an_endpoint_on_loopback_is_out_of_reach_elsewhere)
{
	const struct call call = { NEAR, SOCK_STREAM };
	uint64_t before;
	pid_t container;
	int status;

	test_node_declare(&node, "near 10.99.0.1:81/tcp = 127.0.0.1:8081");
	introduce();
	fl_node_agent_leave(node.path.maps.node);
	cr_expect_eq(make_call(&call), ENDPOINT);
	before = decided(FL_PASS_SOURCE);
	container = fork();
	if (container == 0) {
		if (unshare(CLONE_NEWNET) < 0 ||
			test_try("ip link set lo up && ip addr add 10.99.0.1/32 dev lo") != 0)
			_exit(99);
		_exit(make_call(&call));
	}
	cr_assert_eq(waitpid(container, &status, 0), container);
	cr_expect_eq(WEXITSTATUS(status), REAL, "%d", WEXITSTATUS(status));
	cr_expect_eq(decided(FL_PASS_SOURCE), before + 1);
}

/* Nothing can be sent from a device to loopback. */
Test(node_exempt, a_socket_of_another_device_stays_off_loopback)
{
	const struct call call = { NEAR, SOCK_DGRAM, .device = "fl0" };
	struct sockaddr_storage to;
	socklen_t length = test_node_address(call.frontend, call.port, &to);
	int fd = client_of(&call);

	test_node_declare(&node, "near 10.99.0.1:81/udp = 127.0.0.1:8081");
	connect(fd, (struct sockaddr *)&to, length);
	close(fd);
	cr_expect_eq(decided(FL_PASS_SOURCE), 1);
	cr_expect_eq(decided(FL_SENT), 0);
}

/* A conversation that a socket has begun is no reason to send what cannot arrive. */
Test(node_exempt, each_datagram_has_its_own_source)
{
	const struct call call = { WEB, SOCK_DGRAM };
	int listeners[2] = { listen_at(&call.real, SOCK_DGRAM),
		listen_at(&call.endpoint, SOCK_DGRAM) };
	struct sockaddr_storage to;
	socklen_t length = test_node_address(call.frontend, call.port, &to);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	test_node_declare(&node, "web 10.99.0.1:80/udp = 192.0.2.1:8080");
	cr_expect_eq(send_from(fd, "192.0.2.1", &to, length), 5);
	cr_expect_eq(see_who(listeners, SOCK_DGRAM), ENDPOINT);
	cr_expect_eq(send_from(fd, "127.0.0.1", &to, length), 5);
	cr_expect_eq(see_who(listeners, SOCK_DGRAM), REAL);
	cr_expect_eq(send_from(fd, "192.0.2.1", &to, length), 5);
	cr_expect_eq(see_who(listeners, SOCK_DGRAM), ENDPOINT);
}

/* ----------------------------------------------------------------- the client is one */

/* A process that serves and calls its own service gets itself, on whatever ports. */
static void call_oneself(const char *frontend, uint16_t port, const char *own, uint16_t own_port)
{
	int server = listen_at(&(struct listener){ own, own_port }, SOCK_STREAM), accepted;
	struct sockaddr_storage to, seen = { 0 };
	socklen_t length = test_node_address(frontend, port, &to), seen_length = sizeof(seen);
	int fd = socket(to.ss_family, SOCK_STREAM, 0);
	char said[8] = "";

	cr_assert_eq(connect(fd, (struct sockaddr *)&to, length), 0, "%s", strerror(errno));
	accepted = accept(server, NULL, NULL);
	cr_assert_geq(accepted, 0);
	cr_expect_eq(send(fd, "hello", 5, 0), 5);
	cr_expect_eq(recv(accepted, said, sizeof(said), 0), 5);
	cr_expect_eq(getpeername(fd, (struct sockaddr *)&seen, &seen_length), 0);
	cr_expect_eq(memcmp(&seen, &to, length), 0, "it sees the frontend");
	close(fd);
	close(accepted);
	close(server);
}

Test(node_exempt, an_endpoint_may_call_its_own_service)
{
	test_node_declare(&node, "web 10.99.0.1:80/tcp = 192.0.2.1:8080; "
				 "same 10.99.0.1:8082/tcp = 192.0.2.1:8082; "
				 "web6 [2001:db8:99::1]:80/tcp = [2001:db8::1]:80");
	call_oneself("10.99.0.1", 80, "192.0.2.1", 8080);
	call_oneself("10.99.0.1", 8082, "192.0.2.1", 8082);
	call_oneself("2001:db8:99::1", 80, "2001:db8::1", 80);
	cr_expect_eq(decided(FL_SENT), 3);
}
