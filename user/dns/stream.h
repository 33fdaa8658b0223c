/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>
#include <uv.h>

/**
 * @file stream.h
 * DNS over TCP (RFC 7766): messages with two bytes of length before each.
 *
 * A connection may ask many things without waiting; it is answered in order, and not
 * read while an answer waits to be taken. All connections share what may be answered
 * in a turn of the loop, one query each at a time. One that neither asks nor takes
 * its answer for a while is closed, and so is the one that did so longest ago when
 * another comes and there are too many. A message that is too long to be a query, or
 * that must not be answered, ends its connection.
 */
struct fl_dns_streams;

/** Longest query that is read. */
#define FL_DNS_QUERY_MAX 4096

struct fl_dns_stream_options {
	unsigned connections; /**< at most */
	unsigned per_turn;    /**< queries answered in one turn of the loop, at most */
	uint32_t idle_ms;     /**< a connection's patience */
	/** Answer into FL_DNS_MESSAGE_MAX bytes. @return length; 0 = there is no answer */
	size_t (*answer)(void *context, const uint8_t *query, size_t size, uint8_t *bytes);
	void *context;
};

struct fl_dns_stream_counts {
	unsigned connections; /**< open now */
	uint64_t accepted;
	uint64_t evicted; /**< closed to make room for another */
	uint64_t expired; /**< closed since nothing came of them */
	uint64_t invalid; /**< closed for what they sent */
};

/** @param fd  a listening socket; taken over, also on failure @return 0, -errno */
int fl_dns_streams_start(uv_loop_t *loop, int fd, const struct fl_dns_stream_options *options,
	struct fl_dns_streams **ret);
/** Closes every connection; the loop must run until its handles are closed. NULL is
 * welcome. */
void fl_dns_streams_stop(struct fl_dns_streams *streams);
const struct fl_dns_stream_counts *fl_dns_streams_counts(const struct fl_dns_streams *streams);
