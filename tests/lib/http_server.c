/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/http_server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define HEAD_MAX        65536

/* One connection, with a thread of its own. */
struct peer {
	struct test_http_server *server;
	pthread_t thread;
	unsigned number;
	int fd;
	SSL *ssl;
	char head[HEAD_MAX + 1]; /* what was read and not used yet */
	size_t count;
};

struct test_http_server {
	struct test_http_options options;
	SSL_CTX *tls;
	int fd;
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t lock; /* of `peers` and their descriptors */
	struct peer *peers[CONNECTIONS_MAX];
	atomic_uint connections, requests;
	atomic_bool stopping;
};

/* -------------------------------------------------------------------- bytes */

static ssize_t receive(struct peer *peer, char *bytes, size_t count)
{
	if (peer->ssl)
		return SSL_read(peer->ssl, bytes, (int)count);
	return read(peer->fd, bytes, count);
}

static bool transmit(struct peer *peer, const char *bytes, size_t count)
{
	while (count && !peer->server->stopping) {
		int piece = count > 65536 ? 65536 : (int)count;
		ssize_t sent = peer->ssl ? SSL_write(peer->ssl, bytes, piece)
					 : send(peer->fd, bytes, (size_t)piece, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes += sent;
		count -= (size_t)sent;
	}
	return !count;
}

static bool drip(struct peer *peer, const char *bytes, size_t count, unsigned pause_ms)
{
	for (size_t i = 0; i < count; i++) {
		if (!transmit(peer, bytes + i, 1))
			return false;
		usleep(pause_ms * 1000);
	}
	return true;
}

static bool fill(struct peer *peer, size_t count)
{
	static char filler[65536];

	memset(filler, 'x', sizeof(filler));
	while (count) {
		size_t piece = count < sizeof(filler) ? count : sizeof(filler);

		if (!transmit(peer, filler, piece))
			return false;
		count -= piece;
	}
	return true;
}

/* ----------------------------------------------------------------- requests */

/* @return length of the head with its empty line; 0 = no more requests */
static size_t read_head(struct peer *peer)
{
	for (;;) {
		char *end;
		ssize_t n;

		peer->head[peer->count] = '\0';
		end = strstr(peer->head, "\r\n\r\n");
		if (end)
			return (size_t)(end + 4 - peer->head);
		n = receive(peer, peer->head + peer->count, HEAD_MAX - peer->count);
		if (n <= 0)
			return 0;
		peer->count += (size_t)n;
	}
}

/* The rest of the body is read; what was read too much stays in `head`. */
static char *read_body(struct peer *peer, size_t head, size_t length)
{
	char *body = calloc(1, length + 1);
	size_t have = peer->count - head < length ? peer->count - head : length;

	memcpy(body, peer->head + head, have);
	peer->count -= head + have;
	memmove(peer->head, peer->head + head + have, peer->count);
	while (have < length) {
		ssize_t n = receive(peer, body + have, length - have);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	return body;
}

static void by_rows(const struct test_reply *rows, const char *target, struct test_reply *ret)
{
	for (; rows && rows->bytes; rows++) {
		if (strncmp(target, rows->target, strlen(rows->target)) == 0) {
			*ret = *rows;
			return;
		}
	}
	ret->bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
}

static bool reply_to(struct peer *peer, const struct test_reply *reply)
{
	size_t count = reply->count ? reply->count : strlen(reply->bytes);
	bool sent = reply->drip_ms ? drip(peer, reply->bytes, count, reply->drip_ms)
				   : transmit(peer, reply->bytes, count);
	char byte;

	if (!sent || !fill(peer, reply->filler))
		return false;
	if (reply->then == TEST_HANG)
		while (receive(peer, &byte, 1) > 0)
			;
	if (reply->then == TEST_RESET)
		setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
			sizeof(struct linger));
	return reply->then == TEST_KEEP;
}

static bool serve_one(struct peer *peer)
{
	const struct test_http_options *options = &peer->server->options;
	struct test_reply reply = { .then = TEST_KEEP };
	size_t length = read_head(peer);
	struct test_request request = { .connection = peer->number };
	char *head, *body, *at, *found;
	bool go_on;

	if (!length)
		return false;
	head = strndup(peer->head, length);
	found = strcasestr(head, "\r\nContent-Length:");
	request.length = found ? strtoul(found + strlen("\r\nContent-Length:"), NULL, 10) : 0;
	request.body = body = read_body(peer, length, request.length);
	at = head;
	request.method = strsep(&at, " ");
	request.target = strsep(&at, " ");
	request.headers = strstr(at, "\r\n") + 2;
	peer->server->requests++;
	if (options->answer)
		options->answer(options->context, &request, &reply);
	else
		by_rows(options->rows, request.target, &reply);
	go_on = reply_to(peer, &reply);
	free(head);
	free(body);
	return go_on;
}

static void *serve(void *context)
{
	struct peer *peer = context;
	struct test_http_server *server = peer->server;
	bool ready = true;

	if (server->tls) {
		peer->ssl = SSL_new(server->tls);
		SSL_set_fd(peer->ssl, peer->fd);
		ready = SSL_accept(peer->ssl) == 1;
	}
	while (ready && !server->stopping && serve_one(peer))
		;
	if (peer->ssl && ready)
		SSL_shutdown(peer->ssl);
	SSL_free(peer->ssl);
	pthread_mutex_lock(&server->lock);
	close(peer->fd);
	peer->fd = -1;
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* ---------------------------------------------------------- begin and end */

static void *accept_all(void *context)
{
	struct test_http_server *server = context;

	while (server->connections < CONNECTIONS_MAX) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
		struct peer *peer;

		if (fd < 0)
			break; /* stopped */
		pthread_mutex_lock(&server->lock);
		peer = server->peers[server->connections] = calloc(1, sizeof(*peer));
		peer->server = server;
		peer->fd = fd;
		peer->number = ++server->connections;
		pthread_create(&peer->thread, NULL, serve, peer);
		pthread_mutex_unlock(&server->lock);
	}
	return NULL;
}

static void listen_on(struct test_http_server *server)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const char *path = server->options.unix_socket;
	socklen_t length = path ? sizeof(un) : sizeof(in);
	struct sockaddr *address = path ? (struct sockaddr *)&un : (struct sockaddr *)&in;

	if (path)
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	server->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(server->fd, address, length), 0, "bind: %s", strerror(errno));
	cr_assert_eq(listen(server->fd, 512), 0);
	if (!path) {
		cr_assert_eq(getsockname(server->fd, address, &length), 0);
		server->port = ntohs(in.sin_port);
	}
}

