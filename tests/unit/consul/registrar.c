/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The registrar against a Consul agent that notes what it was asked.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "lib/declared.h"
#include "lib/http_server.h"
#include "registry/consul/registrar.h"

#define OK       "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define FAILED   "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 17\r\n\r\nNo cluster leader"
#define UNKNOWN  "HTTP/1.1 404 Not Found\r\nContent-Length: 16\r\n\r\nUnknown check ID"
#define LOG_MAX  4096
#define LIST_MAX 8192

/* ------------------------------------------------------------ Consul's agent */

struct agent {
	pthread_mutex_t mutex;
	json_t *services;  /* by id, as GET /v1/agent/services answers */
	char log[LOG_MAX]; /* "PUT PATH\n" of each request but that */
	char list[LIST_MAX];
	unsigned failures; /* so many requests fail first */
	bool forgets;      /* its checks are unknown, once */
};

static void take(struct agent *agent, const struct test_request *request)
{
	static const char deregister[] = "/v1/agent/service/deregister/";
	size_t used = strlen(agent->log);

	snprintf(agent->log + used, LOG_MAX - used, "%s %s\n", request->method, request->target);
	if (strncmp(request->target, "/v1/agent/service/register", 26) == 0) {
		json_t *document = json_loadb(request->body, request->length, 0, NULL);

		json_object_set_new(agent->services,
			json_string_value(json_object_get(document, "ID")), document);
	}
	if (strncmp(request->target, deregister, strlen(deregister)) == 0)
		json_object_del(agent->services, request->target + strlen(deregister));
}

static void answer(void *context, const struct test_request *request, struct test_reply *ret)
{
	struct agent *agent = context;

	pthread_mutex_lock(&agent->mutex);
	ret->bytes = OK;
	if (agent->failures) {
		agent->failures--;
		ret->bytes = FAILED;
	} else if (strcmp(request->method, "GET") == 0) {
		char *text = json_dumps(agent->services, JSON_COMPACT);

		snprintf(agent->list, LIST_MAX, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
			strlen(text), text);
		free(text);
		ret->bytes = agent->list;
	} else if (agent->forgets && strstr(request->target, "/check/update/")) {
		agent->forgets = false;
		json_object_clear(agent->services);
		ret->bytes = UNKNOWN;
	} else {
		take(agent, request);
	}
	pthread_mutex_unlock(&agent->mutex);
}

/* ------------------------------------------------------------------- the stage */

struct stage {
	struct agent agent;
	struct test_http_server *server;
	uv_loop_t loop;
	uv_timer_t ticker;
	char url[64];
	char *urls[1];
	struct fl_consul_config config;
	struct fl_consul_client *client;
	struct fl_consul_registrar *registrar;
};

static const struct fl_consul_registering how = {
	.owner = "n1/consul", .verdict = true, .ttl_s = 3
};

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

static void begin(struct stage *s)
{
	struct test_http_options options = { .answer = answer, .context = &s->agent };
	struct fl_failure failure;

	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->agent.mutex, NULL);
	s->agent.services = json_object();
	s->server = test_http_start(&options);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", test_http_port(s->server));
	s->urls[0] = s->url;
	s->config = (struct fl_consul_config){ .urls = s->urls, .url_count = 1, .connections = 4 };
	uv_loop_init(&s->loop);
	uv_timer_init(&s->loop, &s->ticker);
	uv_timer_start(&s->ticker, on_tick, 10, 10);
	cr_assert_eq(fl_consul_client_open(&s->loop, &s->config, &failure, &s->client), 0);
	cr_assert_eq(
		fl_consul_registrar_start(&s->loop, s->client, "consul", &how, &s->registrar), 0);
}

