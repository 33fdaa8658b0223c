/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Each kind of probe against something that really answers, through the checker.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "config/services.h"
#include "core/clock.h"
#include "health/checker.h"
#include "lib/certificates.h"
#include "lib/declared.h"
#include "lib/http_server.h"

#define DEADLINE_NS 60000000000ull

static char directory[32];

static void begin(void)
{
	strcpy(directory, "/tmp/fl-probes-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
}

static void end(void)
{
	DIR *list = opendir(directory);

	for (struct dirent *entry; (entry = readdir(list));)
		unlinkat(dirfd(list), entry->d_name, 0);
	closedir(list);
	rmdir(directory);
}

TestSuite(probes, .init = begin, .fini = end);

/* ------------------------------------------------------------------------ the world */

struct world {
	uv_loop_t loop;
	uv_timer_t watchdog;
	struct fl_health *health;
	struct fl_checker *checker;
	uv_handle_t *own; /* what the test listens on; NULL = nothing */
	uint64_t end_ns;
};

static void on_watchdog(uv_timer_t *timer)
{
	const struct world *w = timer->data;

	cr_assert_lt(fl_clock_mono_ns(), w->end_ns, "no end of it");
}

static void world_init(struct world *w)
{
	*w = (struct world){ .end_ns = fl_clock_mono_ns() + DEADLINE_NS };
	uv_loop_init(&w->loop);
	uv_timer_init(&w->loop, &w->watchdog);
	w->watchdog.data = w;
	uv_timer_start(&w->watchdog, on_watchdog, 100, 100);
	w->health = fl_health_new(NULL, NULL);
	cr_assert_eq(fl_checker_start(&w->loop, w->health, &w->checker), 0);
}

/* What is the test's own goes first; what it talked to, and commands that were killed, end by
 * themselves then. */
static void world_done(struct world *w)
{
	fl_checker_stop(w->checker);
	uv_close((uv_handle_t *)&w->watchdog, NULL);
	if (w->own)
		uv_close(w->own, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	cr_expect_eq(uv_loop_close(&w->loop), 0, "a handle was left open");
	fl_health_free(w->health);
}

/* A snapshot of one service, with so many endpoints from 127.0.0.1 up. */
static struct fl_snapshot *declare(uint16_t port, unsigned endpoints, const char *check)
{
	struct fl_problems problems = { 0 };
	fl_service_vec services = { 0 };
	struct fl_service *service;
	char text[2048];
	size_t length;
	int r;

	length = (size_t)snprintf(text, sizeof(text),
		"services: [{ name: web, frontends: ['10.0.0.1:80/tcp'], check: { interval: 50ms, "
		"%s "
		"%s }, endpoints: [",
		strstr(check, "timeout") ? "" : "timeout: 10s,", check);
	for (unsigned i = 1; i <= endpoints; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
			"{ address: '127.0.0.%u:%u' },", i, port);
	length += (size_t)snprintf(text + length, sizeof(text) - length, "] }]");
	r = fl_services_parse(text, length, "test", "test", &problems, &services);
	cr_assert(problems.errors == 0 && r == 0, "%s",
		problems.count ? problems.items[0].message : "");
	fl_problems_done(&problems);
	service = fl_service_ref(services.items[0]);
	fl_services_done(&services);
	return test_snapshot(1, &service, 1);
}

static struct fl_health_key key_of(unsigned endpoint, uint16_t port)
{
	struct fl_health_key key = { .service = "web", .port = port };
	char text[16];

	snprintf(text, sizeof(text), "127.0.0.%u", endpoint);
	cr_assert_eq(fl_ip_parse(text, &key.addr), 0);
	return key;
}

static uint64_t probes(const struct world *w)
{
	const struct fl_checker_stats *stats = fl_checker_stats(w->checker);

	return stats->passed + stats->failed + stats->unable;
}

static void run_until(struct world *w, uint64_t count)
{
	while (probes(w) < count)
		uv_run(&w->loop, UV_RUN_ONCE);
}

/* ----------------------------------------------------------------------- servers */

/* A TCP server on the same loop that says something, and wants to hear something first. */
struct speaker {
	uv_tcp_t listener;
	const char *hears; /* NULL = speaks at once */
	const char *says;
};

struct talk {
	uv_tcp_t socket;
	const struct speaker *speaker;
	char heard[64];
	size_t length;
};

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct talk *talk = handle->data;

	(void)size;
	*ret = uv_buf_init(
		talk->heard + talk->length, (unsigned)(sizeof(talk->heard) - talk->length));
}

static void on_talk_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void speak(struct talk *talk)
{
	uv_buf_t buffer =
		uv_buf_init((char *)talk->speaker->says, (unsigned)strlen(talk->speaker->says));

	uv_try_write((uv_stream_t *)&talk->socket, &buffer, 1);
}

static void on_heard(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct talk *talk = stream->data;

	(void)buffer;
	if (count < 0) {
		uv_close((uv_handle_t *)stream, on_talk_closed);
		return;
	}
	talk->length += (size_t)count;
	if (talk->speaker->hears && memmem(talk->heard, talk->length, talk->speaker->hears,
					    strlen(talk->speaker->hears)))
		speak(talk);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct talk *talk = calloc(1, sizeof(*talk));

	cr_assert(talk && status == 0);
	talk->speaker = listener->data;
	uv_tcp_init(listener->loop, &talk->socket);
	talk->socket.data = talk;
	cr_assert_eq(uv_accept(listener, (uv_stream_t *)&talk->socket), 0);
	uv_read_start((uv_stream_t *)&talk->socket, on_alloc, on_heard);
	if (!talk->speaker->hears)
		speak(talk);
}

/* @return its port, on every address */
static uint16_t listen_on(struct world *w, struct speaker *speaker)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int length = sizeof(address);

	uv_tcp_init(&w->loop, &speaker->listener);
	speaker->listener.data = speaker;
	w->own = (uv_handle_t *)&speaker->listener;
	cr_assert_eq(uv_tcp_bind(&speaker->listener, (struct sockaddr *)&address, 0), 0);
	cr_assert_eq(uv_listen((uv_stream_t *)&speaker->listener, 64, on_connection), 0);
	uv_tcp_getsockname(&speaker->listener, (struct sockaddr *)&address, &length);
	return ntohs(address.sin_port);
}

