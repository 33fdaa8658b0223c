/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "lib/choosing.h"

/* Endpoints that are left out for a while, and how they come back. */

TestSuite(node_choose_ejected, .init = choosing_open, .fini = choosing_close, .timeout = 300);

/* ---------------------------------------------------------------------- ejected */

static const enum fl_balance all[] = { FL_MAGLEV, FL_RANDOM, FL_ROUND_ROBIN, FL_LEAST_CONNECTIONS,
	FL_P2C };
#define ALL (sizeof(all) / sizeof(all[0]))

Test(node_choose_ejected, ejected_endpoints_are_passed_over)
{
	for (size_t b = 0; b < ALL; b++) {
		struct fl_service *service = choosing_service("1:1:9:1");
		unsigned seen[CHOOSING_MOST];

		service->balance = all[b];
		choosing_put(service);
		choosing.known[2].ejected = UINT64_MAX;
		choosing_sample(3000, seen);
		cr_expect_eq(seen[2], 0, "%s: %u", fl_balance_name(all[b]), seen[2]);
		/* Round robin gives its turns to whoever comes next: not by weight. */
		for (size_t i = 0; i < 4; i++)
			cr_expect(i == 2 || seen[i] > 300, "%s: %u for %zu",
				fl_balance_name(all[b]), seen[i], i);
	}
}

/* Most of the weight and most members: what draws do not find is looked for. */
Test(node_choose_ejected, the_only_one_left_is_found)
{
	for (size_t b = 0; b < ALL; b++) {
		struct fl_service *service = choosing_service("9000:9000:9000:1");

		service->balance = all[b];
		choosing_put(service);
		for (size_t i = 0; i < 3; i++)
			choosing.known[i].ejected = UINT64_MAX;
		for (int i = 0; i < 200; i++)
			cr_assert_eq(choosing_connect(), 3, "%s", fl_balance_name(all[b]));
	}
}

Test(node_choose_ejected, all_ejected_is_better_than_nobody)
{
	for (size_t b = 0; b < ALL; b++) {
		struct fl_service *service = choosing_service("1:1");

		service->balance = all[b];
		choosing_put(service);
		choosing.known[0].ejected = choosing.known[1].ejected = UINT64_MAX;
		for (int i = 0; i < 20; i++)
			cr_assert_lt(choosing_connect(), 2);
	}
}

static size_t silent;

/* An endpoint whose queue is full answers no SYN: connects to it stay under way. */
static void fall_silent(size_t endpoint)
{
	struct sockaddr_storage at;
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	silent = endpoint;
	cr_assert_eq(listen(choosing.listeners[endpoint], 0), 0);
	getsockname(choosing.listeners[endpoint], (struct sockaddr *)&at, &length);
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, length), 0, "%s", strerror(errno));
}

/* Begin a connection and leave it as it is. @return its endpoint */
static size_t begin(int *ret)
{
	struct sockaddr_storage to;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);
	size_t endpoint;

	*ret = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(connect(*ret, (struct sockaddr *)&to, length), -1);
	cr_assert_eq(errno, EINPROGRESS, "%s", strerror(errno));
	endpoint = choosing_of(*ret);
	if (endpoint != silent)
		close(accept(choosing.listeners[endpoint], NULL, NULL));
	return endpoint;
}

#define TRIES 90

/* @return how many of many connections have that endpoint; all are under way at once */
static unsigned count_tries(size_t endpoint)
{
	unsigned tries = 0;
	int sockets[TRIES];

	for (size_t i = 0; i < TRIES; i++)
		tries += begin(&sockets[i]) == endpoint;
	for (size_t i = 0; i < TRIES; i++)
		close(sockets[i]);
	return tries;
}

/* The first connection that comes across it, whatever its load, and no other. */
Test(node_choose_ejected, one_connection_tries)
{
	fall_silent(1);
	for (size_t b = 0; b < ALL; b++) {
		struct fl_service *service = choosing_service("1:1:1");
		const char *name = fl_balance_name(all[b]);
		struct fl_live_row *row;

		service->balance = all[b];
		choosing_put(service);
		row = &choosing.node.path.maps.live[choosing_id(1)];
		for (int round = 0; round < 2; round++) {
			choosing.known[1].ejected = fl_clock_mono_ns();
			choosing.known[1].penalty = 1 << 20;
			choosing.known[1].failed = UINT64_MAX;
			choosing_know();
			cr_expect_eq(count_tries(1), 1, "%s", name);
		}
		choosing.known[1].ejected = UINT64_MAX;
		choosing_know();
		cr_expect_eq(count_tries(1), 0, "%s", name);
		cr_expect_eq(row->trial, 0, "%s", name);
	}
}

/* What a connection takes it on is moved on, so that others wait. */
Test(node_choose_ejected, the_trial_is_marked)
{
	struct fl_service *service = choosing_service("1");
	uint64_t before = fl_clock_mono_ns();
	struct fl_live_row *row;
	int fd;

	fall_silent(0);
	choosing_put(service);
	row = &choosing.node.path.maps.live[choosing_id(0)];
	choosing.known[0].ejected = before;
	choosing_know();
	begin(&fd);
	cr_expect_eq(row->trial, 1);
	cr_expect_geq(row->ejected, before + 30000000000ull);
	close(fd);
}

/* A socket that cannot reach what was chosen is left alone: it is not the one that tries. */
Test(node_choose_ejected, who_cannot_reach_it_does_not_try)
{
	struct fl_live_row *row;
	struct sockaddr_storage to, at;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	fall_silent(0);
	choosing_put(choosing_service("1"));
	row = &choosing.node.path.maps.live[choosing_id(0)];
	choosing.known[0].ejected = fl_clock_mono_ns();
	choosing_know();
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, test_node_address("127.0.0.1", 0, &at)), 0);
	cr_expect_eq(connect(fd, (struct sockaddr *)&to, length), -1);
	close(fd);
	cr_expect_eq(row->trial, 0);
	cr_expect_leq(row->ejected, fl_clock_mono_ns());
	begin(&fd);
	cr_expect_eq(row->trial, 1);
	close(fd);
}
