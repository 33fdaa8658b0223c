/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/types.h>

#include "fairlead/abi.h"

/**
 * @file icmp.h
 * What types and codes of ICMP mean (RFC 792, RFC 1812, 5.2.7.1; RFC 4443), the same in the
 * programs and the tests. Pure.
 */

#define FL_ICMP4_UNREACHABLE 3
#define FL_ICMP4_TIME        11
#define FL_ICMP4_PARAMETER   12
#define FL_ICMP6_UNREACHABLE 1
#define FL_ICMP6_TOO_BIG     2
#define FL_ICMP6_TIME        3
#define FL_ICMP6_PARAMETER   4

/** Codes of FL_ICMP4_UNREACHABLE that say that packets do not arrive, one bit each: network, host,
 * protocol, port; administratively prohibited: network, host, any. Not among them: too big (4),
 * what is wrong with a source route or type of service, and codes that nobody sends any more. */
#define FL_ICMP4_REFUSALS (1u << 0 | 1u << 1 | 1u << 2 | 1u << 3 | 1u << 9 | 1u << 10 | 1u << 13)

/** Does a message of this type quote the packet that it is about, and mean its sender? Source
 * quench and redirects do not: they are obsolete, and for neighbours. */
static inline __attribute__((always_inline)) int fl_icmp_is_error(enum fl_family family, __u8 type)
{
	if (family == FL_IPV4)
		return type == FL_ICMP4_UNREACHABLE || type == FL_ICMP4_TIME ||
		       type == FL_ICMP4_PARAMETER;
	return type >= FL_ICMP6_UNREACHABLE && type <= FL_ICMP6_PARAMETER;
}

/** Does it say that its packet reached nobody? A packet that is too big was not refused. */
static inline __attribute__((always_inline)) int fl_icmp_is_unreachable(
	enum fl_family family, __u8 type, __u8 code)
{
	if (family == FL_IPV4)
		return type == FL_ICMP4_UNREACHABLE && code < 32 && FL_ICMP4_REFUSALS >> code & 1;
	return type == FL_ICMP6_UNREACHABLE;
}
