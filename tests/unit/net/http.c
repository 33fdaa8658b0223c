/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "lib/asking.h"
#include "lib/http_server.h"

#define OK        "HTTP/1.1 200 OK\r\n"
#define MEGABYTES (1u << 20)

static char url_buffers[8][128];

/* A URL of the server; the next seven are valid beside it. */
static const char *url_of(struct test_http_server *server, const char *target)
{
	static unsigned next;
	char *url = url_buffers[next++ % 8];

	snprintf(
		url, sizeof(*url_buffers), "http://127.0.0.1:%u%s", test_http_port(server), target);
	return url;
}

/* ------------------------------------------------------------------ answers */

#define HANGS_MS 1500 /* how long to wait for what never comes */

static const struct test_reply replies[] = {
	{ "/length", OK "Content-Length: 5\r\n\r\nhello" },
	{ "/chunked", OK "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n" },
	{ "/until-closed", OK "\r\nhello", .then = TEST_CLOSE },
	{ "/empty", OK "Content-Length: 0\r\n\r\n" },
	{ "/none", "HTTP/1.1 204 No Content\r\n\r\n" },
	{ "/error", "HTTP/1.1 500 Oh no\r\nContent-Length: 9\r\n\r\nNo leader" },
	{ "/moved", "HTTP/1.1 302 Found\r\nLocation: /length\r\nContent-Length: 0\r\n\r\n" },
	{ "/interim",
		"HTTP/1.1 100 Continue\r\n\r\n" OK "X-Token: b\r\nContent-Length: 1\r\n\r\nx" },
	{ "/old", "HTTP/1.0 200 OK\r\n\r\nhello", .then = TEST_CLOSE },
	{ "/token", OK "x-tOKEN:  \t a:b c \t\r\nX-Token-Not: no\r\nContent-Length: 1\r\n\r\nx" },
	{ "/two-tokens", OK "X-Token: a\r\nX-Token: b\r\nContent-Length: 1\r\n\r\nx" },
	{ "/void-token", OK "X-Token:\r\nX-Other: x\r\nContent-Length: 1\r\n\r\nx" },
	{ "/slow", OK "Content-Length: 1\r\n\r\nx", .drip_ms = 1 },
	{ "/short", OK "Content-Length: 50\r\n\r\nhello", .then = TEST_CLOSE },
	{ "/half-chunk", OK "Transfer-Encoding: chunked\r\n\r\n50\r\nhel", .then = TEST_CLOSE },
	{ "/bad-chunk", OK "Transfer-Encoding: chunked\r\n\r\nzz\r\nhel\r\n", .then = TEST_CLOSE },
	{ "/nothing", "", .then = TEST_CLOSE },
	{ "/reset", "", .then = TEST_RESET },
	{ "/half-head", "HTTP/1.1 200 O", .then = TEST_CLOSE },
	{ "/garbage", "\x16\x03\x01 nonsense \xff\xfe\r\n\r\n", .then = TEST_CLOSE },
	{ "/no-http", "hello\n", .then = TEST_CLOSE },
	{ "/minus", OK "Content-Length: -5\r\n\r\nhello", .then = TEST_CLOSE },
	{ "/hang", "", .then = TEST_HANG },
	{ "/hang-head", OK "X: ", .then = TEST_HANG },
	{ "/hang-body", OK "Content-Length: 9\r\n\r\nhello", .then = TEST_HANG },
	{ "/claims-much", OK "Content-Length: 99999999\r\n\r\n", .then = TEST_HANG },
	{ "/much", OK "\r\n", .filler = 50 * MEGABYTES, .then = TEST_HANG },
	{ "/long-header", OK "X-Long: ", .filler = 200000, .then = TEST_HANG },
	{ "", NULL },
};

struct answer_row {
	const char *target;
	int error;
	unsigned status;
	const char *body;
	const char *message; /* part of it */
	const char *token;
};

