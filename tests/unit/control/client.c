/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/client.h"
#include "control/listen.h"
#include "lib/served.h"

Test(control_client, asks_a_real_server)
{
	struct test_view *view = test_view_new();
	struct test_server *server = test_server_start(view, false, NULL);
	struct fl_failure failure = { 0 };
	json_t *value = NULL;

	cr_assert_eq(
		fl_client_get(test_server_socket(server), "/api/v1/services", &failure, &value), 0,
		"%s", failure.message);
	cr_expect_eq(json_array_size(value), 2);
	json_decref(value);
	cr_expect_eq(fl_client_get(test_server_socket(server), "/api/v1/services/a%2Fb", &failure,
			     &value),
		-ENOENT);
	cr_expect_str_eq(failure.message, "no service is called \"a/b\"");
	cr_expect(*failure.hint);
	cr_expect_eq(
		fl_client_get(test_server_socket(server), "/api/v1/stats?x=1", &failure, &value),
		-EINVAL);
	test_server_stop(server);
	test_view_free(view);
}

Test(control_client, asks_for_a_change)
{
	struct test_view *view = test_view_new();
	struct test_server *server;
	struct fl_failure failure = { 0 };
	static const char path[] = "/api/v1/registries/files/accept";
	json_t *value = NULL;

	test_view_hold(view);
	server = test_server_start(view, false, NULL);
	cr_assert_eq(fl_client_post(test_server_socket(server), path, NULL, &failure, &value), 0,
		"%s", failure.message);
	cr_expect(json_is_null(json_object_get(value, "held")));
	json_decref(value);
	cr_expect_eq(fl_client_post(test_server_socket(server), path, NULL, &failure, &value),
		-EALREADY);
	cr_expect_str_eq(failure.message, "nothing is held back in registry files");
	cr_expect_eq(fl_client_post(test_server_socket(server), "/api/v1/registries", NULL,
			     &failure, &value),
		-EINVAL);
	test_server_stop(server);
	test_view_free(view);
}

Test(control_client, names_are_encoded)
{
	static const struct {
		const char *name, *encoded;
	} rows[] = {
		{ "web", "web" },
		{ "team/web", "team%2Fweb" },
		{ "a b%?#&=+", "a%20b%25%3F%23%26%3D%2B" },
		{ "\xc3\xbc\n", "%C3%BC%0A" },
		{ "", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *encoded = fl_client_encode(rows[i].name);

		cr_expect_str_eq(encoded, rows[i].encoded);
		free(encoded);
	}
}

Test(control_client, no_agent)
{
	char long_path[300];
	struct fl_failure failure = { 0 };
	json_t *value = NULL;

	cr_expect_eq(fl_client_get("/tmp/no/such/socket", "/", &failure, &value), -ECONNREFUSED);
	cr_expect(strstr(failure.message, "/tmp/no/such/socket: No such file"), "%s",
		failure.message);
	cr_expect(strstr(failure.hint, "FAIRLEAD_SOCKET"), "%s", failure.hint);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[299] = '\0';
	cr_expect_eq(fl_client_get(long_path, "/", &failure, &value), -ECONNREFUSED);
	cr_expect(strstr(failure.message, "too long"), "%s", failure.message);
}

/* Somebody else's server: one connection, these bytes. */
struct answer {
	int fd;
	const char *bytes;
};

static void *answer_once(void *context)
{
	struct answer *answer = context;
	char request[4096];
	int fd = -1;

	while (fd < 0)
		fd = accept(answer->fd, NULL, NULL);
	if (recv(fd, request, sizeof(request), 0) > 0)
		send(fd, answer->bytes, strlen(answer->bytes), MSG_NOSIGNAL);
	shutdown(fd, SHUT_RDWR);
	close(fd);
	return NULL;
}

Test(control_client, what_is_not_the_agent)
{
	static const struct {
		const char *name, *bytes;
		int result;
		const char *words;
	} rows[] = {
		{ "no JSON", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", -EPROTO,
			"not fairleadd" },
		{ "cut short", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n[1,", -EPROTO,
			"broke off" },
		{ "no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", -EPROTO, "broke off" },
		{ "nothing", "", -EPROTO, "broke off" },
		{ "an error page", "HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nsad!", -EPROTO,
			"status 500" },
		{ "too busy",
			"HTTP/1.1 503 No\r\nContent-Length: "
			"45\r\n\r\n{\"error\":{\"message\":\"busy now\",\"hint\":null}}\n",
			-EBUSY, "busy now" },
		{ "somewhere else",
			"HTTP/1.1 302 Go\r\nLocation: http://[::1]:1/\r\nContent-Length: 0\r\n\r\n",
			-EPROTO, "status 302" },
		{ "a key twice", "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"a\":1,\"a\":2}",
			-EPROTO, "not fairleadd" },
	};
	char directory[] = "/tmp/fl-client-XXXXXX";
	char path[64];
	struct fl_unix_socket made = { .fd = -1 };
	struct fl_failure failure = { 0 };
	json_t *value = NULL;

	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/s", directory);
	cr_assert_eq(
		fl_unix_socket_listen(path, 0600, NULL, &failure, &made), 0, "%s", failure.message);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct answer answer = { made.fd, rows[i].bytes };
		pthread_t thread;

		cr_assert_eq(pthread_create(&thread, NULL, answer_once, &answer), 0);
		cr_expect_eq(fl_client_get(path, "/", &failure, &value), rows[i].result, "%s: %s",
			rows[i].name, failure.message);
		cr_expect(strstr(failure.message, rows[i].words), "%s: %s", rows[i].name,
			failure.message);
		pthread_join(thread, NULL);
	}
	fl_unix_socket_close(&made);
	rmdir(directory);
}
