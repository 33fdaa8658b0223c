/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "fairlead/eject.h"
#include "fairlead/node.h"
#include "kernel/node_events.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/node.h"

/* Endpoints that connects fail to are left out, by real connects. Time passes by writing
 * into the row what is true later. */

#define VIP    "10.99.0.1"
#define PORT   8080
#define SECOND 1000000000ull
#define ALL    "192.0.2.1:8080 192.0.2.2:8080 192.0.2.3:8080 192.0.2.4:8080"
#define E(n)   ("192.0.2." #n)

static struct test_node node;
static struct ring_buffer *events;
static struct fl_node_event told[64];
static size_t told_count;

static int on_event(void *context, void *data, size_t size)
{
	(void)context;
	cr_assert_eq(size, sizeof(struct fl_node_event));
	if (told_count < sizeof(told) / sizeof(told[0]))
		told[told_count++] = *(struct fl_node_event *)data;
	return 0;
}

static void setup(void)
{
	test_node_open(&node);
	for (int i = 1; i <= 8; i++)
		test_run("ip addr add 192.0.2.%d/32 dev lo", i);
	events = ring_buffer__new(node.path.maps.fd[FL_NODE_MAP_events], on_event, NULL, NULL);
	cr_assert_not_null(events);
}

static void teardown(void)
{
	ring_buffer__free(events);
	test_node_close(&node);
}

TestSuite(node_eject, .init = setup, .fini = teardown, .timeout = 300);

/* --------------------------------------------------------------------- the world */

struct settings {
	enum fl_balance balance;
	uint16_t max_fails, fail_timeout_s;
	uint8_t max_ejected, panic;
};
#define USUAL { FL_RANDOM, 3, 10, 50, 0 }

static void declare(const char *endpoints, struct settings settings)
{
	struct fl_service *service = test_service("web", VIP ":80/tcp", endpoints);

	service->balance = settings.balance;
	service->max_fails = settings.max_fails;
	service->fail_timeout_s = settings.fail_timeout_s;
	service->max_ejected_percent = settings.max_ejected;
	service->panic_percent = settings.panic;
	test_node_apply(&node,
		test_snapshot(node.in_force ? node.in_force->generation + 1 : 1, &service, 1));
}

static int listen_at(const char *address)
{
	struct sockaddr_storage at;
	socklen_t length = test_node_address(address, PORT, &at);
	int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, length), 0, "%s: %m", address);
	cr_assert_eq(listen(fd, 4096), 0);
	return fd;
}

/* @return 0, -errno */
static int connect_once(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct linger linger = { .l_onoff = 1 };
	struct sockaddr_storage to;
	socklen_t length = test_node_address(VIP, 80, &to);
	int r = connect(fd, (struct sockaddr *)&to, length) < 0 ? -errno : 0;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
	return r;
}

/* @return how many were refused */
static unsigned connect_often(unsigned count)
{
	unsigned refused = 0;

	for (unsigned i = 0; i < count; i++) {
		int r = connect_once();

		cr_assert(r == 0 || r == -ECONNREFUSED, "%s", strerror(-r));
		refused += r < 0;
	}
	return refused;
}

static struct fl_live_row *live(const char *address)
{
	return &node.path.maps.live[test_node_endpoint(&node, address)];
}

/* Whether it is left out; not, by the way, whether its time is over. */
static bool is_ejected(const char *address)
{
	return live(address)->ejected != 0;
}

static void end_ejection(const char *address)
{
	live(address)->ejected = fl_clock_mono_ns() - 1;
}

/* ------------------------------------------------------------------ what was told */

static const struct fl_node_event *event(size_t i)
{
	ring_buffer__consume(events);
	cr_assert_lt(i, told_count, "%zu events, expected more", told_count);
	return &told[i];
}

static size_t count_events(enum fl_node_event_kind kind)
{
	size_t count = 0;

	ring_buffer__consume(events);
	for (size_t i = 0; i < told_count; i++)
		count += told[i].kind == kind;
	return count;
}

static void expect_ejected(size_t i, const char *address, uint32_t fails, uint32_t seconds)
{
	const struct fl_node_event *e = event(i);

	cr_expect_eq(e->kind, FL_EVENT_EJECTED, "event %zu", i);
	cr_expect_eq(e->endpoint, test_node_endpoint(&node, address), "event %zu", i);
	cr_expect_eq(e->service, node.in_force->services[0]->id, "event %zu", i);
	cr_expect_eq(e->fails, fails, "event %zu: %u fails", i, e->fails);
	cr_expect_eq(e->fault, FL_FAULT_REFUSED, "event %zu", i);
	cr_expect_eq(
		e->until - e->at, seconds * SECOND, "event %zu: for %llu ns", i, e->until - e->at);
	cr_expect_eq(live(address)->ejected, e->until, "event %zu", i);
}