/* What a server sends is in `replies`, under the same target. */
static const struct answer_row answers[] = {
	{ "/length", 0, 200, "hello" },
	{ "/chunked", 0, 200, "hello" },
	{ "/until-closed", 0, 200, "hello" },
	{ "/empty", 0, 200, "" },
	{ "/none", 0, 204, "" },
	{ "/error", 0, 500, "No leader" },
	{ "/not-there", 0, 404, "" },
	{ "/moved", 0, 302, "" },
	{ "/interim", 0, 200, "x", .token = "b" },
	{ "/old", 0, 200, "hello" },
	{ "/token", 0, 200, "x", .token = "a:b c" },
	{ "/two-tokens", 0, 200, "x", .token = "b" },
	{ "/void-token", 0, 200, "x" },
	{ "/slow", 0, 200, "x" },
	{ "/short", -ECONNRESET, .message = "closed within its answer" },
	{ "/half-chunk", -ECONNRESET },
	{ "/bad-chunk", -EPROTO },
	{ "/nothing", -ECONNRESET, .message = "closed without an answer" },
	{ "/reset", -ECONNRESET },
	{ "/half-head", -ECONNRESET },
	{ "/garbage", -EPROTO },
	{ "/no-http", -EPROTO },
	{ "/minus", -EPROTO },
	{ "/hang", -ETIMEDOUT, .message = "no whole answer in time" },
	{ "/hang-head", -ETIMEDOUT },
	{ "/hang-body", -ETIMEDOUT },
	{ "/claims-much", -EFBIG, .message = "more than 1000 bytes" },
	{ "/much", -EFBIG, .message = "more than 1000 bytes" },
	{ "/long-header", -EFBIG, .message = "of headers" },
};

static void expect(const struct answer_row *row, struct test_result *result)
{
	cr_expect_eq(result->error, row->error, "%s: error %d: %s", row->target, result->error,
		result->message);
	cr_expect_eq(result->status, row->status, "%s: status %u", row->target, result->status);
	cr_expect_eq(!result->body, !row->body, "%s: a body?", row->target);
	if (result->body && row->body) {
		cr_expect_str_eq(result->body, row->body, "%s", row->target);
		cr_expect_eq(result->length, strlen(row->body), "%s", row->target);
	}
	if (row->message)
		cr_expect(strstr(result->message, row->message), "%s: %s", row->target,
			result->message);
	cr_expect_eq(!*result->message, !row->error, "%s: %s", row->target, result->message);
	cr_expect_str_eq(result->token, row->token ? row->token : "", "%s", row->target);
	free(result->body);
}

Test(http, what_servers_answer)
{
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = replies });
	struct test_asking asking;

	test_asking_begin(&asking, NULL);
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		bool hangs = answers[i].error == -ETIMEDOUT;
		struct fl_http_request request = { .url = url_of(server, answers[i].target),
			.timeout_ms = hangs ? HANGS_MS : 60000,
			.max_bytes = 1000 };
		struct test_result result;

		test_asking_get(&asking, &request, &result);
		expect(&answers[i], &result);
	}
	test_asking_end(&asking);
	test_http_stop(server);
}

Test(http, the_same_all_at_once)
{
	enum { ROWS = sizeof(answers) / sizeof(*answers), ROUNDS = 8 };
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = replies });
	static struct test_result results[ROUNDS][ROWS];
	struct test_asking asking;

	test_asking_begin(&asking, &(struct fl_http_options){ .connections = 1000 });
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < ROWS; i++) {
			bool hangs = answers[i].error == -ETIMEDOUT;
			struct fl_http_request request = { .url = url_of(server, answers[i].target),
				.timeout_ms = hangs ? HANGS_MS : 60000,
				.max_bytes = 1000 };

			/* what hangs may not even be accepted in that time */
			if (!hangs)
				cr_assert_eq(test_asking_send(
						     &asking, &request, &results[round][i], NULL),
					0);
		}
	}
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < ROWS; i++) {
			if (answers[i].error == -ETIMEDOUT)
				continue;
			test_asking_until(&asking, &results[round][i].calls, 1);
			expect(&answers[i], &results[round][i]);
		}
	}
	test_asking_end(&asking);
	test_http_stop(server);
}

Test(http, fifty_megabytes_are_an_answer_where_they_may)
{
	static const struct test_reply rows[] = {
		{ "/", OK "Content-Length: 52428800\r\n\r\n", .filler = 50 * MEGABYTES },
		{ "", NULL },
	};
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = rows });
	struct test_asking asking;
	struct test_result result;

	test_asking_begin(&asking, NULL);
	test_asking_get(&asking,
		&(struct fl_http_request){ .url = url_of(server, "/"), .timeout_ms = 60000 },
		&result);
	cr_expect_eq(result.error, 0, "%s", result.message);
	cr_expect_eq(result.length, 50 * MEGABYTES);
	cr_expect_eq(strlen(result.body), 50 * MEGABYTES, "a NUL follows");
	free(result.body);
	test_asking_end(&asking);
	test_http_stop(server);
}

