/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "control/actions.h"
#include "control/view.h"
#include "core/failure.h"

/**
 * @file server.h
 * The HTTP API on the Unix socket and on `http.listen` (libmicrohttpd on the
 * agent's loop). pages.h says what is served.
 *
 * The Unix socket's file is its access control; changes (actions.h) are made there.
 * TCP has none and serves reads only: who can reach it can read it; on a loopback address a Host header must
 * be an address or localhost, so that no web page reads it through a browser.
 * Each connection carries one request. It has a deadline for sending it and one
 * for taking the answer, and when connections run out, the oldest that has not
 * asked yet makes room.
 */
struct fl_server;

struct fl_server_limits {
	unsigned connections; /**< of each listener */
	unsigned large;       /**< answers at a time that may be megabytes; beyond: 503 */
	uint32_t request_ms;  /**< to send a request */
	uint32_t answer_ms;   /**< to take the answer, counted from the request */
};

struct fl_server_hooks {
	/** Fill the view with what is true now. */
	void (*view)(void *context, struct fl_view *ret);
	void *context;
	struct fl_actions actions;
	const struct fl_server_limits *limits; /**< NULL = the usual ones */
};

/** @return 0; -EADDRINUSE and others with message and hint */
int fl_server_start(const struct fl_config *config, uv_loop_t *loop,
	const struct fl_server_hooks *hooks, struct fl_failure *failure, struct fl_server **ret);

/**
 * Close the sockets and end every connection; waits for answers being written on
 * a worker thread. The loop must run until its handles are closed before it may
 * be freed; the view's hooks are not called any more. NULL is welcome.
 */
void fl_server_stop(struct fl_server *server);