/* ------------------------------------------------------------------------- stories */

/* Who looks at load hardly asks again after the first failure. */
static const struct settings of_balance[FL_BALANCES] = {
	[FL_MAGLEV] = { FL_MAGLEV, 3, 10, 50, 0 },
	[FL_RANDOM] = { FL_RANDOM, 3, 10, 50, 0 },
	[FL_ROUND_ROBIN] = { FL_ROUND_ROBIN, 3, 10, 50, 0 },
	[FL_LEAST_CONNECTIONS] = { FL_LEAST_CONNECTIONS, 1, 10, 50, 0 },
	[FL_P2C] = { FL_P2C, 1, 10, 50, 0 },
};

Test(node_eject, max_fails_are_enough_whatever_chooses)
{
	static const char *const others[] = { E(2), E(3), E(4) };

	for (size_t i = 0; i < 3; i++)
		listen_at(others[i]);
	for (int balance = 0; balance < FL_BALANCES; balance++) {
		uint32_t fails = of_balance[balance].max_fails;
		unsigned refused;

		declare(ALL, of_balance[balance]);
		memset(live(E(1)), 0, sizeof(*live(E(1))));
		told_count = 0;
		for (refused = 0; !is_ejected(E(1)); refused += connect_often(1))
			cr_assert_leq(refused, fails, "balance %d", balance);
		cr_expect_eq(refused, fails, "balance %d: %u", balance, refused);
		expect_ejected(0, E(1), fails, 10);
		cr_expect_eq(connect_often(300), 0, "balance %d", balance);
		cr_expect_eq(live(E(1))->connects, fails, "balance %d", balance);
		cr_expect_eq(live(E(1))->ejected_times, 1, "balance %d", balance);
		ring_buffer__consume(events);
		cr_expect_eq(told_count, 1, "balance %d: %zu events", balance, told_count);
	}
}

/* All must fail within fail_timeout. */
Test(node_eject, failures_are_forgotten)
{
	declare("192.0.2.1:8080", (struct settings)USUAL);
	cr_expect_eq(connect_often(2), 2);
	cr_expect_eq(live(E(1))->fails, 2);
	live(E(1))->window -= 11 * SECOND;
	cr_expect_eq(connect_often(2), 2);
	cr_expect_eq(live(E(1))->fails, 2, "it begins again: %u", live(E(1))->fails);
	cr_expect_not(is_ejected(E(1)));
	cr_expect_eq(connect_often(1), 1);
	cr_expect(is_ejected(E(1)));
}

/* Unlike Envoy's count of failures in a row: what fails every other time is no good. */
Test(node_eject, success_in_between_does_not_make_up_for_failures)
{
	int fd;

	declare("192.0.2.1:8080", (struct settings)USUAL);
	cr_expect_eq(connect_often(2), 2);
	fd = listen_at(E(1));
	cr_expect_eq(connect_often(5), 0);
	close(fd);
	cr_expect_not(is_ejected(E(1)));
	cr_expect_eq(connect_often(1), 1);
	cr_expect(is_ejected(E(1)));
}

Test(node_eject, one_connection_tries_and_each_failure_makes_it_longer)
{
	declare("192.0.2.1:8080 192.0.2.2:8080", (struct settings)USUAL);
	listen_at(E(2));
	while (!is_ejected(E(1)))
		connect_often(1);
	expect_ejected(0, E(1), 3, 10);
	for (uint32_t i = 2; i <= 4; i++) {
		end_ejection(E(1));
		cr_expect_eq(connect_often(50), 1, "one tries");
		expect_ejected(i - 1, E(1), 2 + i, 10 * i);
		cr_expect_eq(live(E(1))->trial, 0);
	}
	live(E(1))->ejections = 200;
	end_ejection(E(1));
	cr_expect_eq(connect_often(50), 1);
	expect_ejected(4, E(1), 7, FL_EJECT_MAX_S);
	cr_expect_eq(live(E(1))->ejected_times, 5);
}

Test(node_eject, it_comes_back)
{
	uint64_t until;

	declare("192.0.2.1:8080 192.0.2.2:8080", (struct settings)USUAL);
	listen_at(E(2));
	while (!is_ejected(E(1)))
		connect_often(1);
	listen_at(E(1));
	until = live(E(1))->ejected;
	cr_expect_eq(connect_often(50), 0);
	cr_expect_eq(live(E(1))->ejected, until, "it is not asked before its time");
	end_ejection(E(1));
	cr_expect_eq(connect_often(50), 0);
	cr_expect_not(is_ejected(E(1)));
	cr_expect_eq(event(1)->kind, FL_EVENT_RETURNED);
	cr_expect_eq(event(1)->endpoint, test_node_endpoint(&node, E(1)));
	cr_expect_eq(told_count, 2, "%zu events", told_count);
	cr_expect_eq(live(E(1))->fails, 0);
	cr_expect_gt(live(E(1))->established, 5, "it has its share again");
}

