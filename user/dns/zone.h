/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "dns/message.h"
#include "model/snapshot.h"

/**
 * @file zone.h
 * What the names below our domain mean, by the applied snapshot.
 *
 *     NAME.service.DOMAIN          addresses of the endpoints that take new flows; SRV
 *     _NAME._tcp.service.DOMAIN    SRV, if the service has a frontend of that protocol
 *     NAME.virtual.DOMAIN          addresses of the frontends; SRV (also _NAME._udp…)
 *     HEX.addr.DOMAIN              the address itself: 8 or 32 hex digits
 *     ns.DOMAIN                    this server
 *
 * Names compare without regard to case. Of services that differ in it alone, the one
 * that comes first in byte order (capitals first) is the one that is found; a name with
 * a label longer than 63 bytes, or an empty one, cannot be asked for.
 * Pure: no sockets, clock or log.
 */
struct fl_dns_zone;

/** Most records of one answer; no message holds more. */
#define FL_DNS_RECORDS_MAX 4096

/** An address, and for SRV the port and weight that go with it. */
struct fl_dns_record {
	struct fl_ip addr;
	uint16_t port; /**< host order */
	uint16_t weight;
	bool repeats;        /**< an earlier one has the same address */
	fl_dns_place target; /**< of SRV: where its name stands; filled in while writing */
};

/** What a question finds. */
struct fl_dns_found {
	enum fl_dns_rcode rcode; /**< NOERROR also when there are no records of that type */
	bool ours;               /**< the name is in our domain, and what we say of it counts */
	enum fl_dns_type type;   /**< of the records: A, AAAA, SRV, NS, SOA or HINFO */
	struct fl_dns_record *records; /**< of the zone's, until the next question */
	size_t count;                  /**< 0 = none; NS, SOA and HINFO need no `records` */
	size_t domain_at;              /**< where in the question's name the domain begins */
};

/**
 * @param domain  checked by fl_dns_name_from_text
 * @param ttl_s   of everything, also of "there is none"
 * @param server  the address of ns.DOMAIN
 * @param seed    anything that others cannot guess
 * @return 0, -EINVAL (domain), -ENOMEM
 */
int fl_dns_zone_new(const char *domain, uint32_t ttl_s, const struct fl_ip *server, uint64_t seed,
	struct fl_dns_zone **ret);
/** NULL is welcome. */
void fl_dns_zone_free(struct fl_dns_zone *zone);
/** Another domain and TTL. Changes nothing on failure. @return 0, -EINVAL */
int fl_dns_zone_set(struct fl_dns_zone *zone, const char *domain, uint32_t ttl_s);

const struct fl_dns_name *fl_dns_zone_domain(const struct fl_dns_zone *zone);
uint32_t fl_dns_zone_ttl_s(const struct fl_dns_zone *zone);
const struct fl_ip *fl_dns_zone_server(const struct fl_dns_zone *zone);
/** The next of a sequence of numbers, for shuffling. Below `bound`, which is at least 1. */
uint32_t fl_dns_zone_random(struct fl_dns_zone *zone, uint32_t bound);

/**
 * Answer a question that was read without a complaint. The first one after names came
 * or went indexes them, which costs about 100 ns for each label.
 * @param snapshot  the zone keeps a reference until another is asked about; NULL = there
 *                  is none yet: SERVFAIL
 */
void fl_dns_zone_look_up(struct fl_dns_zone *zone, struct fl_snapshot *snapshot,
	const struct fl_dns_query *query, struct fl_dns_found *ret);