/* A port where nobody listens. */
static uint16_t closed_port(int type)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, type, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&address, length), 0);
	getsockname(fd, (struct sockaddr *)&address, &length);
	close(fd);
	return ntohs(address.sin_port);
}

/* ------------------------------------------------------------------ one by one */

struct row {
	const char *name;
	const char *check;
	const char *hears, *says; /* of a server; NULL = nothing */
	enum fl_sign sign;
	const char *detail; /* part of it */
};

/* The first probe decides. */
static void check_row(const struct row *row, struct world *w, uint16_t port)
{
	struct fl_snapshot *snapshot = declare(port, 1, row->check);
	struct fl_health_key key = key_of(1, port);
	const struct fl_signals *signals;

	cr_assert_eq(fl_checker_configure(w->checker, snapshot), 0);
	run_until(w, 1);
	signals = fl_health_signals(w->health, &key);
	cr_assert_not_null(signals, "%s", row->name);
	if (signals->agent != FL_SIGN_NONE)
		cr_expect_eq(signals->agent, row->sign, "%s: %d", row->name, signals->agent);
	else
		cr_expect_eq(signals->probe, row->sign, "%s: %d", row->name, signals->probe);
	cr_expect(strstr(fl_health_detail(w->health, &key), row->detail), "%s: %s", row->name,
		fl_health_detail(w->health, &key));
	fl_snapshot_unref(snapshot);
}

