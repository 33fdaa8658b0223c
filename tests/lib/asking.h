/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "net/http.h"

/**
 * @file asking.h
 * A loop with an HTTP client, and what its calls came to.
 */

/** What `done` was told. */
struct test_result {
	unsigned calls; /**< of `done` */
	int error;
	unsigned status;
	char *body; /**< taken; NULL with an error */
	size_t length;
	char message[320];
	char token[64]; /**< header X-Token; empty = absent */
	/** Called last within `done`; NULL = nothing. */
	void (*then)(void *context);
	void *context; /**< for it */
};

struct test_asking {
	uv_loop_t loop;
	uv_timer_t watchdog;
	uint64_t end_ns;
	struct fl_http *http;
};

/** Fails the test when the client cannot be opened. */
void test_asking_begin(struct test_asking *asking, const struct fl_http_options *options);
/** Close the client, unless the test did (NULL). Fails the test when a handle stays open. */
void test_asking_end(struct test_asking *asking);
/** Run the loop until `*count` is `wanted`; fails the test after TEST_DEADLINE_MS. */
void test_asking_until(struct test_asking *asking, const unsigned *count, unsigned wanted);
/** fl_http_send, with test_result_done. */
int test_asking_send(struct test_asking *asking, const struct fl_http_request *request,
	struct test_result *result, struct fl_http_call **ret);
/** Send and wait for the end of it. */
void test_asking_get(
	struct test_asking *asking, const struct fl_http_request *request, struct test_result *ret);
/** The fl_http_done that fills a struct test_result. */
void test_result_done(void *context, struct fl_http_answer *answer);
