/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/netns.h"
#include "lib/served.h"

static struct test_view *view;
static struct test_server *server;

static void setup(void)
{
	view = test_view_new();
}

static void teardown(void)
{
	test_server_stop(server);
	test_view_free(view);
}

TestSuite(control_server, .init = setup, .fini = teardown);

/* What a request looks like, what the first line of the answer has, and what else
 * must stand in it. */
struct row {
	const char *name;
	const char *request;
	const char *status; /* "" = the connection is closed without a word */
	const char *contains;
};

#define HOST "Host: localhost\r\n"

static void talk(const struct row *rows, size_t count, bool tcp)
{
	for (size_t i = 0; i < count; i++) {
		char *answer =
			test_server_talk(server, tcp, rows[i].request, strlen(rows[i].request));
		char first[64];

		snprintf(first, sizeof(first), "HTTP/1.1 %s", rows[i].status);
		if (!*rows[i].status)
			cr_expect_str_empty(answer, "%s", rows[i].name);
		else
			cr_expect_eq(strncmp(answer, first, strlen(first)), 0, "%s: %.200s",
				rows[i].name, answer);
		if (rows[i].contains)
			cr_expect(strstr(answer, rows[i].contains), "%s: %.900s", rows[i].name,
				answer);
		free(answer);
	}
}

#define TALK(rows, tcp) talk(rows, sizeof(rows) / sizeof(rows[0]), tcp)

Test(control_server, pages)
{
	static const struct row rows[] = {
		{ "index", "GET / HTTP/1.1\r\n" HOST "\r\n", "200", "/api/v1/services/NAME" },
		{ "health", "GET /healthz HTTP/1.1\r\n" HOST "\r\n", "200", "\r\n\r\nok\n" },
		{ "ready", "GET /readyz HTTP/1.1\r\n" HOST "\r\n", "200", "ready" },
		{ "services", "GET /api/v1/services HTTP/1.1\r\n" HOST "\r\n", "200",
			"\"team/web\"" },
		{ "a name with a slash", "GET /api/v1/services/team/web HTTP/1.1\r\n" HOST "\r\n",
			"200", "192.0.2.1:8080" },
		{ "a slash that is escaped",
			"GET /api/v1/services/team%2Fweb HTTP/1.1\r\n" HOST "\r\n", "200",
			"192.0.2.1:8080" },
		{ "endpoints", "GET /api/v1/endpoints HTTP/1.1\r\n" HOST "\r\n", "200",
			"192.0.2.54:53" },
		{ "endpoints of one",
			"GET /api/v1/endpoints?service=team%2Fweb HTTP/1.1\r\n" HOST "\r\n", "200",
			"192.0.2.1:8080" },
		{ "stats", "GET /api/v1/stats HTTP/1.1\r\n" HOST "\r\n", "200",
			"\"forwarded\":null" },
		{ "status", "GET /api/v1/status HTTP/1.1\r\n" HOST "\r\n", "200",
			"\"generation\":7" },
		{ "registries", "GET /api/v1/registries HTTP/1.1\r\n" HOST "\r\n", "200",
			"\"files\"" },
		{ "metrics", "GET /metrics HTTP/1.1\r\n" HOST "\r\n", "200",
			"text/plain; version=0.0.4" },
		{ "OpenMetrics",
			"GET /metrics HTTP/1.1\r\n" HOST
			"Accept: application/openmetrics-text\r\n\r\n",
			"200", "\n# EOF\n" },
		{ "metrics with arguments", "GET /metrics?x=1 HTTP/1.1\r\n" HOST "\r\n", "200",
			NULL },
		{ "HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n", "200", "ok" },
		{ "one request, one connection", "GET /healthz HTTP/1.1\r\n" HOST "\r\n", "200",
			"Connection: close" },
		{ "the second is not heard",
			"GET /healthz HTTP/1.1\r\n" HOST "\r\nGET /nowhere HTTP/1.1\r\n" HOST
			"\r\n",
			"200", "\r\n\r\nok\n" },
	};

	server = test_server_start(view, true, NULL);
	TALK(rows, false);
	TALK(rows, true);
}