static void prepare_tls(struct test_http_server *server)
{
	const struct test_http_options *options = &server->options;
	int mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;

	server->tls = SSL_CTX_new(TLS_server_method());
	cr_assert_eq(SSL_CTX_use_certificate_file(server->tls, options->cert, SSL_FILETYPE_PEM), 1);
	cr_assert_eq(SSL_CTX_use_PrivateKey_file(server->tls, options->key, SSL_FILETYPE_PEM), 1);
	if (!options->client_ca)
		return;
	cr_assert_eq(SSL_CTX_load_verify_locations(server->tls, options->client_ca, NULL), 1);
	SSL_CTX_set_session_id_context(server->tls, (const unsigned char *)"test", 4);
	SSL_CTX_set_verify(server->tls, mode, NULL);
}

struct test_http_server *test_http_start(const struct test_http_options *options)
{
	struct test_http_server *server = calloc(1, sizeof(*server));

	signal(SIGPIPE, SIG_IGN);
	server->options = *options;
	pthread_mutex_init(&server->lock, NULL);
	if (options->cert)
		prepare_tls(server);
	listen_on(server);
	cr_assert_eq(pthread_create(&server->thread, NULL, accept_all, server), 0);
	return server;
}

void test_http_stop(struct test_http_server *server)
{
	server->stopping = true;
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
	pthread_mutex_lock(&server->lock);
	for (unsigned i = 0; i < server->connections; i++)
		if (server->peers[i]->fd >= 0)
			shutdown(server->peers[i]->fd, SHUT_RDWR);
	pthread_mutex_unlock(&server->lock);
	for (unsigned i = 0; i < server->connections; i++) {
		pthread_join(server->peers[i]->thread, NULL);
		free(server->peers[i]);
	}
	SSL_CTX_free(server->tls);
	pthread_mutex_destroy(&server->lock);
	if (server->options.unix_socket)
		unlink(server->options.unix_socket);
	free(server);
}

uint16_t test_http_port(const struct test_http_server *server)
{
	return server->port;
}

unsigned test_http_connections(struct test_http_server *server)
{
	return server->connections;
}

unsigned test_http_requests(struct test_http_server *server)
{
	return server->requests;
}
