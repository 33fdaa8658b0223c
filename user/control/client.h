/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>

#include "core/failure.h"

/**
 * @file client.h
 * The CLI's way to the agent: HTTP over the Unix socket.
 */

/**
 * @param path  "/api/v1/services"; parts of it that are data are encoded by
 *              fl_client_encode
 * @param ret   the decoded body of a 200; new reference
 * @return 0; -ENOENT (404), -ECONNREFUSED (no agent), -EACCES (not allowed to
 *         open the socket), -EINVAL (the agent refused the request), -EBUSY (503),
 *         -ETIMEDOUT, -EPROTO (an answer that is none of ours), each with words
 */
int fl_client_get(const char *socket, const char *path, struct fl_failure *failure, json_t **ret);

/** Ask for a change. As fl_client_get; also -EALREADY (409: it is so already, or in the way).
 * @param body  NULL = none */
int fl_client_post(const char *socket, const char *path, const char *body,
	struct fl_failure *failure, json_t **ret);

/** Percent-encode a name for a path or an argument. @return to be freed; NULL = out of memory */
char *fl_client_encode(const char *name);