/* ----------------------------------------------------------------- requests */

static char seen[1024];

static void note(void *context, const struct test_request *request, struct test_reply *ret)
{
	(void)context;
	snprintf(seen, sizeof(seen), "%s %s\r\n%s%s", request->method, request->target,
		request->headers, request->body);
	ret->bytes = OK "Content-Length: 0\r\n\r\n";
}

struct request_row {
	const char *name;
	struct fl_http_request request; /* without the URL */
	const char *target;
	const char *expect, *expect_too, *unwanted; /* parts; NULL = nothing */
};

static const char *const token_header[] = { "X-Consul-Token: s3cret", "Content-Type: text/plain",
	NULL };

static const struct request_row requests[] = {
	{ "a GET", { 0 }, "/v1/kv/a%20b?recurse&index=7", "GET /v1/kv/a%20b?recurse&index=7\r\n",
		"Host: 127.0.0.1:", "Content-" },
	{ "who asks", { 0 }, "/", "User-Agent: fairlead/", NULL, "Expect" },
	{ "headers", { .headers = token_header }, "/", "X-Consul-Token: s3cret\r\n",
		"Content-Type: text/plain\r\n", NULL },
	{ "a PUT", { .method = "PUT", .body = "hello", .length = 5 }, "/", "PUT /\r\n",
		"Content-Length: 5\r\n\r\nhello", "Content-Type" },
	{ "a PUT of nothing", { .method = "PUT" }, "/", "PUT /\r\n", "Content-Length: 0\r\n",
		NULL },
	{ "a DELETE", { .method = "DELETE" }, "/", "DELETE /\r\n", NULL, "Content-" },
	{ "a HEAD", { .method = "HEAD" }, "/", "HEAD /\r\n", NULL, "Content-" },
	{ "a body of which only a part is meant",
		{ .method = "POST", .body = "hello", .length = 2 }, "/",
		"Content-Length: 2\r\n\r\nhe", NULL, "hel" },
};

Test(http, what_a_server_sees)
{
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .answer = note });
	struct test_asking asking;

	test_asking_begin(&asking, NULL);
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		const struct request_row *row = &requests[i];
		struct fl_http_request request = row->request;
		struct test_result result;

		request.url = url_of(server, row->target);
		test_asking_get(&asking, &request, &result);
		cr_expect_eq(result.error, 0, "%s: %s", row->name, result.message);
		cr_expect(strstr(seen, row->expect), "%s: %s", row->name, seen);
		if (row->expect_too)
			cr_expect(strstr(seen, row->expect_too), "%s: %s", row->name, seen);
		if (row->unwanted)
			cr_expect(!strstr(seen, row->unwanted), "%s: %s", row->name, seen);
		free(result.body);
	}
	test_asking_end(&asking);
	test_http_stop(server);
}

Test(http, what_is_given_is_copied)
{
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .answer = note });
	char body[] = "body", header[] = "X-A: header", method[] = "POST";
	const char *headers[] = { header, NULL };
	struct test_result first = { 0 }, second = { 0 };
	struct test_asking asking;
	char url[64];

	snprintf(url, sizeof(url), "%s", url_of(server, "/url"));
	test_asking_begin(&asking, &(struct fl_http_options){ .connections = 1 });
	for (int i = 0; i < 2; i++)
		cr_assert_eq(test_asking_send(&asking,
				     &(struct fl_http_request){ .method = method,
					     .url = url,
					     .headers = headers,
					     .body = body,
					     .length = 4 },
				     i ? &second : &first, NULL),
			0);
	memset(body, '!', 4);
	memset(header, '!', sizeof(header) - 1);
	memset(url, '!', sizeof(url));
	memset(method, '!', 4);
	test_asking_until(&asking, &second.calls, 1); /* it waited for the first */
	cr_expect(strstr(seen, "POST /url\r\n"), "%s", seen);
	cr_expect(strstr(seen, "X-A: header\r\n"), "%s", seen);
	cr_expect(strstr(seen, "\r\n\r\nbody"), "%s", seen);
	free(first.body);
	free(second.body);
	test_asking_end(&asking);
	test_http_stop(server);
}

