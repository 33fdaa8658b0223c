/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "dns/answer.h"
#include "dns/stream.h"

/**
 * @file server.h
 * Answers names of services over UDP and TCP on `dns.listen`. answer.h says what.
 *
 * A port that cannot be had stops nothing: it is logged, shown, and tried again every
 * few seconds. Over UDP an answer is at most 1232 bytes, names of other domains are
 * refused in as many bytes as were asked, and what the socket does not take at once is
 * dropped: the client asks again.
 */
struct fl_dns_server;

struct fl_dns_limits {
	unsigned connections; /**< over TCP */
	unsigned per_turn;    /**< queries over TCP in one turn of the loop */
	uint32_t idle_ms;     /**< of a connection */
	uint32_t retry_ms;    /**< until the next try to listen */
};

struct fl_dns_hooks {
	/** What names are looked up in; borrowed. NULL = nothing yet. */
	struct fl_snapshot *(*applied)(void *context);
	void *context;
	const struct fl_dns_limits *limits; /**< NULL = the usual ones */
};

enum fl_dns_drop {
	FL_DNS_DROP_NO_QUERY, /**< a datagram shorter than a header, longer than any query, an answer */
	FL_DNS_DROP_SEND,     /**< the socket did not take the answer */
	FL_DNS_DROP_REASONS,
};

struct fl_dns_counts {
	/** By transport and code: indexed by enum fl_dns_rcode, whose largest is BADVERS. */
	uint64_t queries[FL_DNS_TRANSPORTS][FL_DNS_BADVERS + 1];
	uint64_t truncated[FL_DNS_TRANSPORTS];
	uint64_t dropped[FL_DNS_DROP_REASONS]; /**< over UDP */
};

/** @return 0, with *ret NULL when `dns.listen` is off; -ENOMEM */
int fl_dns_server_start(const struct fl_config *config, uv_loop_t *loop,
	const struct fl_dns_hooks *hooks, struct fl_dns_server **ret);
/** Domain and TTL of another configuration; the address needs a restart. NULL is welcome. */
void fl_dns_server_configure(struct fl_dns_server *server, const struct fl_config *config);
/** The loop must run until its handles are closed. NULL is welcome. */
void fl_dns_server_stop(struct fl_dns_server *server);

/** Why it does not answer; NULL = it does. */
const char *fl_dns_server_reason(const struct fl_dns_server *server);
const struct fl_dns_counts *fl_dns_server_counts(const struct fl_dns_server *server);
/** @return all zero while it does not listen */
struct fl_dns_stream_counts fl_dns_server_stream_counts(const struct fl_dns_server *server);