static void end(struct stage *s)
{
	fl_consul_registrar_stop(s->registrar);
	fl_consul_client_close(s->client);
	uv_close((uv_handle_t *)&s->ticker, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	cr_expect_eq(uv_loop_close(&s->loop), 0, "something is left open");
	test_http_stop(s->server);
	json_decref(s->agent.services);
}

/* One service "web" with the given endpoints, registered in "consul". */
static void want(struct stage *s, const char *endpoints)
{
	struct fl_service *service = test_service("web", "10.0.0.10:80/tcp", endpoints);
	struct fl_snapshot *snapshot;

	service->registration.registry = strdup("consul");
	service->registry = strdup("file");
	snapshot = test_snapshot(1, &service, 1);
	fl_consul_registrar_want(s->registrar, snapshot);
	fl_snapshot_unref(snapshot);
}

static bool has_logged(struct stage *s, const char *part)
{
	bool has;

	pthread_mutex_lock(&s->agent.mutex);
	has = strstr(s->agent.log, part);
	pthread_mutex_unlock(&s->agent.mutex);
	return has;
}

static size_t registered(struct stage *s)
{
	size_t count;

	pthread_mutex_lock(&s->agent.mutex);
	count = json_object_size(s->agent.services);
	pthread_mutex_unlock(&s->agent.mutex);
	return count;
}

/* Turn the loop until all is in place and Consul has so many instances. */
static void settle(struct stage *s, size_t wanted, size_t in_consul)
{
	uint64_t end_ns = fl_clock_mono_ns() + 60000000000ull;
	struct fl_consul_registrar_stats stats;

	do {
		uv_run(&s->loop, UV_RUN_ONCE);
		fl_consul_registrar_stats(s->registrar, &stats);
	} while ((stats.in_place != wanted || stats.wanted != wanted || *stats.error ||
			 registered(s) != in_consul) &&
		 fl_clock_mono_ns() < end_ns);
	cr_assert_eq(stats.in_place, wanted, "%zu, %s", stats.in_place, stats.error);
	cr_assert_eq(registered(s), in_consul);
}

static void until_logged(struct stage *s, const char *part)
{
	uint64_t end_ns = fl_clock_mono_ns() + 60000000000ull;

	while (!has_logged(s, part) && fl_clock_mono_ns() < end_ns)
		uv_run(&s->loop, UV_RUN_ONCE);
	cr_assert(has_logged(s, part), "no %s", part);
}

static void forget_log(struct stage *s)
{
	pthread_mutex_lock(&s->agent.mutex);
	s->agent.log[0] = '\0';
	pthread_mutex_unlock(&s->agent.mutex);
}

/* -------------------------------------------------------------------- stories */

Test(consul_registrar, what_is_declared_is_registered_and_what_is_not_goes)
{
	struct stage s;

	begin(&s);
	want(&s, "192.0.2.1:80 192.0.2.2:80/down");
	settle(&s, 2, 2);
	want(&s, "192.0.2.1:80");
	settle(&s, 1, 1);
	until_logged(&s, "PUT /v1/agent/service/deregister/fairlead-web-192.0.2.2-80-");
	fl_consul_registrar_want(s.registrar, NULL);
	settle(&s, 0, 0);
	end(&s);
}

Test(consul_registrar, health_is_told_at_once_and_again_and_again)
{
	struct stage s;

	begin(&s);
	want(&s, "192.0.2.1:80");
	settle(&s, 1, 1);
	until_logged(&s, "PUT /v1/agent/check/update/fairlead-web-192.0.2.1-80-");
	forget_log(&s);
	want(&s, "192.0.2.1:80/down");
	until_logged(&s, "PUT /v1/agent/check/update/");
	cr_expect_not(has_logged(&s, "service/register"), "its state is no reason for it");
	forget_log(&s);
	until_logged(&s, "PUT /v1/agent/check/update/");
	end(&s);
}

Test(consul_registrar, maintenance_is_consul_s_own)
{
	struct stage s;

	begin(&s);
	want(&s, "192.0.2.1:80/maintenance");
	until_logged(&s, "PUT /v1/agent/service/maintenance/fairlead-web-192.0.2.1-80-");
	end(&s);
}

/* What an agent that was killed left, and what is somebody else's. */
Test(consul_registrar, leftovers_go_and_others_stay)
{
	struct stage s;

	begin(&s);
	json_object_set_new(s.agent.services, "old",
		json_pack("{s:s, s:{s:s}}", "ID", "old", "Meta", "fairlead-owner", "n1/consul"));
	json_object_set_new(s.agent.services, "other",
		json_pack("{s:s, s:{s:s}}", "ID", "other", "Meta", "fairlead-owner", "n2/consul"));
	json_object_set_new(s.agent.services, "plain", json_pack("{s:s}", "ID", "plain"));
	want(&s, "192.0.2.1:80");
	settle(&s, 1, 3);
	cr_expect(has_logged(&s, "deregister/old\n"));
	cr_expect_not(has_logged(&s, "deregister/other"));
	cr_expect_not(has_logged(&s, "deregister/plain"));
	end(&s);
}

/* The same declared again, by an agent that knows nothing: nothing is written but health. */
Test(consul_registrar, a_restart_registers_nothing_again)
{
	struct stage s;

	begin(&s);
	want(&s, "192.0.2.1:80");
	settle(&s, 1, 1);
	fl_consul_registrar_stop(s.registrar);
	forget_log(&s);
	cr_assert_eq(fl_consul_registrar_start(&s.loop, s.client, "consul", &how, &s.registrar), 0);
	want(&s, "192.0.2.1:80");
	settle(&s, 1, 1);
	until_logged(&s, "PUT /v1/agent/check/update/");
	cr_expect_not(has_logged(&s, "service/register"));
	end(&s);
}

Test(consul_registrar, a_consul_that_fails_is_asked_again)
{
	struct stage s;

	begin(&s);
	s.agent.failures = 3;
	want(&s, "192.0.2.1:80");
	settle(&s, 1, 1);
	end(&s);
}

Test(consul_registrar, a_consul_that_was_wiped_is_filled_again)
{
	struct stage s;

	begin(&s);
	want(&s, "192.0.2.1:80 192.0.2.2:80");
	settle(&s, 2, 2);
	pthread_mutex_lock(&s.agent.mutex);
	s.agent.forgets = true;
	s.agent.log[0] = '\0';
	pthread_mutex_unlock(&s.agent.mutex);
	until_logged(&s, "PUT /v1/agent/service/register");
	settle(&s, 2, 2);
	end(&s);
}

/* Nobody knows who may write: nothing is, until somebody does. */
Test(consul_registrar, a_pause_writes_nothing)
{
	struct fl_consul_registrar_stats stats;
	struct stage s;
	unsigned before;

	begin(&s);
	want(&s, "192.0.2.1:80");
	settle(&s, 1, 1);
	fl_consul_registrar_pause(s.registrar);
	before = test_http_requests(s.server);
	for (uint64_t end_ns = fl_clock_mono_ns() + how.ttl_s * 1000000000ull;
		fl_clock_mono_ns() < end_ns;)
		uv_run(&s.loop, UV_RUN_ONCE);
	cr_expect_leq(test_http_requests(s.server), before + 1, "one may have been under way");
	want(&s, "192.0.2.1:80");
	settle(&s, 1, 1);
	fl_consul_registrar_stats(s.registrar, &stats);
	cr_expect_str_empty(stats.error);
	end(&s);
}