Test(http, what_is_no_request)
{
	static const char *const smuggled[] = { "X-A: b\r\nX-C: d", NULL };
	static const char *const nameless[] = { "nonsense", NULL };
	static const struct fl_http_request rows[] = {
		{ .url = "" },
		{ .url = "127.0.0.1:8500" },
		{ .url = "ftp://127.0.0.1/" },
		{ .url = "file:///etc/passwd" },
		{ .url = "http://" },
		{ .url = "http://a b/" },
		{ .url = "http://127.0.0.1/a\r\nX: y" },
		{ .url = "http://127.0.0.1:99999/" },
		{ .url = "http://127.0.0.1/", .method = "GET /\r\n" },
		{ .url = "http://127.0.0.1/", .method = "" },
		{ .url = "http://127.0.0.1/", .headers = smuggled },
		{ .url = "http://127.0.0.1/", .headers = nameless },
	};
	struct test_result result = { 0 };
	struct test_asking asking;

	test_asking_begin(&asking, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(test_asking_send(&asking, &rows[i], &result, NULL), -EINVAL,
			"%s, row %zu", rows[i].url, i);
	test_asking_end(&asking);
	cr_expect_eq(result.calls, 0);
}

/* -------------------------------------------------------------- connections */

Test(http, nobody_is_there)
{
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = replies });
	const char *url = url_of(server, "/");
	struct test_asking asking;
	struct test_result result;

	test_http_stop(server);
	test_asking_begin(&asking, NULL);
	test_asking_get(&asking, &(struct fl_http_request){ .url = url }, &result);
	cr_expect_eq(result.error, -ECONNREFUSED, "%s", result.message);
	cr_expect(strstr(result.message, "Connection refused"), "%s", result.message);
	test_asking_get(&asking,
		&(struct fl_http_request){
			.url = "http://no-such-host.invalid:8500/", .timeout_ms = 60000 },
		&result);
	cr_expect(result.error == -ENOENT || result.error == -ETIMEDOUT, "%d: %s", result.error,
		result.message); /* the latter where no name server answers */
	test_asking_end(&asking);
}

Test(http, connections_are_used_again)
{
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = replies });
	struct test_asking asking;
	struct test_result result;

	test_asking_begin(&asking, NULL);
	for (int i = 0; i < 20; i++) {
		test_asking_get(&asking,
			&(struct fl_http_request){ .url = url_of(server, "/length") }, &result);
		cr_expect_eq(result.error, 0, "%s", result.message);
		free(result.body);
	}
	cr_expect_eq(test_http_connections(server), 1);
	test_asking_end(&asking);
	test_http_stop(server);
}

/* Says that it will keep the connection, and closes it. */
static const struct test_reply faithless[] = {
	{ "", OK "Content-Length: 5\r\n\r\nhello", .then = TEST_CLOSE },
	{ "", NULL },
};

Test(http, a_connection_that_was_closed_while_idle_is_no_failure)
{
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = faithless });
	struct test_asking asking;
	struct test_result result;

	test_asking_begin(&asking, NULL);
	for (int i = 0; i < 20; i++) {
		test_asking_get(
			&asking, &(struct fl_http_request){ .url = url_of(server, "/") }, &result);
		cr_expect_eq(result.error, 0, "%s", result.message);
		free(result.body);
	}
	test_asking_end(&asking);
	test_http_stop(server);
}

Test(http, no_more_connections_than_allowed)
{
	enum { CALLS = 200 };
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = replies });
	static struct test_result results[CALLS];
	struct test_asking asking;

	test_asking_begin(&asking, &(struct fl_http_options){ .connections = 3 });
	for (int i = 0; i < CALLS; i++)
		cr_assert_eq(test_asking_send(&asking,
				     &(struct fl_http_request){ .url = url_of(server, "/length"),
					     .timeout_ms = 60000 },
				     &results[i], NULL),
			0);
	for (int i = 0; i < CALLS; i++) {
		test_asking_until(&asking, &results[i].calls, 1);
		cr_expect_eq(results[i].error, 0, "%s", results[i].message);
		free(results[i].body);
	}
	cr_expect_eq(test_http_requests(server), CALLS);
	cr_expect_leq(test_http_connections(server), 3);
	test_asking_end(&asking);
	test_http_stop(server);
}

