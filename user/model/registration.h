/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * @file registration.h
 * What a service wants to have said of itself in a registry that it is written
 * into: `register:`, `tags:`, `meta:` and `check:` of a service. Pure.
 */

/** How somebody else is to probe an endpoint. */
enum fl_probe { FL_PROBE_NONE = 0, FL_PROBE_TCP, FL_PROBE_HTTP, FL_PROBE_GRPC, FL_PROBE_UDP, FL_PROBE_EXEC };

struct fl_check {
	bool tcp, udp;
	char *http;          /**< path; NULL = another kind */
	char *grpc;          /**< name of the service asked for, perhaps empty; NULL = another kind */
	char **exec;         /**< the command and its arguments */
	size_t exec_count;   /**< 0 = another kind */
	uint32_t interval_s; /**< from one probe to the next */
	uint32_t timeout_s;
	uint8_t rise;        /**< successes in a row that make it healthy */
	uint8_t fall;        /**< failures in a row that make it unhealthy */
	unsigned line, column; /**< where `check:` stands */
};

/** The kind that was given; of several, the first. */
enum fl_probe fl_check_probe(const struct fl_check *check);

struct fl_pair {
	char *key;
	char *value;
};

struct fl_registration {
	char *registry; /**< name of the registry to write into; NULL = none */
	char **tags;
	size_t tag_count;
	struct fl_pair *meta; /**< sorted by key */
	size_t meta_count;
	struct fl_check check;
};

void fl_registration_done(struct fl_registration *registration);
/** Places do not count. */
bool fl_registration_equal(const struct fl_registration *a, const struct fl_registration *b);