static const struct row tcp_rows[] = {
	{ "connect", "tcp: true", NULL, "", FL_SIGN_UP, "connected" },
	{ "a greeting", "tcp: true, contains: ready", NULL, "220 ready\r\n", FL_SIGN_UP, "fits" },
	{ "another greeting", "tcp: true, timeout: 100ms, contains: ready", NULL, "421 busy\r\n",
		FL_SIGN_DOWN, "no answer within 100 ms" },
	{ "question and answer", "tcp: true, send: \"PING\\r\\n\", contains: PONG", "PING\r\n",
		"+PONG\r\n", FL_SIGN_UP, "fits" },
	{ "another question", "tcp: true, timeout: 100ms, send: HELLO, contains: PONG", "PING\r\n",
		"+PONG\r\n", FL_SIGN_DOWN, "no answer" },
	{ "a source", "tcp: true, source: 127.0.0.7", NULL, "", FL_SIGN_UP, "connected" },
	{ "an agent", "agent: true", NULL, "drain, 30%\n", FL_SIGN_DRAINING, "drain" },
	{ "an agent that is asked", "agent: true, send: \"?\"", "?", "maint\r\n",
		FL_SIGN_MAINTENANCE, "maint" },
};

Test(probes, tcp_and_agents)
{
	for (size_t i = 0; i < sizeof(tcp_rows) / sizeof(tcp_rows[0]); i++) {
		struct speaker speaker = { .hears = tcp_rows[i].hears, .says = tcp_rows[i].says };
		struct world w;

		world_init(&w);
		check_row(&tcp_rows[i], &w, listen_on(&w, &speaker));
		world_done(&w);
	}
}

static const struct row closed_rows[] = {
	{ "tcp", "tcp: true", .sign = FL_SIGN_DOWN, .detail = "Connection refused" },
	{ "http", "http: /", .sign = FL_SIGN_DOWN, .detail = "Connection refused" },
	{ "https", "https: /", .sign = FL_SIGN_DOWN, .detail = "Connection refused" },
	{ "grpc", "grpc: ''", .sign = FL_SIGN_DOWN, .detail = "Connection refused" },
	{ "udp", "udp: true", .sign = FL_SIGN_DOWN, .detail = "Connection refused" },
};

Test(probes, where_nobody_listens)
{
	for (size_t i = 0; i < sizeof(closed_rows) / sizeof(closed_rows[0]); i++) {
		bool udp = strcmp(closed_rows[i].name, "udp") == 0;
		struct world w;

		world_init(&w);
		check_row(&closed_rows[i], &w, closed_port(udp ? SOCK_DGRAM : SOCK_STREAM));
		world_done(&w);
	}
}

Test(probes, an_agent_that_cannot_be_asked_says_nothing)
{
	uint16_t port = closed_port(SOCK_STREAM);
	struct fl_snapshot *snapshot = declare(port, 1, "agent: true");
	struct fl_health_key key = key_of(1, port);
	struct world w;

	world_init(&w);
	cr_assert_eq(fl_checker_configure(w.checker, snapshot), 0);
	run_until(&w, 3);
	cr_assert_null(fl_health_signals(w.health, &key));
	fl_snapshot_unref(snapshot);
	world_done(&w);
}

/* -------------------------------------------------------------------------- http */

static char seen_method[16], seen_target[64], seen_headers[512];

static void on_request(void *context, const struct test_request *request, struct test_reply *ret)
{
	snprintf(seen_method, sizeof(seen_method), "%s", request->method);
	snprintf(seen_target, sizeof(seen_target), "%s", request->target);
	snprintf(seen_headers, sizeof(seen_headers), "%s", request->headers);
	ret->bytes = context;
}

#define PAGE(status, body)                                                                         \
	"HTTP/1.1 " status "\r\nConnection: close\r\nContent-Length: 4\r\n\r\n" body