Test(http, who_waits_in_vain_is_told_in_time)
{
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = replies });
	struct test_result holder = { 0 }, patient = { 0 }, hasty = { 0 };
	struct fl_http_call *call;
	struct test_asking asking;

	test_asking_begin(&asking, &(struct fl_http_options){ .connections = 1 });
	test_asking_send(&asking,
		&(struct fl_http_request){ .url = url_of(server, "/hang"), .timeout_ms = 120000 },
		&holder, &call);
	test_asking_send(&asking,
		&(struct fl_http_request){ .url = url_of(server, "/length"), .timeout_ms = 120000 },
		&patient, NULL);
	test_asking_send(&asking,
		&(struct fl_http_request){ .url = url_of(server, "/length"), .timeout_ms = 100 },
		&hasty, NULL);
	test_asking_until(&asking, &hasty.calls, 1);
	cr_expect_eq(hasty.error, -ETIMEDOUT, "%s", hasty.message);
	cr_expect_eq(patient.calls, 0);
	fl_http_cancel(call); /* its place is the patient one's */
	test_asking_until(&asking, &patient.calls, 1);
	cr_expect_eq(patient.error, 0, "%s", patient.message);
	cr_expect_eq(holder.calls, 0);
	free(patient.body);
	test_asking_end(&asking);
	test_http_stop(server);
}

Test(http, unix_sockets)
{
	char directory[] = "/tmp/fl-http-XXXXXX", path[64];
	struct test_http_server *server;
	struct test_asking asking;
	struct test_result result;

	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/socket", directory);
	server = test_http_start(
		&(struct test_http_options){ .rows = replies, .unix_socket = path });
	test_asking_begin(&asking, &(struct fl_http_options){ .unix_socket = path });
	test_asking_get(
		&asking, &(struct fl_http_request){ .url = "http://localhost/length" }, &result);
	cr_expect_eq(result.error, 0, "%s", result.message);
	free(result.body);
	test_http_stop(server);
	test_asking_get(
		&asking, &(struct fl_http_request){ .url = "http://localhost/length" }, &result);
	cr_expect_eq(result.error, -ENOENT, "%d: %s", result.error, result.message);
	cr_expect(strstr(result.message, path), "%s", result.message);
	test_asking_end(&asking);
	rmdir(directory);
}

Test(http, proxies_of_the_environment_are_not_asked)
{
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = replies });
	struct test_asking asking;
	struct test_result result;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	test_asking_begin(&asking, NULL);
	test_asking_get(
		&asking, &(struct fl_http_request){ .url = url_of(server, "/length") }, &result);
	cr_expect_eq(result.error, 0, "%s", result.message);
	free(result.body);
	test_asking_end(&asking);
	test_http_stop(server);
}

/* A port whose queue of connections is full: nothing answers there. */
Test(http, a_connection_that_does_not_come_about)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), filler[4];
	struct test_asking asking;
	struct test_result result;
	char url[64];

	cr_assert_eq(bind(listener, (struct sockaddr *)&address, length), 0);
	cr_assert_eq(listen(listener, 0), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	for (int i = 0; i < 4; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(filler[i], (struct sockaddr *)&address, length);
	}
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
	test_asking_begin(&asking, &(struct fl_http_options){ .connect_ms = 200 });
	test_asking_get(
		&asking, &(struct fl_http_request){ .url = url, .timeout_ms = 60000 }, &result);
	cr_expect_eq(result.error, -ETIMEDOUT, "%d: %s", result.error, result.message);
	cr_expect(strstr(result.message, "no connection within 200 ms"), "%s", result.message);
	test_asking_end(&asking);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
	close(listener);
}

/* ------------------------------------------------------- cancelling and closing */

Test(http, cancelled_at_any_moment)
{
	static const char *const targets[] = { "/hang", "/hang-head", "/hang-body", "/much",
		"/length", "/slow" };
	enum { TARGETS = sizeof(targets) / sizeof(*targets), TURNS = 12 };
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = replies });
	struct test_asking asking;

	test_asking_begin(&asking, NULL);
	for (int turns = 0; turns < TURNS; turns++) {
		struct test_result results[TARGETS] = { 0 };
		struct fl_http_call *calls[TARGETS];

		for (int i = 0; i < TARGETS; i++)
			test_asking_send(&asking,
				&(struct fl_http_request){ .url = url_of(server, targets[i]) },
				&results[i], &calls[i]);
		for (int i = 0; i < turns; i++)
			uv_run(&asking.loop, UV_RUN_NOWAIT);
		for (int i = 0; i < TARGETS; i++) {
			unsigned before = results[i].calls;

			if (!before)
				fl_http_cancel(calls[i]);
			free(results[i].body);
			results[i].body = NULL;
		}
		for (int i = 0; i < 10; i++)
			uv_run(&asking.loop, UV_RUN_NOWAIT);
		for (int i = 0; i < TARGETS; i++)
			cr_expect_null(
				results[i].body, "%s: told after it was cancelled", targets[i]);
	}
	test_asking_end(&asking);
	test_http_stop(server);
}

