/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"

/**
 * @file request.h
 * What a request asks for, checked before anything looks at it. Pure.
 *
 * The server refuses whatever two readers could understand differently:
 * Content-Length beside Transfer-Encoding, a second Host or Authorization,
 * escapes that are none, bytes below space.
 */
#define FL_REQUEST_PATH_MAX 1024
#define FL_REQUEST_NAME_MAX 256

struct fl_request {
	char method[16];
	char path[FL_REQUEST_PATH_MAX];    /**< decoded */
	char service[FL_REQUEST_NAME_MAX]; /**< of ?service=; "" = not given */
	bool has_service;
	char endpoint[FL_SOCKET_TEXT]; /**< of ?endpoint=; these three "" = not given */
	char status[16];               /**< of ?status= */
	char word[16];                 /**< of ?word=; these three likewise */
	char weight[16];
	char deadline[16];
	char note[256];   /**< of ?note= */
	char change[16];  /**< of ?change= */
	const char *body; /**< of pages that take one; NULL = none */
	size_t body_length;
	bool head_only;   /**< HEAD: the body is not sent */
	bool openmetrics; /**< the Accept header prefers application/openmetrics-text */
};

/**
 * Decode %XX.
 * @return false when an escape is cut or no hexadecimal, when a byte below
 *         space or DEL comes out, or when it does not fit; `buffer` is then ""
 */
bool fl_percent_decode(const char *text, char *buffer, size_t size);

/**
 * Whether a Host header may speak to a listener on the loopback: an address or
 * localhost. A name would be one that a web page made to point here (DNS
 * rebinding), so that a browser on this machine reads us for it.
 */
bool fl_host_is_local(const char *host);

/** Whether an Accept header (NULL = none) prefers OpenMetrics to plain text. */
bool fl_accepts_openmetrics(const char *accept);