static const struct row http_rows[] = {
	{ "200", "http: /x", NULL, PAGE("200 OK", "good"), FL_SIGN_UP, "HTTP 200" },
	{ "503", "http: /x", NULL, PAGE("503 No", "oops"), FL_SIGN_DOWN, "HTTP 503" },
	{ "a redirect is not followed", "http: /x", NULL,
		"HTTP/1.1 302 Over there\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n",
		FL_SIGN_DOWN, "HTTP 302" },
	{ "302 was expected", "http: /x, expect: '200, 300-399'", NULL, PAGE("302 There", "away"),
		FL_SIGN_UP, "HTTP 302" },
	{ "the text is there", "http: /x, contains: oo", NULL, PAGE("200 OK", "good"), FL_SIGN_UP,
		"HTTP 200" },
	{ "the text is not there", "http: /x, contains: ok", NULL, PAGE("200 OK", "good"),
		FL_SIGN_DOWN, "does not have the text" },
	{ "no HTTP", "http: /x", NULL, "SSH-2.0-x\r\n\r\n", FL_SIGN_DOWN, "no HTTP/1" },
	{ "no HTTP, when a page is wanted", "http: /x, contains: x", NULL, "SSH-2.0-x\r\n\r\n",
		FL_SIGN_DOWN, "" },
	{ "an interim answer", "http: /x", NULL,
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" PAGE("200 OK", "good"), FL_SIGN_UP,
		"HTTP 200" },
	{ "an interim answer alone", "http: /x, timeout: 300ms", NULL,
		"HTTP/1.1 103 Early Hints\r\n\r\n", FL_SIGN_DOWN, "no answer within 300 ms" },
	{ "half a line", "http: /x, timeout: 300ms", NULL, "HTTP/1.1 20", FL_SIGN_DOWN,
		"no answer within 300 ms" },
	{ "no number", "http: /x", NULL, "HTTP/1.1 2OO OK\r\n\r\n", FL_SIGN_DOWN, "no HTTP/1" },
	{ "another method, of a page",
		"http: /x, contains: g, method: OPTIONS, host: a.test, headers: "
		"{X-A: b}",
		NULL, PAGE("200 OK", "good"), FL_SIGN_UP, "HTTP 200" },
	{ "another method", "http: /x, method: OPTIONS, host: a.test, headers: {X-A: b}", NULL,
		PAGE("200 OK", "good"), FL_SIGN_UP, "HTTP 200" },
};

Test(probes, http)
{
	for (size_t i = 0; i < sizeof(http_rows) / sizeof(http_rows[0]); i++) {
		const struct test_http_options options = { .answer = on_request,
			.context = (void *)http_rows[i].says };
		struct test_http_server *server = test_http_start(&options);
		struct world w;

		world_init(&w);
		check_row(&http_rows[i], &w, test_http_port(server));
		world_done(&w);
		test_http_stop(server);
		cr_expect_str_eq(seen_target, "/x");
		if (!strstr(http_rows[i].check, "OPTIONS"))
			continue;
		cr_expect_str_eq(seen_method, "OPTIONS");
		cr_expect(strstr(seen_headers, "Host: a.test\r\n"), "%s", seen_headers);
		cr_expect(strstr(seen_headers, "X-A: b\r\n"), "%s", seen_headers);
	}
}

