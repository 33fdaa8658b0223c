/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

/**
 * @file check.h
 * How endpoints of a service are to be probed: `check:` of a service. By the agent
 * itself, or by the registry that the service is written into. Pure.
 */

enum fl_probe {
	FL_PROBE_NONE = 0,
	FL_PROBE_TCP,
	FL_PROBE_HTTP,
	FL_PROBE_HTTPS,
	FL_PROBE_GRPC,
	FL_PROBE_UDP,
	FL_PROBE_EXEC,
	FL_PROBE_AGENT,
	FL_PROBES
};

struct fl_pair {
	char *key;
	char *value;
};

/** Status codes of HTTP, both ends included. */
struct fl_statuses {
	uint16_t low, high;
};

struct fl_check {
	/* The kind: one of these. */
	bool tcp, udp;
	bool agent;        /**< HAProxy's agent-check */
	char *http;        /**< path; NULL = another kind */
	char *https;       /**< path over TLS; NULL = another kind */
	char *grpc;        /**< name of the service asked for, perhaps empty; NULL = another kind */
	char **exec;       /**< the command and its arguments */
	size_t exec_count; /**< 0 = another kind */

	uint16_t port;       /**< host order; 0 = the endpoint's */
	struct fl_ip source; /**< address that probes come from; unspecified = the route's */
	char *method;        /**< http, https; NULL = GET */
	char *host;          /**< http, https, grpc: Host and the name in TLS; NULL = the address */
	struct fl_pair *headers; /**< http, https */
	size_t header_count;
	struct fl_statuses *expect; /**< http, https; none = 200-299 */
	size_t expect_count;
	char *send;     /**< tcp, udp, agent: sent first; NULL = nothing */
	char *contains; /**< tcp, udp, http, https: must be in the answer; NULL = anything goes */
	char *tls_ca, *tls_cert, *tls_key; /**< files; NULL = the system's, none, in tls_cert */
	bool tls_unverified;               /**< any certificate will do */
	bool through_tunnel;               /**< ask the frontend, in the tunnel to the endpoint */

	uint32_t interval_ms;      /**< from the begin of one probe to that of the next */
	uint32_t timeout_ms;       /**< of one probe */
	uint32_t fast_interval_ms; /**< while the last probe disagrees; 0 = interval_ms */
	uint32_t down_interval_ms; /**< while it is down; 0 = interval_ms */
	uint8_t rise;              /**< successes in a row that make it healthy */
	uint8_t fall;              /**< failures in a row that make it unhealthy */
	uint32_t damping_ms;       /**< half-life of the points of flapping; 0 = off */
	bool starts_down;          /**< until the first probe */
	unsigned line, column;     /**< where `check:` stands */
	const char *beyond; /**< an option that no registry can be told; static; NULL = none */
};

/** The kind that was given; of several, the first. */
enum fl_probe fl_check_probe(const struct fl_check *check);
/** "tcp"; "none" */
const char *fl_probe_name(enum fl_probe probe);
/** Places do not count. */
bool fl_check_equal(const struct fl_check *a, const struct fl_check *b);
/** Whether an HTTP status is as wanted. */
bool fl_check_expects(const struct fl_check *check, unsigned status);
void fl_check_done(struct fl_check *check);

bool fl_pairs_equal(
	const struct fl_pair *a, size_t a_count, const struct fl_pair *b, size_t b_count);
void fl_pairs_free(struct fl_pair *pairs, size_t count);
bool fl_texts_equal(char *const *a, size_t a_count, char *const *b, size_t b_count);
void fl_texts_free(char **texts, size_t count);