static void eject(const char *address)
{
	while (!is_ejected(address))
		connect_often(1);
}

/* One ejection in a row is forgotten for each fail_timeout that it worked. */
Test(node_eject, who_has_worked_for_long_is_forgiven)
{
	int listener;

	declare("192.0.2.1:8080 192.0.2.2:8080", (struct settings)USUAL);
	listen_at(E(2));
	eject(E(1));
	listener = listen_at(E(1));
	end_ejection(E(1));
	connect_often(50);
	cr_assert_not(is_ejected(E(1)));
	close(listener);
	live(E(1))->ejections = 5;
	live(E(1))->returned -= 25 * SECOND;
	eject(E(1));
	expect_ejected(2, E(1), 3, 40);
}

static const struct share_row {
	const char *name;
	struct settings settings;
	unsigned ejected;
} shares[] = {
	{ "half of them", { FL_RANDOM, 1, 10, 50, 0 }, 2 },
	{ "one always", { FL_RANDOM, 1, 10, 0, 0 }, 1 },
	{ "all", { FL_RANDOM, 1, 10, 100, 0 }, 4 },
	{ "three of four are left", { FL_RANDOM, 1, 10, 100, 75 }, 1 },
	{ "none is left out in a panic", { FL_RANDOM, 1, 10, 100, 100 }, 0 },
};

Test(node_eject, a_share_stays_in_any_case)
{
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		const char *addresses[] = { E(1), E(2), E(3), E(4) };
		unsigned ejected = 0;

		declare(ALL, shares[i].settings);
		memset(node.path.maps.live, 0, 256 * sizeof(struct fl_live_row));
		told_count = 0;
		cr_expect_eq(connect_often(60), 60, "%s: all are refused", shares[i].name);
		for (int j = 0; j < 4; j++)
			ejected += is_ejected(addresses[j]);
		cr_expect_eq(ejected, shares[i].ejected, "%s: %u", shares[i].name, ejected);
		cr_expect_eq(
			count_events(FL_EVENT_EJECTED), shares[i].ejected, "%s", shares[i].name);
		/* Each of the others once, however often it fails within fail_timeout. */
		cr_expect_eq(count_events(FL_EVENT_SPARED), 4 - shares[i].ejected, "%s: %zu",
			shares[i].name, count_events(FL_EVENT_SPARED));
	}
}

/* Where all are ejected they are used all the same, and one that works is taken back. */
Test(node_eject, the_only_one_is_used_all_the_same)
{
	declare("192.0.2.1:8080", (struct settings)USUAL);
	eject(E(1));
	cr_expect_eq(connect_often(5), 5);
	cr_expect_eq(live(E(1))->connects, 8);
	cr_expect_eq(live(E(1))->ejected_times, 1, "it is ejected already");
	listen_at(E(1));
	cr_expect_eq(connect_often(1), 0);
	cr_expect_not(is_ejected(E(1)));
	cr_expect_eq(event(1)->kind, FL_EVENT_RETURNED);
}

Test(node_eject, not_where_it_is_off)
{
	declare(ALL, (struct settings){ FL_RANDOM, 0, 10, 100, 0 });
	cr_expect_eq(connect_often(100), 100);
	cr_expect_not(is_ejected(E(1)) || is_ejected(E(2)) || is_ejected(E(3)) || is_ejected(E(4)));
	/* Nor does one stay out that was ejected before. */
	live(E(1))->ejected = fl_clock_mono_ns() - 1;
	cr_expect_eq(connect_often(100), 100);
	cr_expect_not(is_ejected(E(1)));
	ring_buffer__consume(events);
	cr_expect_eq(told_count, 0);
}

/* Two ends of one cable, of which none has the address. */
static void lay_cable(bool lose_all)
{
	test_run("ip link add near type veth peer name far && ethtool -K near tx off >/dev/null && "
		 "ip link set near up && ip link set far up && ip addr del 192.0.2.1/32 dev lo && "
		 "ip addr add 192.0.2.100/24 dev near");
	if (lose_all)
		test_run("ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:99 dev near");
}

static int begin(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_storage to;
	socklen_t length = test_node_address(VIP, 80, &to);

	cr_assert(connect(fd, (struct sockaddr *)&to, length) < 0 && errno == EINPROGRESS);
	return fd;
}

