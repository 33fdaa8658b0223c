/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "dns/zone.h"

/**
 * @file answer.h
 * From the bytes of a query to the bytes of its answer. Pure.
 *
 * Records come in another order each time, so that clients that take the first one
 * spread. Over UDP as many go out as the client takes, at most 1232 bytes, any of
 * them; if some are missing the answer says so, and the client asks over TCP. A TCP
 * answer ends at 64 KiB: then it is always the same that are in it, the first by
 * address, and it says so as well. The addresses of SRV targets are put in as far as
 * there is room.
 */

enum fl_dns_transport { FL_DNS_UDP, FL_DNS_TCP, FL_DNS_TRANSPORTS };

struct fl_dns_outcome {
	enum fl_dns_rcode rcode;
	bool truncated;
};

/**
 * @param bytes  room for FL_DNS_UDP_MAX bytes over UDP, FL_DNS_MESSAGE_MAX over TCP
 * @return length of the answer; 0 = there is none, and *ret is untouched
 */
size_t fl_dns_answer(struct fl_dns_zone *zone, struct fl_snapshot *snapshot,
	enum fl_dns_transport transport, const uint8_t *query, size_t size, uint8_t *bytes,
	struct fl_dns_outcome *ret);