/* What happens within `done`. */
struct within {
	struct test_asking *asking;
	struct test_http_server *server;
	struct fl_http_call *others[3];
	struct test_result other_results[3];
	bool close;
};

static void stop_others(void *context)
{
	struct within *within = context;

	for (int i = 0; i < 3; i++)
		if (within->others[i])
			fl_http_cancel(TAKE_PTR(within->others[i]));
	if (within->close)
		fl_http_close(TAKE_PTR(within->asking->http));
	else
		test_asking_send(within->asking,
			&(struct fl_http_request){ .url = url_of(within->server, "/length") },
			&within->other_results[0], NULL);
}

static void do_within(bool cancel, bool close)
{
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = replies });
	struct test_asking asking;
	struct within within = { .asking = &asking, .server = server, .close = close };
	struct test_result first = { .then = stop_others, .context = &within };
	static const char *const targets[] = { "/hang", "/much", "/length" };

	/* the third waits for a connection */
	test_asking_begin(&asking, &(struct fl_http_options){ .connections = 3 });
	test_asking_send(
		&asking, &(struct fl_http_request){ .url = url_of(server, "/slow") }, &first, NULL);
	for (int i = 0; i < 3; i++)
		test_asking_send(&asking,
			&(struct fl_http_request){
				.url = url_of(server, targets[i]), .max_bytes = 1u << 30 },
			&within.other_results[i], cancel ? &within.others[i] : NULL);
	test_asking_until(&asking, &first.calls, 1);
	cr_expect_eq(first.error, 0, "%s", first.message);
	if (!close) {
		test_asking_until(&asking, &within.other_results[0].calls, 1);
		cr_expect_eq(within.other_results[0].error, 0);
	}
	test_asking_end(&asking);
	for (int i = close ? 0 : 1; i < 3; i++)
		cr_expect_eq(within.other_results[i].calls, 0, "%d", i);
	free(first.body);
	free(within.other_results[0].body);
	test_http_stop(server);
}

Test(http, cancelling_and_sending_within_done)
{
	do_within(true, false);
}

Test(http, closing_within_done)
{
	do_within(false, true);
}

Test(http, cancelling_and_closing_within_done)
{
	do_within(true, true);
}

/* Both answers are there when the loop looks: the first to be told cancels the other. */
static void cancel_other(void *context)
{
	struct fl_http_call **other = context;

	fl_http_cancel(TAKE_PTR(*other));
}

Test(http, what_is_complete_and_not_told_yet_can_be_cancelled)
{
	struct test_http_server *server =
		test_http_start(&(struct test_http_options){ .rows = replies });
	struct test_asking asking;

	test_asking_begin(&asking, NULL);
	for (int i = 0; i < 20; i++) {
		struct fl_http_call *calls[2];
		struct test_result a = { .then = cancel_other, .context = &calls[1] };
		struct test_result b = { .then = cancel_other, .context = &calls[0] };
		unsigned told = 0;

		test_asking_send(&asking,
			&(struct fl_http_request){ .url = url_of(server, "/length") }, &a,
			&calls[0]);
		test_asking_send(&asking,
			&(struct fl_http_request){ .url = url_of(server, "/length") }, &b,
			&calls[1]);
		usleep(2000);
		while (!told) {
			uv_run(&asking.loop, UV_RUN_ONCE);
			usleep(2000);
			told = a.calls + b.calls;
		}
		cr_expect_eq(told, 1);
		free(a.body);
		free(b.body);
	}
	test_asking_end(&asking);
	test_http_stop(server);
}

Test(http, done_is_never_called_from_within_send)
{
	struct test_asking asking;
	struct test_result results[64] = { 0 };

	test_asking_begin(&asking, &(struct fl_http_options){ .connections = 8 });
	for (int i = 0; i < 64; i++) {
		test_asking_send(&asking,
			&(struct fl_http_request){ .url = "http://127.0.0.1:1/", .timeout_ms = 1 },
			&results[i], NULL);
		for (int j = 0; j <= i; j++)
			cr_assert_eq(results[j].calls, 0);
	}
	for (int i = 0; i < 64; i++) {
		test_asking_until(&asking, &results[i].calls, 1);
		cr_expect_neq(results[i].error, 0);
	}
	test_asking_end(&asking);
}

Test(http, close_welcomes_null)
{
	fl_http_close(NULL);
}
