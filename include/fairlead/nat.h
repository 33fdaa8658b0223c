/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/in.h>

#include "fairlead/abi.h"

/**
 * @file nat.h
 * What is known of a nat flow from the flags of its two directions: pure, and the
 * same in the programs, the agent and the tests.
 *
 * TCP is followed as far as timeouts need it: a flow is opening until both ends
 * said something that opens nothing, closing once one of them sent FIN, closed
 * when both did or one reset it. Sequence numbers are not looked at, so a
 * forged RST only makes the flow one that must not fall silent: whatever comes
 * after it from the same side takes it back.
 */

/** What is remembered once a packet with these TCP flags went by. */
static inline __attribute__((always_inline)) __u8 fl_nat_seen_tcp(
	__u8 seen, int syn, int ack, int fin, int rst)
{
	seen &= ~FL_NAT_SEEN_RST;
	if (rst)
		return seen | FL_NAT_SEEN_RST;
	if (syn)
		seen |= FL_NAT_SEEN_SYN;
	if (!syn || ack)
		seen |= FL_NAT_SEEN_ACK;
	if (fin)
		seen |= FL_NAT_SEEN_FIN;
	return seen;
}

/** Is at least one end done, so that a SYN means another connection? */
static inline __attribute__((always_inline)) int fl_nat_is_closing(__u8 forward, __u8 reply)
{
	return (forward | reply) & (FL_NAT_SEEN_FIN | FL_NAT_SEEN_RST);
}

/**
 * Seconds of silence after which a flow is forgotten.
 *
 * RFC 5382 would keep a closed connection for 4 minutes; source ports towards one
 * endpoint are too few for that. 10 s still sees several repetitions of a lost
 * FIN or ACK, and each of them starts the 10 s anew.
 *
 * @param forward  FL_NAT_SEEN_* of client → endpoint
 * @param reply    FL_NAT_SEEN_* of endpoint → client
 */
static inline __attribute__((always_inline)) __u32 fl_nat_timeout_s(
	__u8 proto, __u8 forward, __u8 reply)
{
	if (proto != IPPROTO_TCP)
		return reply ? FL_NAT_UDP_S : FL_NAT_UDP_ONEWAY_S;
	if ((forward | reply) & FL_NAT_SEEN_RST || forward & reply & FL_NAT_SEEN_FIN)
		return FL_NAT_TCP_CLOSED_S;
	if ((forward | reply) & FL_NAT_SEEN_FIN)
		return FL_NAT_TCP_CLOSING_S;
	if (forward & reply & FL_NAT_SEEN_ACK)
		return FL_NAT_TCP_ESTABLISHED_S;
	return FL_NAT_TCP_OPENING_S;
}

/** The tuple of the packets that go the other way. `from` and `ret` may not overlap. */
static inline __attribute__((always_inline)) void fl_flow_reverse(
	const struct fl_flow *from, struct fl_flow *ret)
{
	ret->saddr = from->daddr;
	ret->daddr = from->saddr;
	ret->sport = from->dport;
	ret->dport = from->sport;
	ret->proto = from->proto;
	ret->pad[0] = ret->pad[1] = ret->pad[2] = 0;
}
