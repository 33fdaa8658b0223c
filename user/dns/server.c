/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dns/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "net/bind.h"

static const struct fl_dns_limits usual_limits = {
	.connections = 128, .per_turn = 32, .idle_ms = 10000, .retry_ms = 5000
};

struct fl_dns_server {
	uv_loop_t *loop;
	struct fl_listen listen;
	struct fl_dns_hooks hooks;
	struct fl_dns_limits limits;
	struct fl_dns_zone *zone;
	uv_timer_t retry;
	uv_udp_t *udp; /* NULL = does not listen */
	struct fl_dns_streams *streams;
	struct fl_dns_counts counts;
	char reason[1024]; /* why it does not answer; empty = it does */
	unsigned handles;  /* to be closed before this may be freed */
	uint8_t query[FL_DNS_QUERY_MAX];
	uint8_t answer[FL_DNS_UDP_MAX];
};

/* -------------------------------------------------------------- answering */

static size_t answer(struct fl_dns_server *server, enum fl_dns_transport transport,
	const uint8_t *query, size_t size, uint8_t *bytes)
{
	struct fl_snapshot *applied = server->hooks.applied(server->hooks.context);
	struct fl_dns_outcome outcome;
	size_t length =
		fl_dns_answer(server->zone, applied, transport, query, size, bytes, &outcome);

	if (!length)
		return 0;
	server->counts.queries[transport][outcome.rcode]++;
	server->counts.truncated[transport] += outcome.truncated;
	return length;
}

static size_t answer_stream(void *context, const uint8_t *query, size_t size, uint8_t *bytes)
{
	return answer(context, FL_DNS_TCP, query, size, bytes);
}

static void on_alloc(uv_handle_t *handle, size_t wished, uv_buf_t *ret)
{
	struct fl_dns_server *server = handle->data;

	(void)wished;
	*ret = uv_buf_init((char *)server->query, sizeof(server->query));
}

/* libuv hands us at most 32 datagrams before the loop goes on. */
static void on_datagram(uv_udp_t *udp, ssize_t count, const uv_buf_t *buffer,
	const struct sockaddr *from, unsigned flags)
{
	struct fl_dns_server *server = udp->data;
	uv_buf_t out;
	size_t length = 0;

	(void)buffer;
	if (!from) /* nothing more to read, or an error that was for somebody else */
		return;
	if (count > 0 && !(flags & UV_UDP_PARTIAL))
		length = answer(server, FL_DNS_UDP, server->query, (size_t)count, server->answer);
	if (!length) {
		server->counts.dropped[FL_DNS_DROP_NO_QUERY]++;
		return;
	}
	out = uv_buf_init((char *)server->answer, (unsigned)length);
	if (uv_udp_try_send(udp, &out, 1, from) < 0)
		server->counts.dropped[FL_DNS_DROP_SEND]++;
}

/* -------------------------------------------------------------- listening */

static void release(struct fl_dns_server *server)
{
	if (--server->handles)
		return;
	fl_dns_zone_free(server->zone);
	free(server);
}

static void on_timer_closed(uv_handle_t *timer)
{
	release(timer->data);
}

static void on_udp_closed(uv_handle_t *udp)
{
	release(udp->data);
	free(udp);
}

static void close_udp(struct fl_dns_server *server)
{
	if (server->udp)
		uv_close((uv_handle_t *)server->udp, on_udp_closed);
	server->udp = NULL;
}

/* Takes the socket over. */
static int open_udp(struct fl_dns_server *server, int fd)
{
	uv_udp_t *udp = calloc(1, sizeof(*udp));
	int r = udp ? uv_udp_init(server->loop, udp) : -ENOMEM;

	if (r < 0) {
		free(udp);
		close(fd);
		return r;
	}
	udp->data = server;
	server->udp = udp;
	server->handles++;
	r = uv_udp_open(udp, fd);
	if (r < 0)
		close(fd);
	else
		r = uv_udp_recv_start(udp, on_alloc, on_datagram);
	if (r < 0)
		close_udp(server);
	return r;
}

