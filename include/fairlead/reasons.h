/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/**
 * @file reasons.h
 * Why a packet was treated as it was: the one list.
 *
 * It is expanded into the enum that the programs use, the label of
 * fairlead_packets_total, the keys of `fairlead stats` and the text of the CLI,
 * so that they cannot drift apart. Each packet leaves with exactly one.
 *
 * X(symbol, action, name, text); the action is the XDP verdict class:
 * SENT (transmitted by us), PASS (left to the stack) or DROP.
 */
#define FL_REASONS(X)                                                                              \
	X(FL_SENT, SENT, "forwarded", "sent to an endpoint")                                       \
	X(FL_SENT_REPLY, SENT, "reply", "answer of an endpoint, sent back to the client")          \
	X(FL_PASS_NO_SERVICE, PASS, "no_service", "not ours, left to the stack")                   \
	X(FL_PASS_NOT_IP, PASS, "not_ip", "neither IPv4 nor IPv6, left to the stack")              \
	X(FL_PASS_UNREADABLE, PASS, "unreadable",                                                  \
		"cut short before its addresses, left to the stack")                               \
	X(FL_PASS_PROTOCOL, PASS, "protocol", "neither TCP nor UDP, left to the stack")            \
	X(FL_PASS_LOCAL, PASS, "local", "the endpoint is this node, handed to its stack")          \
	X(FL_PASS_NEIGHBOUR, PASS, "neighbour",                                                    \
		"answer for a client whose neighbour is unknown, the stack asks for it")           \
	X(FL_DROP_MALFORMED, DROP, "malformed", "a header is cut short or contradicts itself")     \
	X(FL_DROP_FRAGMENT, DROP, "fragment", "a fragment, which this mode cannot assign")         \
	X(FL_DROP_TTL, DROP, "ttl", "its time to live ended here")                                 \
	X(FL_DROP_NO_ENDPOINT, DROP, "no_endpoint", "no endpoint takes this flow")                 \
	X(FL_DROP_NO_TABLE, DROP, "no_table", "the service has no slot table for this family")     \
	X(FL_DROP_NO_ROUTE, DROP, "no_route", "no route or neighbour for the endpoint")            \
	X(FL_DROP_NO_PORT, DROP, "no_port", "every source port towards the endpoint is taken")     \
	X(FL_DROP_TABLE_FULL, DROP, "table_full", "the nat table is full")                         \
	X(FL_DROP_NO_FLOW, DROP, "no_flow", "belongs to no nat flow and opens none")               \
	X(FL_DROP_TOO_BIG, DROP, "too_big", "does not fit the MTU towards the endpoint")           \
	X(FL_DROP_HEADROOM, DROP, "headroom", "the driver left no room for another header")        \
	X(FL_DROP_NOT_ALLOWED, DROP, "not_allowed",                                                \
		"tunnelled by a host that is no balancer of ours")                                 \
	X(FL_PASS_DECAPSULATED, PASS, "decapsulated",                                              \
		"taken out of its tunnel for a local frontend")                                    \
	X(FL_DROP_CONGESTED, DROP, "congested",                                                    \
		"congestion was signalled to a packet that cannot carry the signal")               \
	X(FL_DROP_INTERNAL, DROP, "internal", "a map that must be there is not")                   \
	X(FL_PASS_EXEMPT, PASS, "exempt", "the agent itself called, left to the stack")            \
	X(FL_PASS_SOURCE, PASS, "source",                                                          \
		"bound to a source that cannot reach the endpoint, left to the stack")             \
	X(FL_SENT_ICMP, SENT, "icmp_error", "ICMP error about a flow, sent to whom it concerns")

/* New ones stand last: numbers are rows of a map that outlives the agent. */
#define FL_REASON_ENUM(symbol, action, name, text) symbol,
enum fl_reason { FL_REASONS(FL_REASON_ENUM) FL_REASON_COUNT };
#undef FL_REASON_ENUM

/** Rows of the map `reasons`; more than there are reasons, so that adding one
 * is no change of a map. [path * FL_REASONS_MAX + reason]. */
#define FL_REASONS_MAX 64

/** Paths that count reasons. */
enum fl_path { FL_PATH_EDGE = 0, FL_PATH_TARGET = 1, FL_PATH_NODE = 2, FL_PATHS = 3 };

_Static_assert(FL_REASON_COUNT <= FL_REASONS_MAX, "the map `reasons` is too small");
