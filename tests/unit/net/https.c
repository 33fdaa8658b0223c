/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "lib/asking.h"
#include "lib/certificates.h"
#include "lib/http_server.h"

static char directory[32];

static void begin(void)
{
	strcpy(directory, "/tmp/fl-https-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	test_certificate(directory, "ca", NULL, NULL);
	test_certificate(directory, "other-ca", NULL, NULL);
	test_certificate(directory, "by-address", "IP:127.0.0.1", "ca");
	test_certificate(directory, "by-name", "DNS:server.dc1.consul", "ca");
	test_certificate(directory, "client", "DNS:client", "ca");
	test_certificate(directory, "other-client", "DNS:client", "other-ca");
}

static void end(void)
{
	DIR *list = opendir(directory);

	for (struct dirent *entry; (entry = readdir(list));)
		unlinkat(dirfd(list), entry->d_name, 0);
	closedir(list);
	rmdir(directory);
}

/* @return DIRECTORY/NAME, to be freed; NULL for NULL */
static char *file(const char *name)
{
	char *path = NULL;

	if (name)
		cr_assert_gt(asprintf(&path, "%s/%s", directory, name), 0);
	return path;
}

TestSuite(https, .init = begin, .fini = end);

static char host[64];

static void answer(void *context, const struct test_request *request, struct test_reply *ret)
{
	const char *found = strcasestr(request->headers, "Host: ");

	(void)context;
	snprintf(host, sizeof(host), "%.*s", (int)strcspn(found + 6, "\r"), found + 6);
	ret->bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
}

struct tls_row {
	const char *name;
	const char *server;                    /* its certificate */
	const char *server_ca;                 /* of clients; NULL = does not ask */
	const char *ca, *client, *server_name; /* the client's options */
	bool unix_socket;
	bool fails;
	const char *message; /* part of it */
};

static const struct tls_row rows[] = {
	{ "the address is in the certificate", "by-address", NULL, "ca.crt" },
	{ "another name is to be verified", "by-name", NULL, "ca.crt", NULL, "server.dc1.consul" },
	{ "a Unix socket", "by-name", NULL, "ca.crt", NULL, "server.dc1.consul",
		.unix_socket = true },
	{ "a client certificate", "by-address", "ca.crt", "ca.crt", "client" },
	{ "no CA of the system's signed it", "by-address", .fails = true,
		.message = "certificate" },
	{ "another CA signed it", "by-address", NULL, "other-ca.crt", .fails = true,
		.message = "certificate" },
	{ "another name than the URL's", "by-name", NULL, "ca.crt", .fails = true,
		.message = "127.0.0.1" },
	{ "another name than the wanted one", "by-name", NULL, "ca.crt", NULL, "server.dc2.consul",
		.fails = true, .message = "server.dc2.consul" },
	{ "the address, when a name is wanted", "by-address", NULL, "ca.crt", NULL,
		"server.dc1.consul", .fails = true, .message = "server.dc1.consul" },
	{ "no client certificate", "by-address", "ca.crt", "ca.crt", .fails = true },
	{ "another CA's client certificate", "by-address", "ca.crt", "ca.crt", "other-client",
		.fails = true },
};

static void try(const struct tls_row *row, const char *scheme, struct test_result *ret)
{
	_cleanup_free_ char *server_cert = NULL, *server_key = NULL, *ca = file(row->ca);
	_cleanup_free_ char *client_ca = file(row->server_ca), *cert = NULL, *key = NULL;
	_cleanup_free_ char *socket = row->unix_socket ? file("socket") : NULL;
	char name[64], url[64];
	struct test_http_server *server;
	struct test_asking asking;

	snprintf(name, sizeof(name), "%s.crt", row->server);
	server_cert = file(name);
	snprintf(name, sizeof(name), "%s.key", row->server);
	server_key = file(name);
	snprintf(name, sizeof(name), "%s.crt", row->client ? row->client : "");
	cert = row->client ? file(name) : NULL;
	snprintf(name, sizeof(name), "%s.key", row->client ? row->client : "");
	key = row->client ? file(name) : NULL;
	server = test_http_start(&(struct test_http_options){ .answer = answer,
		.cert = server_cert,
		.key = server_key,
		.client_ca = client_ca,
		.unix_socket = socket });
	snprintf(url, sizeof(url), "%s://127.0.0.1:%u/", scheme,
		socket ? 8501 : test_http_port(server));
	test_asking_begin(&asking, &(struct fl_http_options){ .ca = ca,
					   .cert = cert,
					   .key = key,
					   .server_name = row->server_name,
					   .unix_socket = socket,
					   .connect_ms = 60000 });
	test_asking_get(&asking, &(struct fl_http_request){ .url = url, .timeout_ms = 60000 }, ret);
	/* whatever name is verified, the server is called what the URL calls it */
	if (!row->fails)
		cr_expect(strstr(url, host) && *host, "%s: Host: %s", row->name, host);
	test_asking_end(&asking);
	test_http_stop(server);
}

Test(https, who_is_trusted)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct test_result result;

		try(&rows[i], "https", &result);
		cr_expect_eq(result.error != 0, rows[i].fails, "%s: %d %s", rows[i].name,
			result.error, result.message);
		if (rows[i].fails)
			cr_expect(result.error == -EPROTO || result.error == -ECONNRESET,
				"%s: %d %s", rows[i].name, result.error, result.message);
		if (rows[i].message)
			cr_expect(strstr(result.message, rows[i].message), "%s: %s", rows[i].name,
				result.message);
		free(result.body);
	}
}

Test(https, the_right_words_for_the_wrong_protocol)
{
	static const struct tls_row row = { "", "by-address", NULL, "ca.crt", .fails = true };
	struct test_result result;

	try(&row, "http", &result);
	cr_expect_neq(result.error, 0);
	free(result.body);
}

struct file_row {
	const char *name;
	const char *ca, *cert, *key;
	int error;
};

static const struct file_row files[] = {
	{ "all there", "ca.crt", "client.crt", "client.key", 0 },
	{ "no such CA", "none.crt", NULL, NULL, -ENOENT },
	{ "no such certificate", "ca.crt", "none.crt", "client.key", -ENOENT },
	{ "no such key", "ca.crt", "client.crt", "none.key", -ENOENT },
	{ "a key in the certificate's file, and there is none", NULL, "client.crt", NULL, -EINVAL },
	{ "a key for a CA", "client.key", NULL, NULL, -EINVAL },
	{ "a certificate for a key", NULL, "client.crt", "client.crt", -EINVAL },
};

Test(https, files_are_looked_at_first)
{
	uv_loop_t loop;

	uv_loop_init(&loop);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		_cleanup_free_ char *ca = file(files[i].ca), *cert = file(files[i].cert);
		_cleanup_free_ char *key = file(files[i].key);
		struct fl_failure failure = { 0 };
		struct fl_http *http = NULL;
		int r = fl_http_open(&loop,
			&(struct fl_http_options){ .ca = ca, .cert = cert, .key = key }, &failure,
			&http);

		cr_expect_eq(r, files[i].error, "%s: %d %s", files[i].name, r, failure.message);
		cr_expect_eq(!*failure.message, !r, "%s: %s", files[i].name, failure.message);
		fl_http_close(http);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_expect_eq(uv_loop_close(&loop), 0);
}
