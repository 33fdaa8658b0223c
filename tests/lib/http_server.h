/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * @file http_server.h
 * A fake HTTP server on threads of its own, for the faults that a real one does
 * not produce on demand: each request gets exactly the bytes that the test gives.
 */

/** What a client asked. */
struct test_request {
	const char *method;
	const char *target;  /**< path and query */
	const char *headers; /**< raw lines */
	const char *body;    /**< NUL-terminated */
	size_t length;
	unsigned connection; /**< 1 = the first that was accepted */
};

enum test_then {
	TEST_KEEP,  /**< the next request may come */
	TEST_CLOSE, /**< close */
	TEST_HANG,  /**< say nothing more until the client closes or the server stops */
	TEST_RESET, /**< close with a reset */
};

/** What the server says. */
struct test_reply {
	char target[64];   /**< in a table: for requests that begin with this */
	const char *bytes; /**< head and body, as they are */
	size_t count;      /**< of them; 0 = up to the NUL */
	size_t filler;     /**< so many 'x' follow */
	unsigned drip_ms;  /**< pause after each of `bytes` */
	enum test_then then;
};

/** Answers a request, on a thread of the server. The reply's bytes must live until the
 * server has stopped. */
typedef void (*test_answer)(
	void *context, const struct test_request *request, struct test_reply *ret);

struct test_http_options {
	test_answer answer;            /**< NULL = by `rows` */
	void *context;                 /**< for it */
	const struct test_reply *rows; /**< the first whose target fits; ends with bytes NULL;
					   none = 404 */
	const char *unix_socket;       /**< listen there; NULL = a free port of 127.0.0.1 */
	const char *cert, *key;        /**< speak TLS with these files; NULL = plain */
	const char *client_ca;         /**< ask for a client's certificate from this CA */
};

struct test_http_server;
/** Fails the test when it cannot. Ignores SIGPIPE from then on. */
struct test_http_server *test_http_start(const struct test_http_options *options);
void test_http_stop(struct test_http_server *server);
uint16_t test_http_port(const struct test_http_server *server);
/** So far. */
unsigned test_http_connections(struct test_http_server *server);
unsigned test_http_requests(struct test_http_server *server);