static const struct {
	struct row row;
	const char *cert;      /* the server's */
	const char *client_ca; /* that it asks for; NULL = none */
} https_rows[] = {
	{ { "an address", "https: /x, tls: {ca: %1$s/ca.crt}", NULL, PAGE("200 OK", "good"),
		  FL_SIGN_UP, "HTTP 200" },
		"by-address", NULL },
	{ { "a name", "https: /x, host: shop.test, tls: {ca: %1$s/ca.crt}", NULL,
		  PAGE("200 OK", "good"), FL_SIGN_UP, "HTTP 200" },
		"by-name", NULL },
	{ { "another name", "https: /x, host: other.test, tls: {ca: %1$s/ca.crt}", NULL,
		  PAGE("200 OK", "good"), FL_SIGN_DOWN, "certificate" },
		"by-name", NULL },
	{ { "nobody known signed it", "https: /x", NULL, PAGE("200 OK", "good"), FL_SIGN_DOWN,
		  "certificate" },
		"by-address", NULL },
	{ { "any will do", "https: /x, tls: {unverified: true}", NULL, PAGE("200 OK", "good"),
		  FL_SIGN_UP, "HTTP 200" },
		"by-name", NULL },
	{ { "a client certificate",
		  "https: /x, tls: {ca: %1$s/ca.crt, cert: %1$s/client.crt, key: "
		  "%1$s/client.key}",
		  NULL, PAGE("200 OK", "good"), FL_SIGN_UP, "HTTP 200" },
		"by-address", "ca" },
	{ { "without the client certificate", "https: /x, tls: {ca: %1$s/ca.crt}", NULL,
		  PAGE("200 OK", "good"), FL_SIGN_DOWN, "" },
		"by-address", "ca" },
};

Test(probes, https)
{
	test_certificate(directory, "ca", NULL, NULL);
	test_certificate(directory, "by-address", "IP:127.0.0.1", "ca");
	test_certificate(directory, "by-name", "DNS:shop.test", "ca");
	test_certificate(directory, "client", "DNS:client", "ca");
	for (size_t i = 0; i < sizeof(https_rows) / sizeof(https_rows[0]); i++) {
		struct row row = https_rows[i].row;
		char cert[80], private_key[80], ca[80], check[400];
		const struct test_http_options options = { .answer = on_request,
			.context = (void *)row.says,
			.cert = cert,
			.key = private_key,
			.client_ca = https_rows[i].client_ca ? ca : NULL };
		struct test_http_server *server;
		struct world w;

		snprintf(cert, sizeof(cert), "%s/%s.crt", directory, https_rows[i].cert);
		snprintf(private_key, sizeof(private_key), "%s/%s.key", directory,
			https_rows[i].cert);
		snprintf(ca, sizeof(ca), "%s/ca.crt", directory);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		snprintf(check, sizeof(check), row.check, directory);
#pragma GCC diagnostic pop
		row.check = check;
		server = test_http_start(&options);
		world_init(&w);
		check_row(&row, &w, test_http_port(server));
		world_done(&w);
		test_http_stop(server);
	}
}

Test(probes, what_the_node_lacks_is_no_verdict)
{
	struct fl_snapshot *snapshot = declare(9, 1, "https: /, tls: {ca: /nonexistent/ca.crt}");
	struct fl_health_key key = key_of(1, 9);
	struct world w;

	world_init(&w);
	cr_assert_eq(fl_checker_configure(w.checker, snapshot), 0);
	run_until(&w, 3);
	cr_assert_eq(fl_checker_stats(w.checker)->unable, probes(&w));
	cr_assert_eq(fl_health_signals(w.health, &key)->probe, FL_SIGN_UP, "as it began");
	fl_snapshot_unref(snapshot);
	world_done(&w);
}

/* -------------------------------------------------------------------------- gRPC */

/* Frames of HTTP/2 as a server sends them: settings, then what belongs to stream 1. Headers
 * without Huffman coding and without the dynamic table (RFC 7541). */
#define H2_SETTINGS "\0\0\0\4\0\0\0\0\0"
#define H2_OK       "\0\0\x01\1\4\0\0\0\1\x88"
#define H2_STATUS(n)                                                                               \
	"\0\0\x0f\1\5\0\0\0\1\0\x0b"                                                               \
	"grpc-status"                                                                              \
	"\1" n

struct grpc_row {
	const char *name;
	const char *bytes;
	size_t count;
	enum fl_sign sign;
	const char *detail;
};