Test(control_server, what_is_refused)
{
	static const struct row rows[] = {
		{ "no page", "GET /nowhere HTTP/1.1\r\n" HOST "\r\n", "404",
			"{\"error\":{\"message\":" },
		{ "a page with a slash too many", "GET /metrics/ HTTP/1.1\r\n" HOST "\r\n", "404",
			NULL },
		{ "the root twice", "GET // HTTP/1.1\r\n" HOST "\r\n", "404", NULL },
		{ "dots are no way up", "GET /api/v1/../../metrics HTTP/1.1\r\n" HOST "\r\n", "404",
			NULL },
		{ "an absolute address", "GET http://localhost/metrics HTTP/1.1\r\n" HOST "\r\n",
			"404", NULL },
		{ "an asterisk", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "404", NULL },
		{ "no service", "GET /api/v1/services/nosuch HTTP/1.1\r\n" HOST "\r\n", "404",
			"nosuch" },
		{ "no service to list",
			"GET /api/v1/endpoints?service=nosuch HTTP/1.1\r\n" HOST "\r\n", "404",
			"nosuch" },
		{ "no service to count",
			"GET /api/v1/stats?service=nosuch HTTP/1.1\r\n" HOST "\r\n", "404",
			"nosuch" },
		{ "no name", "GET /api/v1/services/ HTTP/1.1\r\n" HOST "\r\n", "404", NULL },
		{ "an empty name", "GET /api/v1/endpoints?service= HTTP/1.1\r\n" HOST "\r\n", "404",
			NULL },
		{ "quotes in a name", "GET /api/v1/services/%22%5C HTTP/1.1\r\n" HOST "\r\n", "404",
			"\\\"\\\"\\\\\\\"" },
		{ "POST", "POST /api/v1/services HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}",
			"405", "Allow: GET, HEAD" },
		{ "PUT in pieces",
			"PUT /metrics HTTP/1.1\r\n" HOST
			"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
			"405", NULL },
		{ "a made-up method", "BREW /metrics HTTP/1.1\r\n" HOST "\r\n", "405", NULL },
		{ "POST to nowhere", "POST /nowhere HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
			"404", NULL },
		{ "an escape cut short", "GET /api/v1/services/a%2 HTTP/1.1\r\n" HOST "\r\n", "400",
			NULL },
		{ "an escaped zero", "GET /api/v1/services/a%00b HTTP/1.1\r\n" HOST "\r\n", "400",
			NULL },
		{ "an unknown argument", "GET /api/v1/services?servce=web HTTP/1.1\r\n" HOST "\r\n",
			"400", "servce" },
		{ "an argument twice",
			"GET /api/v1/stats?service=a&service=b HTTP/1.1\r\n" HOST "\r\n", "400",
			NULL },
		{ "no host", "GET /metrics HTTP/1.1\r\n\r\n", "400", NULL },
		{ "two hosts", "GET /metrics HTTP/1.1\r\n" HOST HOST "\r\n", "400", NULL },
		{ "two hosts, differently spelled",
			"GET /metrics HTTP/1.1\r\n" HOST "hOST: evil\r\n\r\n", "400", NULL },
		{ "two authorizations",
			"GET /metrics HTTP/1.1\r\n" HOST
			"Authorization: a\r\nAuthorization: b\r\n\r\n",
			"400", NULL },
		{ "both lengths",
			"POST /metrics HTTP/1.1\r\n" HOST
			"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"400", NULL },
		{ "two lengths",
			"POST /metrics HTTP/1.1\r\n" HOST
			"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
			"400", NULL },
	};

	server = test_server_start(view, true, NULL);
	TALK(rows, false);
	TALK(rows, true);
}

Test(control_server, garbage_does_no_harm)
{
	static const struct row rows[] = {
		{ "nothing that is HTTP", "hello\r\n\r\n", "", NULL },
		{ "TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "", NULL },
		{ "a header without a colon", "GET / HTTP/1.1\r\n" HOST "nonsense\r\n\r\n", "",
			NULL },
		{ "a length that is none", "GET / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n",
			"", NULL },
	};
	char *answer;
	int status;

	server = test_server_start(view, true, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		answer = test_server_talk(server, true, rows[i].request, strlen(rows[i].request));
		cr_expect_neq(
			strncmp(answer, "HTTP/1.1 200", 12), 0, "%s: %.200s", rows[i].name, answer);
		free(answer);
	}
	answer = test_server_get(server, "/healthz", &status);
	cr_expect_eq(status, 200);
	free(answer);
}

Test(control_server, names_do_not_reach_the_loopback)
{
	static const struct row tcp_rows[] = {
		{ "a name", "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", "403",
			"localhost" },
		{ "a name, in HTTP/1.0", "GET /metrics HTTP/1.0\r\nHost: evil.example\r\n\r\n",
			"403", NULL },
		{ "an address", "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:9707\r\n\r\n", "200",
			NULL },
	};
	static const struct row unix_rows[] = {
		{ "any name", "GET /healthz HTTP/1.1\r\nHost: fairleadd\r\n\r\n", "200", NULL },
	};

	server = test_server_start(view, true, NULL);
	TALK(tcp_rows, true);
	TALK(unix_rows, false);
}

Test(control_server, head_has_the_length_and_no_body)
{
	static const struct row rows[] = {
		{ "HEAD", "HEAD /healthz HTTP/1.1\r\n" HOST "\r\n", "200", "Content-Length: 3" },
		{ "HEAD of a large page", "HEAD /metrics HTTP/1.1\r\n" HOST "\r\n", "200",
			"Content-Length: " },
		{ "HEAD of nothing", "HEAD /nowhere HTTP/1.1\r\n" HOST "\r\n", "404", NULL },
	};

	server = test_server_start(view, false, NULL);
	TALK(rows, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *answer =
			test_server_talk(server, false, rows[i].request, strlen(rows[i].request));
		char *end = strstr(answer, "\r\n\r\n");

		cr_expect(end && !end[4], "%s: %s", rows[i].name, answer);
		free(answer);
	}
}

Test(control_server, not_ready_says_why)
{
	int status;
	char *body;

	view->view.not_ready = "no snapshot has been applied yet";
	view->view.maps = NULL;
	fl_snapshot_unref((struct fl_snapshot *)view->view.applied);
	view->view.applied = NULL;
	server = test_server_start(view, false, NULL);
	body = test_server_get(server, "/readyz", &status);
	cr_expect_eq(status, 503);
	cr_expect_str_eq(body, "no snapshot has been applied yet\n");
	free(body);
	body = test_server_get(server, "/healthz", &status);
	cr_expect_eq(status, 200);
	free(body);
	body = test_server_get(server, "/api/v1/services", &status);
	cr_expect_str_eq(body, "[]\n");
	free(body);
	body = test_server_get(server, "/metrics", &status);
	cr_expect(strstr(body, "\nfairlead_ready 0\n"));
	free(body);
}

Test(control_server, a_header_without_end_is_not_kept)
{
	char *long_path = malloc(200000);
	char *answer;
	int status;

	server = test_server_start(view, false, NULL);
	memset(long_path, 'x', 200000);
	memcpy(long_path, "GET /", 5);
	answer = test_server_talk(server, false, long_path, 200000);
	cr_expect_neq(strncmp(answer, "HTTP/1.1 200", 12), 0);
	free(answer);
	answer = test_server_get(server, "/healthz", &status);
	cr_expect_eq(status, 200);
	free(answer);
	free(long_path);
}

/* ------------------------------------------------------- who holds connections */

static bool is_closed(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&wait, 1, 0) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

Test(control_server, who_dribbles_a_request_is_cut_off)
{
	static const struct fl_server_limits limits = {
		.connections = 8, .large = 8, .request_ms = 500, .answer_ms = 60000
	};
	int fd;
	int sent = 0;

	server = test_server_start(view, false, &limits);
	fd = test_server_connect(server, false);
	cr_assert_eq(send(fd, "GET /", 5, 0), 5);
	/* A byte now and then: ends by our being cut off, not by our giving up. */
	while (send(fd, "x", 1, MSG_NOSIGNAL) == 1 && sent++ < 600)
		usleep(100000);
	cr_expect_lt(sent, 600, "still connected after a minute");
	close(fd);
}

Test(control_server, who_does_not_take_the_answer_is_cut_off)
{
	static const struct fl_server_limits limits = {
		.connections = 8, .large = 1, .request_ms = 60000, .answer_ms = 500
	};
	static const char request[] = "GET /api/v1/endpoints HTTP/1.1\r\n" HOST "\r\n";
	static const char small[] = "GET /api/v1/stats HTTP/1.1\r\n" HOST "\r\n";
	bool answered = false;
	int fd;

	test_view_grow(view, 400, 40);
	server = test_server_start(view, false, &limits);
	fd = test_server_connect(server, false);
	cr_assert_eq(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
	/* There is room for one large answer: the next gets it once ours is dropped. On a
	 * slow machine the next may be dropped as well, before it is written. */
	for (int tries = 0; tries < 600 && !answered; tries++) {
		char *answer = test_server_talk(server, false, small, strlen(small));

		answered = strncmp(answer, "HTTP/1.1 200", 12) == 0;
		free(answer);
		if (!answered)
			usleep(100000);
	}
	cr_expect(answered, "the answer nobody takes is still kept after a minute");
	close(fd);
}

Test(control_server, the_silent_keep_nobody_out)
{
	static const struct fl_server_limits limits = {
		.connections = 8, .large = 8, .request_ms = 600000, .answer_ms = 600000
	};
	int silent[40];
	int closed = 0;
	int status;

	server = test_server_start(view, true, &limits);
	for (int i = 0; i < 40; i++) {
		char *body;

		silent[i] = test_server_connect(server, true);
		if (i % 8)
			continue;
		body = test_server_get(server, "/healthz", &status); /* the other listener */
		cr_expect_eq(status, 200);
		free(body);
	}
	for (int i = 0; i < 20; i++) {
		static const char request[] = "GET /healthz HTTP/1.1\r\n" HOST "\r\n";
		char *answer = test_server_talk(server, true, request, strlen(request));

		cr_expect_eq(strncmp(answer, "HTTP/1.1 200", 12), 0, "%d: %s", i, answer);
		free(answer);
	}
	for (int i = 0; i < 40; i++) {
		closed += is_closed(silent[i]);
		close(silent[i]);
	}
	cr_expect_geq(closed, 40 - 8);
}

Test(control_server, a_hundred_at_once)
{
	static const struct fl_server_limits limits = {
		.connections = 128, .large = 128, .request_ms = 600000, .answer_ms = 600000
	};
	static const char request[] = "GET /api/v1/endpoints HTTP/1.1\r\n" HOST "\r\n";
	int fds[100];

	test_view_grow(view, 60, 40); /* more than the loop writes itself */
	server = test_server_start(view, true, &limits);
	for (int i = 0; i < 100; i++) {
		fds[i] = test_server_connect(server, i % 2);
		cr_assert_eq(send(fds[i], request, strlen(request), 0), (ssize_t)strlen(request));
	}
	for (int i = 0; i < 100; i++) {
		char *answer = test_read_all(fds[i]);
		size_t length = strlen(answer);

		cr_expect_eq(strncmp(answer, "HTTP/1.1 200", 12), 0, "%d: %.200s", i, answer);
		cr_expect(length > 100000 && strcmp(answer + length - 3, "}]\n") == 0,
			"%d: %zu bytes", i, length);
		free(answer);
		close(fds[i]);
	}
}

Test(control_server, stops_amid_large_answers)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\n" HOST "\r\n";
	int fds[6];

	test_view_grow(view, 400, 40);
	server = test_server_start(view, false, NULL);
	for (int i = 0; i < 6; i++) {
		fds[i] = test_server_connect(server, false);
		cr_assert_eq(send(fds[i], request, strlen(request), 0), (ssize_t)strlen(request));
	}
	free(test_server_get(server, "/healthz", NULL)); /* theirs were read by now */
	test_server_stop(server);
	for (int i = 0; i < 6; i++) {
		free(test_read_all(fds[i])); /* ends */
		close(fds[i]);
	}
	server = test_server_start(view, false, NULL);
}

Test(control_server, beyond_what_fits_into_memory_it_says_try_again)
{
	static const struct fl_server_limits limits = {
		.connections = 8, .large = 0, .request_ms = 60000, .answer_ms = 60000
	};
	static const struct row rows[] = {
		{ "large", "GET /api/v1/services HTTP/1.1\r\n" HOST "\r\n", "503",
			"Retry-After: 1" },
		{ "metrics, half written", "GET /metrics HTTP/1.1\r\n" HOST "\r\n", "503",
			"\r\n\r\n{\"error\"" },
		{ "small", "GET /api/v1/status HTTP/1.1\r\n" HOST "\r\n", "200", NULL },
	};

	server = test_server_start(view, false, &limits);
	TALK(rows, false);
}

/* ------------------------------------------------------------------ changes */

#define ACCEPT(name) "POST /api/v1/registries/" name "/accept HTTP/1.1\r\n" HOST "\r\n"

Test(control_server, changes_are_made_over_the_unix_socket_only)
{
	static const struct row tcp_rows[] = {
		{ "a change", ACCEPT("files"), "403", "over the Unix socket only" },
		{ "a change of what is not there", ACCEPT("other"), "403", NULL },
		{ "a read", "GET /api/v1/registries/files/accept HTTP/1.1\r\n" HOST "\r\n", "405",
			"Allow: POST" },
	};
	static const struct row unix_rows[] = {
		{ "a read", "GET /api/v1/registries/files/accept HTTP/1.1\r\n" HOST "\r\n", "405",
			"Allow: POST" },
		{ "an argument",
			"POST /api/v1/registries/files/accept?x=1 HTTP/1.1\r\n" HOST "\r\n", "400",
			"unknown argument" },
		{ "another", ACCEPT("other"), "404", "fairlead registry list" },
		{ "no name", ACCEPT(""), "404", NULL },
		{ "a name with a slash", ACCEPT("a/b"), "404", "there is no page" },
		{ "a registry alone", "POST /api/v1/registries/files HTTP/1.1\r\n" HOST "\r\n",
			"404", "there is no page" },
		{ "it is still held", "GET /api/v1/registries HTTP/1.1\r\n" HOST "\r\n", "200",
			"\"held\":{\"endpoints\":15,\"of\":20" },
		{ "a change with a body",
			"POST /api/v1/registries/files/accept HTTP/1.1\r\n" HOST
			"Content-Length: 2\r\n\r\n{}",
			"200", "\"name\":\"files\",\"type\":\"file\",\"up\":true" },
		{ "once more", ACCEPT("files"), "409", "nothing is held back in registry files" },
	};

	test_view_hold(view);
	server = test_server_start(view, true, NULL);
	TALK(tcp_rows, true);
	TALK(unix_rows, false);
}

#define LOCAL(arguments, length, body)                                                             \
	"POST /api/v1/local?" arguments " HTTP/1.1\r\n" HOST "Content-Length: " length             \
	"\r\n\r\n" body

Test(control_server, a_body_reaches_the_page_that_takes_one)
{
	static const struct row rows[] = {
		{ "a body", LOCAL("change=add&service=web", "9", "panic: 3\n"), "409",
			"add web : 9 bytes, panic: 3" },
		{ "an endpoint", LOCAL("change=set&service=web&endpoint=192.0.2.1:80", "2", "{}"),
			"409", "set web 192.0.2.1:80: 2 bytes, {}" },
		{ "none", LOCAL("change=add&service=web", "0", ""), "409", "0 bytes, none" },
		{ "in chunks",
			"POST /api/v1/local?change=add&service=web HTTP/1.1\r\n" HOST
			"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
			"409", "5 bytes, abcde" },
		{ "it is done", LOCAL("change=delete&service=web", "0", ""), "200",
			"{\"change\":\"delete\",\"service\":\"web\",\"address\":null}" },
		{ "an argument it does not take", LOCAL("change=add&word=x", "0", ""), "400",
			"unknown argument" },
	};

	server = test_server_start(view, false, NULL);
	TALK(rows, false);
}
