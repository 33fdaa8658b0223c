/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The lock against a store that has one key, and sessions that can die.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "lib/http_server.h"
#include "registry/consul/lock.h"

#define US     "n1/consul" /* bjEvY29uc3Vs */
#define NO_KEY "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

/* ---------------------------------------------------------------- Consul's store */

struct store {
	pthread_mutex_t mutex;
	char holder[64];   /* session that has the key; "" = none */
	char value[64];    /* of the key, in base64; "" = there is no key */
	char alive[64];    /* the session that lives */
	unsigned sessions; /* made so far */
	bool is_out;       /* answers 500 to everything */
	char answers[64][512];
	unsigned count;
};

static void reply(struct store *store, struct test_reply *ret, const char *body)
{
	char *text = store->answers[store->count++ % 64];

	snprintf(text, sizeof(*store->answers),
		"HTTP/1.1 200 OK\r\nX-Consul-Index: %u\r\nContent-Length: %zu\r\n\r\n%s",
		store->count, strlen(body), body);
	ret->bytes = text;
}

static void answer_key(
	struct store *store, const struct test_request *request, struct test_reply *ret)
{
	char body[256];
	const char *acquire = strstr(request->target, "acquire=");

	if (!acquire) {
		snprintf(body, sizeof(body), "[{\"Key\":\"k\",\"Value\":\"%s\"%s%s%s}]",
			store->value, *store->holder ? ",\"Session\":\"" : "", store->holder,
			*store->holder ? "\"" : "");
		ret->bytes = NO_KEY;
		if (*store->value)
			reply(store, ret, body);
	} else if (*store->holder) {
		reply(store, ret, "false");
	} else if (!*store->alive) {
		ret->bytes = "HTTP/1.1 500 Oh no\r\nContent-Length: 15\r\n\r\ninvalid session";
	} else {
		strcpy(store->holder, store->alive);
		strcpy(store->value, "bjEvY29uc3Vs");
		reply(store, ret, "true");
	}
}

static void answer_session(
	struct store *store, const struct test_request *request, struct test_reply *ret)
{
	char body[128];

	if (strstr(request->target, "/create")) {
		snprintf(store->alive, sizeof(store->alive), "aaaa-%u", ++store->sessions);
		snprintf(body, sizeof(body), "{\"ID\":\"%s\"}", store->alive);
		reply(store, ret, body);
	} else if (*store->alive && strstr(request->target, store->alive)) {
		reply(store, ret, "[{}]");
	} else {
		ret->bytes = NO_KEY;
	}
}

static void answer(void *context, const struct test_request *request, struct test_reply *ret)
{
	struct store *store = context;

	pthread_mutex_lock(&store->mutex);
	if (store->is_out)
		ret->bytes = "HTTP/1.1 500 Oh no\r\nContent-Length: 17\r\n\r\nNo cluster leader";
	else if (strncmp(request->target, "/v1/session/", 12) == 0)
		answer_session(store, request, ret);
	else
		answer_key(store, request, ret);
	pthread_mutex_unlock(&store->mutex);
}

/* -------------------------------------------------------------------- the stage */

struct stage {
	struct store store;
	struct test_http_server *server;
	uv_loop_t loop;
	uv_timer_t ticker;
	char url[64];
	char *urls[1];
	struct fl_consul_config config;
	struct fl_consul_client *client;
	struct fl_consul_lock *lock;
	unsigned changes;
};

static const struct fl_consul_lock_options options = { "k", US, 2 };

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

static void on_changed(void *context)
{
	((struct stage *)context)->changes++;
}

static void begin(struct stage *s, const char *holder, const char *value, const char *alive)
{
	struct test_http_options http = { .answer = answer, .context = &s->store };
	struct fl_failure failure;

	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->store.mutex, NULL);
	strcpy(s->store.holder, holder);
	strcpy(s->store.value, value);
	strcpy(s->store.alive, alive);
	s->server = test_http_start(&http);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", test_http_port(s->server));
	s->urls[0] = s->url;
	s->config = (struct fl_consul_config){ .urls = s->urls, .url_count = 1, .connections = 4 };
	uv_loop_init(&s->loop);
	uv_timer_init(&s->loop, &s->ticker);
	uv_timer_start(&s->ticker, on_tick, 10, 10);
	cr_assert_eq(fl_consul_client_open(&s->loop, &s->config, &failure, &s->client), 0);
	cr_assert_eq(
		fl_consul_lock_start(&s->loop, s->client, &options, on_changed, s, &s->lock), 0);
	cr_assert_eq(fl_consul_lock_state(s->lock), FL_CONSUL_LOCK_UNKNOWN);
}