#define BYTES(text) text, sizeof(text) - 1
static const struct grpc_row grpc_rows[] = {
	{ "serving", BYTES(H2_SETTINGS H2_OK "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\1" H2_STATUS("0")),
		FL_SIGN_UP, "SERVING" },
	{ "not serving",
		BYTES(H2_SETTINGS H2_OK "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\2" H2_STATUS("0")),
		FL_SIGN_DOWN, "NOT_SERVING" },
	{ "unknown", BYTES(H2_SETTINGS H2_OK "\0\0\5\0\0\0\0\0\1\0\0\0\0\0" H2_STATUS("0")),
		FL_SIGN_DOWN, "UNKNOWN" },
	{ "no such service", BYTES(H2_SETTINGS H2_OK H2_STATUS("5")), FL_SIGN_DOWN,
		"grpc-status 5" },
	{ "a message that is cut off",
		BYTES(H2_SETTINGS H2_OK "\0\0\6\0\0\0\0\0\1\0\0\0\0\2\x08" H2_STATUS("0")),
		FL_SIGN_DOWN, "no health" },
	{ "no HTTP/2", BYTES("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), FL_SIGN_DOWN,
		"" },
};

static void on_preface(void *context, const struct test_request *request, struct test_reply *ret)
{
	const struct grpc_row *row = context;

	(void)request;
	ret->bytes = row->bytes;
	ret->count = row->count;
	ret->then = TEST_HANG;
}

Test(probes, grpc)
{
	for (size_t i = 0; i < sizeof(grpc_rows) / sizeof(grpc_rows[0]); i++) {
		const struct test_http_options options = { .answer = on_preface,
			.context = (void *)&grpc_rows[i] };
		struct row row = { grpc_rows[i].name, "grpc: shop.Cart", NULL, NULL,
			grpc_rows[i].sign, grpc_rows[i].detail };
		struct test_http_server *server = test_http_start(&options);
		struct world w;

		world_init(&w);
		check_row(&row, &w, test_http_port(server));
		world_done(&w);
		test_http_stop(server);
	}
}

/* --------------------------------------------------------------------------- UDP */

struct echo {
	uv_udp_t socket;
	const char *says; /* NULL = nothing */
	char heard[64];
};

static void on_udp_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct echo *echo = handle->data;

	(void)size;
	*ret = uv_buf_init(echo->heard, sizeof(echo->heard));
}

static void on_datagram(uv_udp_t *socket, ssize_t count, const uv_buf_t *buffer,
	const struct sockaddr *from, unsigned flags)
{
	struct echo *echo = socket->data;
	uv_buf_t answer = uv_buf_init((char *)(echo->says ? echo->says : ""),
		echo->says ? (unsigned)strlen(echo->says) : 0);

	(void)buffer, (void)flags;
	if (count >= 0 && from && echo->says)
		uv_udp_try_send(socket, &answer, 1, from);
}

static const struct row udp_rows[] = {
	{ "silence", "udp: true, timeout: 100ms", NULL, NULL, FL_SIGN_UP, "nobody complained" },
	{ "any answer", "udp: true", NULL, "pong", FL_SIGN_UP, "answered" },
	{ "the answer", "udp: true, send: ping, contains: pong", NULL, "pong", FL_SIGN_UP, "fits" },
	{ "another answer", "udp: true, timeout: 100ms, send: ping, contains: pong", NULL, "gnip",
		FL_SIGN_DOWN, "no answer within 100 ms" },
};

