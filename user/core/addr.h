/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/abi.h"

/**
 * @file addr.h
 * Addresses as people write them: struct fl_ip (see abi.h) to text and back.
 */

/** Longest text of an address, of "[address]:port/proto" and of a prefix, with NUL. */
#define FL_IP_TEXT     46
#define FL_SOCKET_TEXT 64

/** A network prefix. `bits` counts as written: 0-32 for IPv4, 0-128 for IPv6. */
struct fl_prefix {
	struct fl_ip addr; /**< host bits are 0 */
	uint8_t bits;
};

enum fl_family fl_ip_family(const struct fl_ip *ip);
bool fl_ip_equal(const struct fl_ip *a, const struct fl_ip *b);
/** Total order by bytes, as memcmp. */
int fl_ip_compare(const struct fl_ip *a, const struct fl_ip *b);
bool fl_ip_is_unspecified(const struct fl_ip *ip); /**< 0.0.0.0 or :: */
bool fl_ip_is_multicast(const struct fl_ip *ip);
bool fl_ip_is_loopback(const struct fl_ip *ip);
/** Whether packets can be sent to it, one host at a time. */
bool fl_ip_is_host(const struct fl_ip *ip);

/** Make one from the 4 bytes of an IPv4 address in network order. */
struct fl_ip fl_ip_from_ipv4(__be32 addr);
/** Make one from 16 (IPv6) or 4 (IPv4) bytes, by family. */
struct fl_ip fl_ip_from_bytes(enum fl_family family, const void *bytes);
/** The 4 or 16 bytes on the wire: points into `ip`. */
const void *fl_ip_bytes(const struct fl_ip *ip);

/**
 * Parse "192.0.2.1" or "2001:db8::1". IPv4 in its mapped form counts as IPv4;
 * zones ("%eth0"), brackets and spaces are refused.
 * @return 0, -EINVAL
 */
int fl_ip_parse(const char *text, struct fl_ip *ret);

/** Write the usual text (RFC 5952). @return `buffer` */
char *fl_ip_format(const struct fl_ip *ip, char buffer[FL_IP_TEXT]);

/**
 * Parse "192.0.2.1:80", "[2001:db8::1]:80", and, unless `port_required`,
 * the address alone with or without brackets: the port is then 0.
 * @param ret_port  host byte order
 * @return 0, -EINVAL
 */
int fl_socket_parse(const char *text, bool port_required, struct fl_ip *ret, uint16_t *ret_port);

/** Write "192.0.2.1:80" or "[2001:db8::1]:80". @param port host order @return `buffer` */
char *fl_socket_format(const struct fl_ip *ip, uint16_t port, char buffer[FL_SOCKET_TEXT]);

/** Parse "192.0.2.0/24"; an address alone is its own prefix; host bits must be 0. @return 0, -EINVAL */
int fl_prefix_parse(const char *text, struct fl_prefix *ret);
bool fl_prefix_contains(const struct fl_prefix *prefix, const struct fl_ip *ip);