static void end(struct stage *s)
{
	fl_consul_lock_stop(s->lock);
	fl_consul_client_close(s->client);
	uv_close((uv_handle_t *)&s->ticker, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	cr_expect_eq(uv_loop_close(&s->loop), 0, "something is left open");
	test_http_stop(s->server);
}

static void until(struct stage *s, enum fl_consul_lock_state state)
{
	uint64_t end_ns = fl_clock_mono_ns() + 60000000000ull;

	while (fl_consul_lock_state(s->lock) != state && fl_clock_mono_ns() < end_ns)
		uv_run(&s->loop, UV_RUN_ONCE);
	cr_assert_eq(fl_consul_lock_state(s->lock), state, "%d: %s", fl_consul_lock_state(s->lock),
		fl_consul_lock_error(s->lock));
}

#define CHANGE(s, statement)                                                                       \
	do {                                                                                       \
		pthread_mutex_lock(&(s)->store.mutex);                                             \
		statement;                                                                         \
		pthread_mutex_unlock(&(s)->store.mutex);                                           \
	} while (0)

/* --------------------------------------------------------------------- stories */

Test(consul_lock, a_free_key_is_got)
{
	struct stage s;

	begin(&s, "", "", "");
	until(&s, FL_CONSUL_LOCK_HELD);
	cr_expect_eq(s.changes, 1);
	end(&s);
}

Test(consul_lock, who_comes_second_waits_until_it_is_free)
{
	struct stage s;

	begin(&s, "bbbb-1", "bjIvY29uc3Vs", "bbbb-1");
	until(&s, FL_CONSUL_LOCK_ELSEWHERE);
	CHANGE(&s, s.store.holder[0] = '\0');
	until(&s, FL_CONSUL_LOCK_HELD);
	end(&s);
}

/* A restart goes on with the session of the run before, and makes no other. */
Test(consul_lock, a_restart_keeps_it)
{
	struct stage s;

	begin(&s, "cccc-1", "bjEvY29uc3Vs", "cccc-1");
	until(&s, FL_CONSUL_LOCK_HELD);
	cr_expect_eq(s.store.sessions, 0);
	cr_expect_eq(s.changes, 1, "nothing else was said in between");
	end(&s);
}

/* Our name is there, but the session is dead: Consul has not yet taken the key from it. */
Test(consul_lock, a_dead_session_is_not_adopted)
{
	struct stage s;

	begin(&s, "cccc-1", "bjEvY29uc3Vs", "");
	CHANGE(&s, s.store.holder[0] = '\0');
	until(&s, FL_CONSUL_LOCK_HELD);
	end(&s);
}

Test(consul_lock, a_session_that_is_gone_is_noticed)
{
	struct stage s;

	begin(&s, "", "", "");
	until(&s, FL_CONSUL_LOCK_HELD);
	CHANGE(&s, s.store.alive[0] = s.store.holder[0] = '\0');
	until(&s, FL_CONSUL_LOCK_UNKNOWN);
	until(&s, FL_CONSUL_LOCK_HELD);
	end(&s);
}

Test(consul_lock, another_holder_is_noticed)
{
	struct stage s;

	begin(&s, "", "", "");
	until(&s, FL_CONSUL_LOCK_HELD);
	CHANGE(&s, strcpy(s.store.holder, "bbbb-9"));
	until(&s, FL_CONSUL_LOCK_ELSEWHERE);
	end(&s);
}

/* Consul is away for longer than the session lives: we must not go on as its holder. */
Test(consul_lock, who_cannot_renew_gives_up)
{
	struct stage s;

	begin(&s, "", "", "");
	until(&s, FL_CONSUL_LOCK_HELD);
	CHANGE(&s, s.store.is_out = true);
	until(&s, FL_CONSUL_LOCK_UNKNOWN);
	cr_expect(strstr(fl_consul_lock_error(s.lock), "No cluster leader"), "%s",
		fl_consul_lock_error(s.lock));
	CHANGE(&s, s.store.is_out = false; s.store.holder[0] = '\0');
	until(&s, FL_CONSUL_LOCK_HELD);
	end(&s);
}
