/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/heartbeats.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "lib/declared.h"

#define DEADLINE_NS 60000000000ull

TestSuite(heartbeats);

struct world {
	uv_loop_t loop;
	struct fl_health *health;
	struct fl_heartbeats *heartbeats;
};

static void world_init(struct world *w)
{
	uv_loop_init(&w->loop);
	w->health = fl_health_new(NULL, NULL);
	cr_assert_eq(fl_heartbeats_start(&w->loop, w->health, &w->heartbeats), 0);
}

static void world_done(struct world *w)
{
	fl_heartbeats_stop(w->heartbeats);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	cr_expect_eq(uv_loop_close(&w->loop), 0);
	fl_health_free(w->health);
}

static struct fl_health_key key(const char *socket)
{
	struct fl_health_key key = { .service = "web" };

	cr_assert_eq(fl_socket_parse(socket, false, &key.addr, &key.port), 0);
	return key;
}

static enum fl_sign sign(const struct world *w, const char *socket)
{
	struct fl_health_key k = key(socket);
	const struct fl_signals *signals = fl_health_signals(w->health, &k);

	return signals ? signals->heartbeat : FL_SIGN_NONE;
}

static int heed(struct world *w, const char *socket, enum fl_beat beat)
{
	struct fl_failure failure = { 0 };
	struct fl_health_key k = key(socket);

	return fl_heartbeats_heed(w->heartbeats, &k, beat, "so", &failure);
}

/* A snapshot of one service, and the time that its heartbeats have. */
static struct fl_snapshot *declare(const char *endpoints, uint32_t heartbeat_ms)
{
	struct fl_service *service = test_service("web", "10.0.0.1:80/tcp", endpoints);

	service->heartbeat_ms = heartbeat_ms;
	return test_snapshot(1, &service, 1);
}

static void configure(struct world *w, const char *endpoints, uint32_t heartbeat_ms)
{
	struct fl_snapshot *snapshot = declare(endpoints, heartbeat_ms);

	cr_assert_eq(fl_heartbeats_configure(w->heartbeats, snapshot), 0);
	fl_snapshot_unref(snapshot);
}

static void run_until(struct world *w, const char *socket, enum fl_sign wanted)
{
	uint64_t end_ns = fl_clock_mono_ns() + DEADLINE_NS;

	while (sign(w, socket) != wanted) {
		cr_assert_lt(fl_clock_mono_ns(), end_ns);
		uv_run(&w->loop, UV_RUN_ONCE);
	}
}

Test(heartbeats, silence_is_down_and_a_word_is_up)
{
	struct world w;

	world_init(&w);
	configure(&w, "192.0.2.1:80 192.0.2.2:80", 20);
	cr_assert_eq(sign(&w, "192.0.2.1:80"), FL_SIGN_UP, "it has its time");
	run_until(&w, "192.0.2.1:80", FL_SIGN_DOWN);
	run_until(&w, "192.0.2.2:80", FL_SIGN_DOWN);
	cr_assert_eq(heed(&w, "192.0.2.2:80", FL_BEAT_WARN), 0);
	cr_assert_eq(sign(&w, "192.0.2.2:80"), FL_SIGN_UP);
	cr_assert_eq(sign(&w, "192.0.2.1:80"), FL_SIGN_DOWN, "that was the other's");
	run_until(&w, "192.0.2.2:80", FL_SIGN_DOWN);
	world_done(&w);
}

Test(heartbeats, fail_is_down_at_once)
{
	struct world w;

	world_init(&w);
	configure(&w, "192.0.2.1:80", 3600000);
	cr_assert_eq(heed(&w, "192.0.2.1:80", FL_BEAT_FAIL), 0);
	cr_assert_eq(sign(&w, "192.0.2.1:80"), FL_SIGN_DOWN);
	cr_assert_eq(heed(&w, "192.0.2.1:80", FL_BEAT_PASS), 0);
	cr_assert_eq(sign(&w, "192.0.2.1:80"), FL_SIGN_UP);
	world_done(&w);
}

Test(heartbeats, what_is_declared_anew_stays_as_it_was_found)
{
	struct world w;

	world_init(&w);
	configure(&w, "192.0.2.1:80 192.0.2.2:80", 3600000);
	cr_assert_eq(heed(&w, "192.0.2.2:80", FL_BEAT_FAIL), 0);
	configure(&w, "192.0.2.2:80 192.0.2.3:80", 3600000);
	cr_assert_eq(sign(&w, "192.0.2.1:80"), FL_SIGN_NONE, "it is gone");
	cr_assert_eq(sign(&w, "192.0.2.2:80"), FL_SIGN_DOWN);
	cr_assert_eq(sign(&w, "192.0.2.3:80"), FL_SIGN_UP);
	cr_assert_eq(heed(&w, "192.0.2.1:80", FL_BEAT_PASS), -ENOENT);
	configure(&w, "192.0.2.2:80 192.0.2.3:80", 0);
	cr_assert_eq(sign(&w, "192.0.2.2:80"), FL_SIGN_NONE, "nobody waits for any");
	cr_assert_eq(heed(&w, "192.0.2.2:80", FL_BEAT_PASS), -ENOENT);
	world_done(&w);
}

Test(heartbeats, another_time_counts_from_its_begin)
{
	struct world w;

	world_init(&w);
	configure(&w, "192.0.2.1:80", 3600000);
	configure(&w, "192.0.2.1:80", 20);
	run_until(&w, "192.0.2.1:80", FL_SIGN_DOWN);
	world_done(&w);
}

Test(heartbeats, what_was_known_before_stands)
{
	struct fl_health_key k = key("192.0.2.1:80");
	struct world w;

	world_init(&w);
	cr_assert_eq(fl_health_set_heartbeat(w.health, &k, FL_SIGN_DOWN, "fail"), 0);
	configure(&w, "192.0.2.1:80", 3600000);
	cr_assert_eq(sign(&w, "192.0.2.1:80"), FL_SIGN_DOWN);
	world_done(&w);
}

/* As after a restart with another configuration. */
Test(heartbeats, what_nobody_expects_any_more_is_forgotten)
{
	struct fl_health_key k = key("192.0.2.1:80");
	struct world w;

	world_init(&w);
	cr_assert_eq(fl_health_set_heartbeat(w.health, &k, FL_SIGN_DOWN, "fail"), 0);
	configure(&w, "192.0.2.1:80", 0);
	cr_expect_eq(sign(&w, "192.0.2.1:80"), FL_SIGN_NONE);
	world_done(&w);

	world_init(&w);
	cr_assert_eq(fl_health_set_heartbeat(w.health, &k, FL_SIGN_DOWN, "fail"), 0);
	configure(&w, "192.0.2.1:80", 3600000);
	cr_expect_eq(sign(&w, "192.0.2.1:80"), FL_SIGN_DOWN, "until it says that it is well");
	world_done(&w);
}
