/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What checks begin with, and what they leave behind. */
#include "health/checker.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/declared.h"

TestSuite(checker, .timeout = 60);

struct world {
	uv_loop_t loop;
	struct fl_health *health;
	struct fl_checker *checker;
	struct fl_health_key key; /* of the endpoint */
	int listener;             /* where the agent beside it listens */
};

static void world_init(struct world *w)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	socklen_t length = sizeof(at);

	*w = (struct world){ .health = fl_health_new(NULL, NULL), .key.service = "web" };
	uv_loop_init(&w->loop);
	cr_assert_eq(fl_checker_start(&w->loop, w->health, &w->checker), 0);
	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(w->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(w->listener, 64), 0);
	getsockname(w->listener, (struct sockaddr *)&at, &length);
	w->key.port = ntohs(at.sin_port);
	cr_assert_eq(fl_ip_parse("127.0.0.1", &w->key.addr), 0);
}

static void world_done(struct world *w)
{
	fl_checker_stop(w->checker);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	cr_expect_eq(uv_loop_close(&w->loop), 0, "a handle was left open");
	fl_health_free(w->health);
	close(w->listener);
}

/* Endpoints are probed so from now on; with an interval of 0 they are not. */
static void configure(struct world *w, bool agent, uint32_t interval_ms)
{
	struct fl_snapshot *snapshot;
	char text[80];

	snprintf(text, sizeof(text), "web 10.0.0.1:80/tcp = 127.0.0.1:%u", w->key.port);
	snapshot = test_snapshot_parse(text);
	snapshot->services[0]->check = (struct fl_check){ .agent = agent && interval_ms,
		.tcp = !agent && interval_ms,
		.interval_ms = interval_ms,
		.timeout_ms = 10000,
		.rise = 1,
		.fall = 1 };
	cr_assert_eq(fl_checker_configure(w->checker, snapshot), 0);
	fl_snapshot_unref(snapshot);
}

/* The agent is asked, answers, and is heard. */
static void answer(struct world *w, const char *line)
{
	uint64_t heard = fl_checker_stats(w->checker)->passed;
	int fd;

	while ((fd = accept(w->listener, NULL, NULL)) < 0)
		uv_run(&w->loop, UV_RUN_ONCE);
	cr_assert_eq(write(fd, line, strlen(line)), (ssize_t)strlen(line));
	while (fl_checker_stats(w->checker)->passed == heard)
		uv_run(&w->loop, UV_RUN_ONCE);
	close(fd);
}

static const struct fl_signals *signals(const struct world *w)
{
	static const struct fl_signals none = FL_SIGNALS_NONE;
	const struct fl_signals *signals = fl_health_signals(w->health, &w->key);

	return signals ? signals : &none;
}

static void set_agent(struct world *w, enum fl_sign sign, uint16_t percent)
{
	const struct fl_agent_weight weight = { .number = percent };

	cr_assert_eq(fl_health_set_agent(w->health, &w->key, sign, weight, "said before"), 0);
}

Test(checker, what_the_agent_said_outlasts_a_change_of_its_check)
{
	struct world w;

	world_init(&w);
	configure(&w, true, 50);
	answer(&w, "down 40%\n");
	cr_expect_eq(signals(&w)->agent, FL_SIGN_DOWN);
	configure(&w, true, 60);
	cr_expect_eq(signals(&w)->agent, FL_SIGN_DOWN);
	answer(&w, "ready\n");
	cr_expect_eq(signals(&w)->agent, FL_SIGN_DOWN, "only up brings it up");
	cr_expect_eq(signals(&w)->agent_weight.number, 40);
	answer(&w, "up\n");
	cr_expect_eq(signals(&w)->agent, FL_SIGN_UP);
	world_done(&w);
}

Test(checker, what_the_agent_said_to_an_earlier_one_stands)
{
	static const struct {
		enum fl_sign sign, after_up, after_ready;
	} rows[] = {
		{ FL_SIGN_UP, FL_SIGN_UP, FL_SIGN_UP },
		{ FL_SIGN_DOWN, FL_SIGN_UP, FL_SIGN_UP },
		{ FL_SIGN_DRAINING, FL_SIGN_DRAINING, FL_SIGN_UP },
		{ FL_SIGN_MAINTENANCE, FL_SIGN_MAINTENANCE, FL_SIGN_UP },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;

		world_init(&w);
		set_agent(&w, rows[i].sign, 40);
		configure(&w, true, 50);
		cr_expect_eq(signals(&w)->agent, rows[i].sign, "row %zu", i);
		answer(&w, "up\n");
		cr_expect_eq(signals(&w)->agent, rows[i].after_up, "row %zu: up", i);
		cr_expect_eq(signals(&w)->agent_weight.number, 40, "row %zu", i);
		answer(&w, "ready\n");
		cr_expect_eq(signals(&w)->agent, rows[i].after_ready, "row %zu: ready", i);
		world_done(&w);
	}
}

/* As after a restart with another configuration: who found it is not there any more. */
Test(checker, what_nobody_looks_at_any_more_is_forgotten)
{
	struct world w;

	world_init(&w);
	cr_assert_eq(fl_health_set_probe(w.health, &w.key, FL_SIGN_DOWN, "refused"), 0);
	set_agent(&w, FL_SIGN_MAINTENANCE, 0);
	configure(&w, false, 0);
	cr_expect_eq(signals(&w)->probe, FL_SIGN_NONE, "there is no check");
	cr_expect_eq(signals(&w)->agent, FL_SIGN_NONE);
	cr_expect_eq(signals(&w)->agent_weight.number, 100);
	world_done(&w);

	world_init(&w);
	cr_assert_eq(fl_health_set_probe(w.health, &w.key, FL_SIGN_DOWN, "refused"), 0);
	set_agent(&w, FL_SIGN_MAINTENANCE, 0);
	configure(&w, false, 50);
	cr_expect_eq(signals(&w)->probe, FL_SIGN_DOWN);
	cr_expect_eq(signals(&w)->agent, FL_SIGN_NONE, "no agent is asked");
	world_done(&w);

	world_init(&w);
	cr_assert_eq(fl_health_set_probe(w.health, &w.key, FL_SIGN_DOWN, "refused"), 0);
	configure(&w, true, 50);
	cr_expect_eq(signals(&w)->probe, FL_SIGN_NONE, "only the agent is asked");
	world_done(&w);
}