/* Takes the sockets over. */
static int open_handles(struct fl_dns_server *server, int udp, int tcp)
{
	const struct fl_dns_stream_options options = {
		.connections = server->limits.connections,
		.per_turn = server->limits.per_turn,
		.idle_ms = server->limits.idle_ms,
		.answer = answer_stream,
		.context = server,
	};
	int r = open_udp(server, udp);

	if (r < 0) {
		close(tcp);
		return r;
	}
	r = fl_dns_streams_start(server->loop, tcp, &options, &server->streams);
	if (r < 0)
		close_udp(server);
	return r;
}

/* Both or none. */
static int try_listen(struct fl_dns_server *server, struct fl_failure *failure)
{
	const struct fl_listen *listen = &server->listen;
	_cleanup_close_ int udp = -1;
	_cleanup_close_ int tcp = -1;
	int r = fl_bind(SOCK_DGRAM, &listen->addr, listen->port, "dns.listen", failure, &udp);

	if (r == 0)
		r = fl_bind(SOCK_STREAM, &listen->addr, listen->port, "dns.listen", failure, &tcp);
	if (r < 0)
		return r;
	r = open_handles(server, TAKE_FD(udp), TAKE_FD(tcp));
	return r < 0 ? fl_fail(failure, r, "cannot listen: %s", fl_log_errno(r)) : 0;
}

static void say_failure(struct fl_dns_server *server, const struct fl_failure *failure)
{
	char reason[sizeof(server->reason)];

	snprintf(reason, sizeof(reason), "%s%s%s", failure->message, failure->hint[0] ? "; " : "",
		failure->hint);
	if (strcmp(reason, server->reason) == 0)
		return;
	strcpy(server->reason, reason);
	fl_log(FL_LOG_ERROR, "dns", "names of services are not answered, trying again",
		FL_STR("err", failure->message), FL_STR("hint", failure->hint),
		FL_UINT("retry_ms", server->limits.retry_ms));
}

static void try_again(uv_timer_t *timer)
{
	struct fl_dns_server *server = timer->data;
	struct fl_failure failure = { 0 };
	char text[FL_SOCKET_TEXT];

	if (try_listen(server, &failure) < 0) {
		say_failure(server, &failure);
		uv_timer_start(timer, try_again, server->limits.retry_ms, 0);
		return;
	}
	server->reason[0] = '\0';
	fl_log(FL_LOG_INFO, "dns", "names of services are answered",
		FL_STR("listen",
			fl_socket_format(&server->listen.addr, server->listen.port, text)));
}

/* --------------------------------------------------------- start and stop */

static uint64_t seed(void)
{
	uint64_t value;

	if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != sizeof(value))
		value = fl_clock_mono_ns();
	return value;
}

int fl_dns_server_start(const struct fl_config *config, uv_loop_t *loop,
	const struct fl_dns_hooks *hooks, struct fl_dns_server **ret)
{
	struct fl_dns_server *server;
	int r;

	*ret = NULL;
	if (!config->dns.port)
		return 0;
	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	r = fl_dns_zone_new(
		config->dns_domain, config->dns_ttl_s, &config->dns.addr, seed(), &server->zone);
	if (r < 0) {
		free(server);
		return r;
	}
	server->loop = loop;
	server->listen = config->dns;
	server->hooks = *hooks;
	server->limits = hooks->limits ? *hooks->limits : usual_limits;
	uv_timer_init(loop, &server->retry);
	server->retry.data = server;
	server->handles = 1;
	try_again(&server->retry);
	*ret = server;
	return 0;
}

void fl_dns_server_configure(struct fl_dns_server *server, const struct fl_config *config)
{
	if (server)
		fl_dns_zone_set(server->zone, config->dns_domain, config->dns_ttl_s);
}

void fl_dns_server_stop(struct fl_dns_server *server)
{
	if (!server)
		return;
	fl_dns_streams_stop(server->streams);
	close_udp(server);
	uv_close((uv_handle_t *)&server->retry, on_timer_closed);
}

const char *fl_dns_server_reason(const struct fl_dns_server *server)
{
	return server->reason[0] ? server->reason : NULL;
}

const struct fl_dns_counts *fl_dns_server_counts(const struct fl_dns_server *server)
{
	return &server->counts;
}

struct fl_dns_stream_counts fl_dns_server_stream_counts(const struct fl_dns_server *server)
{
	return server->streams ? *fl_dns_streams_counts(server->streams)
			       : (struct fl_dns_stream_counts){ 0 };
}
