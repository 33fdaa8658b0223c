/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

/**
 * @file message.h
 * DNS messages (RFC 1035, EDNS by RFC 6891): reads a query, writes an answer.
 *
 * All numbers here are in host order; the functions turn them. Pure, and bounded by
 * the bytes that are there: a pointer of name compression is never followed in a
 * query, since the one name that counts stands where none can be used.
 */

#define FL_DNS_HEADER      12
#define FL_DNS_NAME_MAX    255 /**< of a name on the wire, its root included */
#define FL_DNS_LABEL_MAX   63
#define FL_DNS_LABELS_MAX  127  /**< of a name, without the root */
#define FL_DNS_UDP_MIN     512  /**< what a client without EDNS takes */
#define FL_DNS_UDP_MAX     1232 /**< what passes everywhere without fragments; we send no more */
#define FL_DNS_MESSAGE_MAX 65535

enum fl_dns_type {
	FL_DNS_A = 1,
	FL_DNS_NS = 2,
	FL_DNS_SOA = 6,
	FL_DNS_HINFO = 13,
	FL_DNS_AAAA = 28,
	FL_DNS_SRV = 33,
	FL_DNS_OPT = 41,
	FL_DNS_IXFR = 251,
	FL_DNS_AXFR = 252,
	FL_DNS_ANY = 255,
};
#define FL_DNS_CLASS_IN 1

/* What became of a query: X(value on the wire, name, label in metrics). */
#define FL_DNS_RCODES(X)                                                                           \
	X(0, FL_DNS_NOERROR, "noerror")                                                            \
	X(1, FL_DNS_FORMERR, "formerr")                                                            \
	X(2, FL_DNS_SERVFAIL, "servfail")                                                          \
	X(3, FL_DNS_NXDOMAIN, "nxdomain")                                                          \
	X(4, FL_DNS_NOTIMP, "notimp")                                                              \
	X(5, FL_DNS_REFUSED, "refused")                                                            \
	X(16, FL_DNS_BADVERS, "badvers")

#define FL_DNS_RCODE_ENUM(value, name, label) name = value,
enum fl_dns_rcode { FL_DNS_RCODES(FL_DNS_RCODE_ENUM) };
#undef FL_DNS_RCODE_ENUM

/** A name as it stands on the wire: labels with their lengths, and the root. */
struct fl_dns_name {
	uint8_t length;
	uint8_t wire[FL_DNS_NAME_MAX];
};

/** The domain "fairlead" or "a.example" as a name. @return 0, -EINVAL */
int fl_dns_name_from_text(const char *text, struct fl_dns_name *ret);

struct fl_dns_query {
	uint16_t id;
	uint8_t opcode;
	bool recursion_desired;
	enum fl_dns_rcode rcode; /**< what is wrong with it; NOERROR = it can be looked up */
	bool has_question;       /**< name, type and class were read */
	struct fl_dns_name name;
	uint16_t type;
	uint16_t class;
	bool edns;
	bool dnssec_ok;
	uint16_t payload; /**< bytes that the client takes over UDP; 512 without EDNS */
};

/**
 * Read a query.
 * @return 0 with *ret filled; -ENOMSG when it must not be answered: it is shorter than
 *         a header, or an answer itself
 */
int fl_dns_query_parse(const uint8_t *bytes, size_t size, struct fl_dns_query *ret);

/** Where a piece of a message stands, to point to it: 0 = nowhere that can be pointed to. */
typedef uint16_t fl_dns_place;

enum fl_dns_section { FL_DNS_ANSWER, FL_DNS_AUTHORITY, FL_DNS_ADDITIONAL, FL_DNS_SECTIONS };

/** An answer being written. */
struct fl_dns_writer {
	uint8_t *bytes;
	size_t room; /**< what EDNS needs at the end is not part of it */
	size_t length;
	const struct fl_dns_query *query;
	uint16_t counts[FL_DNS_SECTIONS];
	bool truncated;
	bool authoritative;
};

/**
 * Begin an answer: header, and the question as it was asked.
 * @param room  of `bytes`, at least FL_DNS_UDP_MIN
 */
void fl_dns_begin(
	struct fl_dns_writer *w, const struct fl_dns_query *query, uint8_t *bytes, size_t room);

/** Where the `offset`-th byte of the question's name stands. */
fl_dns_place fl_dns_question_at(size_t offset);

/* Records go in order of their sections. One that does not fit is left out. Each is of
 * class IN, and its owner is a place where a name begins.
 * @return false when it was left out */

bool fl_dns_put_address(struct fl_dns_writer *w, enum fl_dns_section section, fl_dns_place owner,
	uint32_t ttl_s, const struct fl_ip *addr);

/** What a target "HEX.addr.DOMAIN" of an address takes in an SRV record, its fixed part
 * included: such a name is not compressed (RFC 2782). */
size_t fl_dns_srv_size(const struct fl_ip *addr, const struct fl_dns_name *domain);
/** @param ret_target  where the target's name stands, for its address */
bool fl_dns_put_srv(struct fl_dns_writer *w, fl_dns_place owner, uint32_t ttl_s, uint16_t weight,
	uint16_t port, const struct fl_ip *addr, const struct fl_dns_name *domain,
	fl_dns_place *ret_target);

/** Name server and zone; both name "ns" below `domain`, a place. */
bool fl_dns_put_ns(
	struct fl_dns_writer *w, fl_dns_place domain, uint32_t ttl_s, fl_dns_place *ret_target);
bool fl_dns_put_soa(struct fl_dns_writer *w, enum fl_dns_section section, fl_dns_place domain,
	uint32_t ttl_s, uint32_t serial);

/** The least that a question for everything may be answered with (RFC 8482). */
bool fl_dns_put_hinfo(struct fl_dns_writer *w, fl_dns_place owner, uint32_t ttl_s);

/** Bytes that an address record takes: its owner is a place. */
size_t fl_dns_address_size(enum fl_family family);
/** Bytes that are left for records. */
size_t fl_dns_room(const struct fl_dns_writer *w);

/** End it: counts, flags, EDNS. @return its length */
size_t fl_dns_end(struct fl_dns_writer *w, enum fl_dns_rcode rcode);
