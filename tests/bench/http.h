/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * @file http.h
 * Both ends of short HTTP conversations: a server that does nothing but answer, and a client
 * that asks as fast as it can, a few connections at a time.
 */

/** Answer every request on these addresses, forever, in a process of its own. Ends the
 * program on failure. @param addresses  IPv4, of which `port` is listened at */
pid_t http_serve(const char *const *addresses, unsigned count, uint16_t port);

struct http_target {
	uint32_t addr; /**< IPv4, network order */
	uint16_t port;
};

#define HTTP_TARGETS_MAX 8
#define HTTP_SAMPLES_MAX 65536

struct http_load {
	struct http_target target[HTTP_TARGETS_MAX]; /**< taken in turn */
	unsigned targets;
	bool keep_alive;  /**< one connection for many requests */
	unsigned at_once; /**< connections */
	uint32_t for_ms;
	const char *cgroup; /**< where the client is put; NULL = where this process is */
};

struct http_result {
	double requests_s;
	double cpu_ns; /**< of the client's process, while it asked */
	uint64_t done; /**< requests that were answered */
	uint32_t failed;
	uint32_t samples;
	float connect_us[HTTP_SAMPLES_MAX]; /**< from connect(2) until it can be written to */
};

/** Ask, in a process of its own. @param ret  shared memory, see http_result_new */
void http_ask(const struct http_load *load, struct http_result *ret);
struct http_result *http_result_new(void);
