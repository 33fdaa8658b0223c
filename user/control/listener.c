/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "control/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

/** Bytes of a request's line and headers, about: libmicrohttpd's pool for one connection. */
#define CONNECTION_MEMORY 16384

/** One connection. libmicrohttpd keeps the pointer. */
struct fl_client {
	struct fl_client *prev, *next;
	int fd;
	bool asked;           /**< its request has arrived */
	bool cut;             /**< is being closed */
	uint64_t deadline_ms; /**< by the loop's clock */
};

/* We decode paths and arguments ourselves, and refuse what is wrong with them. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

/* The daemon notices that the peer has gone, and cleans up. */
static void cut(struct fl_client *client)
{
	client->cut = true;
	shutdown(client->fd, SHUT_RDWR);
}

static void on_deadlines(uv_timer_t *timer);

/* Wake up at the next deadline, and not before. */
static void await_deadline(struct fl_listener *listener)
{
	uint64_t now_ms = uv_now(listener->deadlines.loop);
	uint64_t next_ms = UINT64_MAX;
	struct fl_client *client;

	DL_FOREACH(listener->clients, client)
		if (!client->cut && client->deadline_ms < next_ms)
			next_ms = client->deadline_ms;
	if (next_ms == UINT64_MAX)
		uv_timer_stop(&listener->deadlines);
	else
		uv_timer_start(&listener->deadlines, on_deadlines,
			next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

static void on_deadlines(uv_timer_t *timer)
{
	struct fl_listener *listener = timer->data;
	uint64_t now_ms = uv_now(timer->loop);
	struct fl_client *client;

	DL_FOREACH(listener->clients, client)
		if (now_ms >= client->deadline_ms)
			cut(client);
	await_deadline(listener);
}

/* So that who connects and says nothing keeps nobody out. */
static void make_room(struct fl_listener *listener)
{
	struct fl_client *client;

	if (listener->client_count + 1 < listener->client_max)
		return;
	DL_FOREACH(listener->clients, client) {
		if (client->asked || client->cut)
			continue;
		cut(client);
		return;
	}
}

static void client_came(struct fl_listener *listener, struct MHD_Connection *connection, void **ret)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct fl_client *client = calloc(1, sizeof(*client));

	*ret = client;
	if (!client || !info) {
		if (info)
			shutdown(info->connect_fd, SHUT_RDWR);
		free(client);
		*ret = NULL;
		return;
	}
	client->fd = info->connect_fd;
	client->deadline_ms = uv_now(listener->deadlines.loop) + listener->request_ms;
	make_room(listener);
	DL_APPEND(listener->clients, client);
	listener->client_count++;
	await_deadline(listener);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
	enum MHD_ConnectionNotificationCode code)
{
	struct fl_listener *listener = context;
	struct fl_client *client = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		client_came(listener, connection, socket_context);
		return;
	}
	if (!client)
		return;
	DL_DELETE(listener->clients, client);
	free(client);
	*socket_context = NULL;
	listener->client_count--;
	await_deadline(listener);
}

void fl_listener_asked(struct fl_listener *listener, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct fl_client *client = info ? info->socket_context : NULL;

	if (!client || client->asked)
		return;
	client->asked = true;
	client->deadline_ms = uv_now(listener->deadlines.loop) + listener->answer_ms;
	await_deadline(listener);
}

static void on_pump(uv_timer_t *timer)
{
	fl_listener_pump(timer->data);
}

void fl_listener_pump(struct fl_listener *listener)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;
	unsigned before;

	if (!listener->daemon)
		return;
	uv_update_time(listener->pump.loop);
	/* At its limit the daemon stops listening, and listens again at the start of
	 * a run: after a connection ended there must be one more. */
	do {
		before = listener->client_count;
		MHD_run(listener->daemon);
	} while (listener->client_count < before);
	if (MHD_get_timeout(listener->daemon, &timeout_ms) == MHD_YES)
		uv_timer_start(&listener->pump, on_pump, timeout_ms, 0);
	else
		uv_timer_stop(&listener->pump);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	fl_listener_pump(poll->data);
}

static void on_closed(uv_handle_t *handle)
{
	struct fl_listener *listener = handle->data;

	if (--listener->open_handles == 0)
		listener->closed(listener->context);
}

int fl_listener_start(struct fl_listener *listener, uv_loop_t *loop, int fd,
	MHD_AccessHandlerCallback handler, MHD_RequestCompletedCallback completed, void *context)
{
	const union MHD_DaemonInfo *info;

	listener->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		handler, context, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED,
		completed, context, MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_CONNECTION_LIMIT,
		listener->client_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!listener->daemon) {
		int code = errno ? -errno : -EIO;

		close(fd);
		return code;
	}
	info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || uv_poll_init(loop, &listener->poll, info->epoll_fd) < 0) {
		MHD_stop_daemon(listener->daemon);
		listener->daemon = NULL;
		return -EIO;
	}
	uv_timer_init(loop, &listener->pump);
	uv_timer_init(loop, &listener->deadlines);
	listener->poll.data = listener->pump.data = listener->deadlines.data = listener;
	listener->open_handles = 3;
	uv_poll_start(&listener->poll, UV_READABLE, on_poll);
	return 0;
}

void fl_listener_stop(struct fl_listener *listener)
{
	uv_poll_stop(&listener->poll);
	MHD_stop_daemon(listener->daemon);
	listener->daemon = NULL;
	uv_close((uv_handle_t *)&listener->poll, on_closed);
	uv_close((uv_handle_t *)&listener->pump, on_closed);
	uv_close((uv_handle_t *)&listener->deadlines, on_closed);
}
