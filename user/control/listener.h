/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <uv.h>

/**
 * @file listener.h
 * One libmicrohttpd daemon on the agent's loop: its epoll descriptor in a
 * uv_poll, its timeout in a uv_timer, and a deadline for each connection.
 *
 * libmicrohttpd's own timeout restarts with every byte, so that a client which
 * sends one now and then would keep its connection for ever; ours does not.
 */
struct fl_client;

struct fl_listener {
	struct MHD_Daemon *daemon; /**< NULL = not in use */
	uv_poll_t poll;
	uv_timer_t pump;           /**< the daemon's timeout */
	uv_timer_t deadlines;      /**< runs while there are connections */
	struct fl_client *clients; /**< oldest first */
	unsigned client_count;
	unsigned client_max;
	uint32_t request_ms;
	uint32_t answer_ms;
	unsigned open_handles;
	void (*closed)(void *context); /**< after fl_listener_stop: all handles are closed */
	void *context;
};

/**
 * Serve connections of a listening socket. The listener must stay where it is.
 * @param fd       owned from here on, also when this fails
 * @param handler  libmicrohttpd's access handler; must call fl_listener_asked
 * @return 0, -errno
 */
int fl_listener_start(struct fl_listener *listener, uv_loop_t *loop, int fd,
	MHD_AccessHandlerCallback handler, MHD_RequestCompletedCallback completed, void *context);
/** The request has arrived: from now on the deadline is the answer's. */
void fl_listener_asked(struct fl_listener *listener, struct MHD_Connection *connection);
/** Let the daemon work, after a connection was resumed. Not from its callbacks. */
void fl_listener_pump(struct fl_listener *listener);
/** End all connections; none may be suspended. `closed` comes later, from the loop. */
void fl_listener_stop(struct fl_listener *listener);
