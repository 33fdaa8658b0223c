/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "lib/choosing.h"

/* An endpoint that refuses at once must not draw connections to itself (envoy#39737). What is
 * known of endpoints is here what the programs have seen. */

TestSuite(node_choose_failing, .init = choosing_open, .fini = choosing_close, .timeout = 300);

#define BAD    2
#define OPEN   300 /* connections that stay open, so that the bad one is the idlest */
#define SAMPLE 3000

static struct pair {
	int client, accepted;
} open_pairs[OPEN];

/* One connection, which stays open until so many more were made. @return its endpoint */
static size_t connect_and_stay(unsigned turn)
{
	struct pair *pair = &open_pairs[turn % OPEN];
	struct sockaddr_storage to;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);
	const struct linger at_once = { .l_onoff = 1 };
	int fd = socket(AF_INET, SOCK_STREAM, 0), r;
	size_t endpoint;

	if (pair->client) {
		setsockopt(pair->client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(pair->client);
		close(pair->accepted);
		*pair = (struct pair){ 0 };
	}
	r = connect(fd, (struct sockaddr *)&to, length);
	endpoint = choosing_of(fd);
	if (r < 0) {
		cr_assert(endpoint == BAD && errno == ECONNREFUSED, "%s", strerror(errno));
		close(fd);
		return endpoint;
	}
	*pair = (struct pair){ fd, accept(choosing.listeners[endpoint], NULL, NULL) };
	cr_assert_geq(pair->accepted, 0);
	return endpoint;
}

static const struct {
	const char *name;
	enum fl_balance balance;
	uint16_t max_fails;
} rows[] = {
	/* by their penalty alone */
	{ "p2c", FL_P2C, 0 },
	{ "least connections", FL_LEAST_CONNECTIONS, 0 },
	/* by ejection */
	{ "p2c, ejected", FL_P2C, FL_MAX_FAILS_DEFAULT },
	{ "least connections, ejected", FL_LEAST_CONNECTIONS, FL_MAX_FAILS_DEFAULT },
	{ "random, ejected", FL_RANDOM, FL_MAX_FAILS_DEFAULT },
	{ "round robin, ejected", FL_ROUND_ROBIN, FL_MAX_FAILS_DEFAULT },
	{ "maglev, ejected", FL_MAGLEV, FL_MAX_FAILS_DEFAULT },
};

Test(node_choose_failing, one_that_refuses_gets_next_to_nothing)
{
	close(choosing.listeners[BAD]);
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct fl_service *service = choosing_service("1:1:1:1");
		unsigned seen[CHOOSING_MOST] = { 0 }, turn = 0;
		uint64_t until;

		service->balance = rows[r].balance;
		service->max_fails = rows[r].max_fails;
		choosing_put(service);
		choosing_know();
		until = fl_clock_mono_ns() + 1000000000ull;
		while (fl_clock_mono_ns() < until)
			connect_and_stay(turn++);
		for (unsigned i = 0; i < SAMPLE; i++)
			seen[connect_and_stay(turn++)]++;
		cr_expect_lt(
			seen[BAD], SAMPLE / 20, "%s: %u of %u", rows[r].name, seen[BAD], SAMPLE);
		for (size_t i = 0; i < 4; i++)
			cr_expect(i == BAD || seen[i] > SAMPLE / 5, "%s: %u for %zu", rows[r].name,
				seen[i], i);
		cr_log_info("%s: %u of %u", rows[r].name, seen[BAD], SAMPLE);
	}
}

/* Once it answers again it gets its share, and that is not minutes later. */
Test(node_choose_failing, one_that_recovers_gets_its_share)
{
	static const enum fl_balance balances[] = { FL_P2C, FL_LEAST_CONNECTIONS };
	struct fl_live_row *row;

	for (size_t b = 0; b < 2; b++) {
		struct fl_service *service = choosing_service("1:1:1:1");
		unsigned seen[CHOOSING_MOST] = { 0 }, turn = 0;

		service->balance = balances[b];
		service->fail_timeout_s = 1;
		choosing_put(service);
		row = &choosing.node.path.maps.live[choosing_id(BAD)];
		choosing_know();
		/* As many failures left it. */
		row->penalty = 1 << 20;
		row->failed = fl_clock_mono_ns();
		row->ejected = fl_clock_mono_ns();
		row->ejections = 1;
		for (unsigned i = 0; i < SAMPLE; i++)
			seen[connect_and_stay(turn++)]++;
		cr_expect_gt(seen[BAD], SAMPLE / 6, "%s: %u of %u", fl_balance_name(balances[b]),
			seen[BAD], SAMPLE);
	}
}
