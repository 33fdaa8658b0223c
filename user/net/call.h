/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

#include "core/text.h"
#include "net/http.h"

/**
 * @file call.h
 * One request of the HTTP client and its answer as it arrives. http.c says when
 * it runs; nothing here knows of the loop. Private to net/.
 */

/** Bytes of an answer's headers, interim answers and trailers included. */
#define FL_HTTP_HEADERS_MAX 65536

struct fl_http_call {
	struct fl_http *http;
	struct fl_http_call *prev, *next; /**< in http.c's lists */
	fl_http_done done;
	void *context;
	uint64_t deadline_ms; /**< on the loop's clock */

	/* the request, copied */
	char *method;
	char *url; /**< its host is the name that is verified */
	struct curl_slist *headers;
	struct curl_slist *connect_to; /**< where, when that is not the URL's host; NULL = there */
	char *peer;                    /**< HOST:PORT or socket that is connected to, for people */
	void *body;
	size_t length;
	size_t max_bytes;
	char *source; /**< as libcurl wants it; NULL = any */
	uint32_t mark;
	bool once, http2;

	/* while it runs */
	CURL *easy;      /**< NULL = waits for a connection */
	long timeout_ms; /**< what was left when it began */
	long connect_ms;
	struct fl_text answer_headers;
	struct fl_text answer_body;
	bool too_long;  /**< the body */
	bool too_wordy; /**< the headers */
	char error[CURL_ERROR_SIZE];
	char message[CURL_ERROR_SIZE + 64];
};

/** Copy a request. @return 0, -ENOMEM, -EINVAL */
int fl_http_call_new(const struct fl_http_options *options, const struct fl_http_request *request,
	struct fl_http_call **ret);
/** Free all; `easy` is out of its multi handle. */
void fl_http_call_free(struct fl_http_call *call);
/** Make `easy` ready to run. @param timeout_ms >= 1 @return 0, -ENOMEM */
int fl_http_call_prepare(
	struct fl_http_call *call, const struct fl_http_options *options, long timeout_ms);
/** What came of it. The body moves to the answer, the rest is borrowed from `call`. */
void fl_http_call_answer(struct fl_http_call *call, CURLcode code, struct fl_http_answer *ret);
