/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/failure.h"

/**
 * @file http.h
 * An HTTP client on the agent's loop (libcurl's multi interface), as registry
 * drivers, probes and exporters use it: many requests at once, long polls, TLS
 * with client certificates, Unix sockets; nothing blocks, everything is bounded.
 *
 * Redirects are not followed and no other protocol than HTTP(S) is spoken. Proxy
 * variables of the environment are ignored.
 */
struct fl_http;
struct fl_http_call;

struct fl_http_options {
	const char *ca;          /**< file of CA certificates; NULL = the system's */
	const char *cert;        /**< client certificate, PEM; NULL = none */
	const char *key;         /**< its key; NULL = in `cert` */
	const char *server_name; /**< verified instead of the URL's host; NULL = the host */
	const char *unix_socket; /**< connect there, whatever the URL's host; NULL = TCP */
	unsigned connections;    /**< most at once; further calls wait for one; 0 = 64 */
	uint32_t connect_ms;     /**< to connect, TLS included; 0 = 5000 */
	bool unverified;         /**< any certificate will do */
};

struct fl_http_request {
	const char *method; /**< NULL = GET */
	const char *url;
	const char *const *headers; /**< "Name: value", ends with NULL; NULL = none */
	const void *body;           /**< NULL = none */
	size_t length;              /**< of the body */
	uint32_t timeout_ms;        /**< from fl_http_send to the whole answer; 0 = 30000 */
	size_t max_bytes;           /**< of the answer's body; 0 = 64 MiB */
	const char
		*peer; /**< ADDRESS:PORT to connect to, whatever the URL's host; NULL = the host */
	const char *source; /**< address to connect from; NULL = the route's */
	uint32_t mark;      /**< SO_MARK of the socket; 0 = none */
	bool http2;         /**< HTTP/2 from the first byte (prior knowledge), else HTTP/1.1 */
	bool once;          /**< over a connection of its own, which is reset in the end: leaves
	                     * nothing in TIME_WAIT */
};

struct fl_http_answer {
	/** 0 = there is an answer; -ETIMEDOUT, -ECONNREFUSED, -ECONNRESET, -EFBIG (more than
	 * max_bytes), -EPROTO (no HTTP, TLS failed), -ENOENT (no such host or socket), -ENOMEM … */
	int error;
	const char *message; /**< of the error, for people; "" without one */
	unsigned status;     /**< 200 …; 0 with an error */
	char *body;          /**< a NUL follows it; the callee may take it: set NULL, free() it */
	size_t length;       /**< of the body */
	const char *headers; /**< private to http.c */
};

/** Called once for each call that was not cancelled, from the loop, never from
 * within fl_http_send. The answer lives during the call. It may send, cancel others and close. */
typedef void (*fl_http_done)(void *context, struct fl_http_answer *answer);

/** Everything given is copied. @return 0; -ENOENT, -EINVAL … when a TLS file cannot be used */
int fl_http_open(uv_loop_t *loop, const struct fl_http_options *options, struct fl_failure *failure,
	struct fl_http **ret);
/** Cancels all calls; handles close in the next turns of the loop. NULL is welcome. */
void fl_http_close(struct fl_http *http);

/** Everything given is copied. @return 0, -ENOMEM, -EINVAL (no http(s) URL)
 * @param ret  to cancel it; NULL = not wanted; invalid once `done` was called */
int fl_http_send(struct fl_http *http, const struct fl_http_request *request, fl_http_done done,
	void *context, struct fl_http_call **ret);
/** `done` will not be called. */
void fl_http_cancel(struct fl_http_call *call);

/**
 * A header of the answer, by name in any case; of several, the last.
 * @param buffer  cut off when it does not fit
 * @return `buffer`, NULL = absent
 */
const char *fl_http_header(
	const struct fl_http_answer *answer, const char *name, char *buffer, size_t size);