Test(probes, udp)
{
	for (size_t i = 0; i < sizeof(udp_rows) / sizeof(udp_rows[0]); i++) {
		struct sockaddr_in address = { .sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int length = sizeof(address);
		struct echo echo = { .says = udp_rows[i].says };
		struct world w;

		world_init(&w);
		uv_udp_init(&w.loop, &echo.socket);
		echo.socket.data = &echo;
		w.own = (uv_handle_t *)&echo.socket;
		cr_assert_eq(uv_udp_bind(&echo.socket, (struct sockaddr *)&address, 0), 0);
		uv_udp_recv_start(&echo.socket, on_udp_alloc, on_datagram);
		uv_udp_getsockname(&echo.socket, (struct sockaddr *)&address, &length);
		check_row(&udp_rows[i], &w, ntohs(address.sin_port));
		world_done(&w);
	}
}

/* -------------------------------------------------------------------------- exec */

static const struct row exec_rows[] = {
	{ "it ends well", "exec: [/bin/true]", NULL, NULL, FL_SIGN_UP, "exit code 0" },
	{ "it does not", "exec: [/bin/sh, -c, 'echo no disk; echo more; exit 3']", NULL, NULL,
		FL_SIGN_DOWN, "exit code 3: no disk" },
	{ "what it is told",
		"exec: [/bin/sh, -c, 'echo $FAIRLEAD_SERVICE $FAIRLEAD_ADDRESS $HOME']", NULL, NULL,
		FL_SIGN_UP, "web 127.0.0.1 /" },
	{ "standard error counts", "exec: [/bin/sh, -c, 'echo oops >&2; exit 1']", NULL, NULL,
		FL_SIGN_DOWN, "exit code 1: oops" },
	{ "it is killed", "exec: [/bin/sh, -c, 'kill -9 $$']", NULL, NULL, FL_SIGN_DOWN,
		"killed by signal 9" },
	{ "it takes too long", "timeout: 200ms, exec: [/bin/sleep, 100]", NULL, NULL, FL_SIGN_DOWN,
		"no answer within 200 ms" },
	{ "no capability",
		"exec: [/bin/sh, -c, 'grep -E \"^Cap(Prm|Eff|Inh):.*[1-9a-f]\" /proc/self/status']",
		NULL, NULL, FL_SIGN_DOWN, "exit code 1" },
	{ "no way to get one", "exec: [/bin/grep, NoNewPrivs, /proc/self/status]", NULL, NULL,
		FL_SIGN_UP, "NoNewPrivs:\t1" },
	{ "no descriptors of ours", "exec: [/bin/sh, -c, 'echo fd $(ls /proc/$$/fd)']", NULL, NULL,
		FL_SIGN_UP, "fd 0 1 2" },
	{ "no large files", "exec: [/bin/sh, -c, 'exec 2>/dev/null; ulimit -f; ulimit -n']", NULL,
		NULL, FL_SIGN_UP, "2048" },
	{ "much to say", "exec: [/bin/sh, -c, 'echo first; head -c 300000 /dev/zero']", NULL, NULL,
		FL_SIGN_UP, "first" },
};

Test(probes, exec)
{
	for (size_t i = 0; i < sizeof(exec_rows) / sizeof(exec_rows[0]); i++) {
		struct world w;

		world_init(&w);
		check_row(&exec_rows[i], &w, 80);
		world_done(&w);
	}
}

Test(probes, a_command_leaves_no_process_behind)
{
	char path[64], check[200], pid[16] = "";
	struct row row = { "it starts another", check, NULL, NULL, FL_SIGN_UP, "" };
	struct world w;
	FILE *file;

	snprintf(path, sizeof(path), "%s/pid", directory);
	snprintf(check, sizeof(check),
		"exec: [/bin/sh, -c, 'sleep 1000 >/dev/null 2>&1 & echo $! > %s']", path);
	world_init(&w);
	check_row(&row, &w, 80);
	world_done(&w);
	file = fopen(path, "r");
	cr_assert(file && fgets(pid, sizeof(pid), file));
	fclose(file);
	for (int i = 0; i < 1000 && kill(atoi(pid), 0) == 0; i++) { /* init reaps it by and by */
		char state[64], line[256] = "";

		snprintf(state, sizeof(state), "/proc/%d/stat", atoi(pid));
		file = fopen(state, "r");
		if (!file)
			break;
		cr_assert_not_null(fgets(line, sizeof(line), file));
		fclose(file);
		if (strstr(line, ") Z "))
			break;
		usleep(20000);
		cr_assert_lt(i, 999, "%s", line);
	}
}

Test(probes, a_command_that_is_not_there_is_no_verdict)
{
	struct fl_snapshot *snapshot = declare(80, 1, "exec: [/nonexistent/check]");
	struct world w;

	world_init(&w);
	cr_assert_eq(fl_checker_configure(w.checker, snapshot), 0);
	run_until(&w, 2);
	cr_assert_eq(fl_checker_stats(w.checker)->unable, probes(&w));
	fl_snapshot_unref(snapshot);
	world_done(&w);
}

/* ----------------------------------------------------------------------- the checker */

Test(probes, no_more_run_than_may)
{
	struct speaker speaker = { .hears = "never", .says = "" };
	struct fl_snapshot *snapshot;
	uint32_t most = 0;
	struct world w;

	world_init(&w);
	fl_checker_limit(w.checker, 3);
	snapshot = declare(listen_on(&w, &speaker), 20, "tcp: true, contains: x, timeout: 60ms");
	cr_assert_eq(fl_checker_configure(w.checker, snapshot), 0);
	cr_assert_eq(fl_checker_stats(w.checker)->checks, 20);
	while (probes(&w) < 60) {
		uint32_t running = fl_checker_stats(w.checker)->running;

		most = running > most ? running : most;
		uv_run(&w.loop, UV_RUN_ONCE);
	}
	cr_assert_eq(most, 3);
	cr_assert_gt(fl_checker_stats(w.checker)->late, 0);
	fl_snapshot_unref(snapshot);
	world_done(&w);
}

Test(probes, what_is_declared_no_more_is_not_probed)
{
	struct speaker speaker = { .says = "" };
	struct fl_snapshot *both, *one, *none = test_snapshot(2, NULL, 0);
	struct world w;
	uint16_t port;

	world_init(&w);
	port = listen_on(&w, &speaker);
	both = declare(port, 2, "tcp: true");
	one = declare(port, 1, "tcp: true");
	cr_assert_eq(fl_checker_configure(w.checker, both), 0);
	run_until(&w, 4);
	cr_assert_eq(fl_checker_configure(w.checker, one), 0);
	cr_assert_eq(fl_checker_stats(w.checker)->checks, 1);
	cr_assert_eq(fl_health_signals(
			     w.health, &(struct fl_health_key){ "web", key_of(2, port).addr, port })
			     ->probe,
		FL_SIGN_NONE);
	run_until(&w, probes(&w) + 3);
	cr_assert_eq(fl_checker_configure(w.checker, none), 0);
	cr_assert_eq(fl_checker_stats(w.checker)->checks, 0);
	cr_assert_eq(fl_checker_stats(w.checker)->running, 0);
	fl_snapshot_unref(both);
	fl_snapshot_unref(one);
	fl_snapshot_unref(none);
	world_done(&w);
}

/* The endpoint is there while this listens. */
static int listen_at(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 64), 0);
	return fd;
}

static void run_until_sign(struct world *w, const struct fl_health_key *key, enum fl_sign sign)
{
	const struct fl_signals *signals;

	do {
		uv_run(&w->loop, UV_RUN_ONCE);
		signals = fl_health_signals(w->health, key);
	} while (!signals || signals->probe != sign);
}

Test(probes, what_goes_down_often_is_held_back)
{
	uint16_t port = closed_port(SOCK_STREAM);
	struct fl_snapshot *snapshot = declare(port, 1, "tcp: true, rise: 1, fall: 1, damping: 1h");
	struct fl_health_key key = key_of(1, port);
	struct world w;

	world_init(&w);
	cr_assert_eq(fl_checker_configure(w.checker, snapshot), 0);
	for (int times = 0; times < 4; times++) {
		int fd = listen_at(port);

		run_until_sign(&w, &key, FL_SIGN_UP);
		run_until(&w, probes(&w) + 2); /* not what it was taken for at first */
		cr_expect_eq(fl_health_signals(w.health, &key)->flapping, times == 3, "%d", times);
		close(fd);
		run_until_sign(&w, &key, FL_SIGN_DOWN);
	}
	fl_snapshot_unref(snapshot);
	world_done(&w);
}