Test(node_eject, who_gives_up_ejects_nobody)
{
	lay_cable(true);
	declare("192.0.2.1:8080", (struct settings){ FL_RANDOM, 1, 10, 50, 0 });
	for (int i = 0; i < 20; i++)
		close(begin());
	cr_expect_eq(live(E(1))->faults[FL_FAULT_NONE], 20);
	cr_expect_not(is_ejected(E(1)));
	cr_expect_eq(live(E(1))->fails, 0);
}

Test(node_eject, a_trial_that_is_given_up_leaves_it_to_the_next)
{
	int fd;

	lay_cable(true);
	declare("192.0.2.1:8080", (struct settings)USUAL);
	live(E(1))->ejections = 1;
	end_ejection(E(1));
	fd = begin();
	cr_expect_eq(live(E(1))->trial, 1);
	cr_expect_gt(live(E(1))->ejected, fl_clock_mono_ns(), "others wait for it");
	close(fd);
	cr_expect_eq(live(E(1))->trial, 0);
	cr_expect_leq(live(E(1))->ejected, fl_clock_mono_ns());
	cr_expect_neq(live(E(1))->ejected, 0, "but nothing is known yet");
	close(begin());
	cr_expect_eq(live(E(1))->connects, 2);
}

/* Nobody has its address, which takes three seconds to find out. */
static void wait_until_failed(int fd)
{
	int error = 0;
	socklen_t length = sizeof(error);

	for (int waited_ms = 0; !error && waited_ms < TEST_DEADLINE_MS; waited_ms += 5) {
		usleep(5000);
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	}
	cr_expect_eq(error, EHOSTUNREACH);
	close(fd);
}

Test(node_eject, what_began_before_the_trial_says_nothing_of_it)
{
	uint64_t until;
	int fd;

	lay_cable(false);
	declare("192.0.2.1:8080", (struct settings)USUAL);
	fd = begin();
	/* Meanwhile it is ejected, that is over, and somebody else tries. */
	live(E(1))->ejections = 1;
	live(E(1))->ejected = until = fl_clock_mono_ns() + 30 * SECOND;
	live(E(1))->trial = 1;
	wait_until_failed(fd);
	cr_expect_eq(live(E(1))->faults[FL_FAULT_UNREACHABLE], 1);
	cr_expect_eq(live(E(1))->ejected, until);
	cr_expect_eq(live(E(1))->trial, 1);
	ring_buffer__consume(events);
	cr_expect_eq(told_count, 0);
}

/* ----------------------------------------------------------------------- told the agent */

static void on_told(void *context, const struct fl_node_event *e)
{
	(void)context;
	told[told_count++] = *e;
}

static bool has_told(void *context)
{
	return told_count >= *(size_t *)context;
}

/* What happened while no agent ran, and what happens from then on. */
Test(node_eject, the_agent_is_told)
{
	struct fl_node_events *reader = NULL;
	struct fl_failure failure = { 0 };
	size_t expected = 2;
	uv_loop_t loop;

	declare("192.0.2.1:8080 192.0.2.2:8080", (struct settings)USUAL);
	listen_at(E(2));
	eject(E(1));
	cr_assert_eq(uv_loop_init(&loop), 0);
	cr_assert_eq(fl_node_events_start(&node.path.maps, &loop, on_told, NULL, &failure, &reader),
		0, "%s", failure.message);
	cr_expect_eq(told_count, 1);
	cr_expect_eq(told[0].kind, FL_EVENT_EJECTED);
	end_ejection(E(1));
	connect_often(50);
	cr_expect(test_loop_until(&loop, has_told, &expected));
	cr_expect_eq(told[1].kind, FL_EVENT_EJECTED);
	cr_expect_eq(told[1].fails, 4);
	fl_node_events_stop(reader);
	test_loop_finish(&loop);
}

/* ---------------------------------------------------------------------- many at once */

static void *hammer(void *context)
{
	for (int i = 0; i < 200; i++)
		connect_once();
	return context;
}

Test(node_eject, never_more_than_the_share_however_many_fail_at_once)
{
	pthread_t threads[8];
	unsigned ejected = 0;

	declare("192.0.2.1:8080 192.0.2.2:8080 192.0.2.3:8080 192.0.2.4:8080 192.0.2.5:8080 "
		"192.0.2.6:8080 192.0.2.7:8080 192.0.2.8:8080",
		(struct settings){ FL_RANDOM, 1, 10, 50, 0 });
	for (int i = 0; i < 8; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, hammer, NULL), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < 8; i++)
		ejected +=
			node.path.maps.live[node.in_force->services[0]->endpoints[i].id].ejected !=
			0;
	cr_expect_eq(ejected, 4, "%u", ejected);
}
