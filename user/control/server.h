/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "control/view.h"
#include "core/failure.h"

/**
 * @file server.h
 * The HTTP API on the Unix socket and on `http.listen` (libmicrohttpd on the
 * agent's loop).
 *
 * The socket belongs to root and one group. TCP serves only reads: /metrics,
 * /healthz, /readyz and GET /api/v1/….
 */
struct fl_server;

struct fl_server_hooks {
	/** Fill the view with what is true now. */
	void (*view)(void *context, struct fl_view *ret);
	void *context;
};

/** @return 0; -EADDRINUSE and others with message and hint */
int fl_server_start(const struct fl_config *config, uv_loop_t *loop,
	const struct fl_server_hooks *hooks, struct fl_failure *failure, struct fl_server **ret);
void fl_server_stop(struct fl_server *server);
