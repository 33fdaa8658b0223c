/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/abi.h"

/**
 * @file node.h
 * What the programs of the node path and the agent both see, beside abi.h: how a
 * service chooses, what is known of connections to an endpoint, and what a
 * socket remembers.
 *
 * These maps exist where the node path is enabled, pinned below `node/` in the
 * bpffs directory. Ones of another shape are made anew: choices are written again
 * from the snapshot, and what is lost are counts and the frontends that older
 * sockets show. Nanoseconds are those of CLOCK_MONOTONIC (bpf_ktime_get_ns).
 */

/** How the node path chooses; the edge path is always Maglev. */
enum fl_balance {
	FL_MAGLEV = 0,            /**< a slot of the service's table, by enum fl_key */
	FL_RANDOM = 1,            /**< by weight */
	FL_ROUND_ROBIN = 2,       /**< smooth weighted, in the order of `turns` */
	FL_LEAST_CONNECTIONS = 3, /**< fewest open connections by weight, failures counted */
	FL_P2C = 4,               /**< the better of two drawn by weight */
	FL_BALANCES = 5,
};

/** What a connection's slot follows from under FL_MAGLEV. */
enum fl_key {
	FL_KEY_RANDOM = 0, /**< nothing: a slot is drawn */
	FL_KEY_SOURCE = 1, /**< the address the socket is bound to, else its network namespace */
	FL_KEY_CGROUP = 2, /**< the cgroup of the process */
	FL_KEYS = 3,
};

/** Which endpoints are near. */
enum fl_locality { FL_LOCALITY_OFF = 0, FL_LOCALITY_ZONE = 1, FL_LOCALITY_NODE = 2 };

/* ------------------------------------------------------------------ choices */

/**
 * Row of `node_services` (array, mmap-able), by service. A pool is the place of its
 * head in `pools`, by family of the frontend, one 8-byte store; 0 = there is none,
 * and slots are drawn.
 */
struct fl_node_service_row {
	__u64 pool[FL_FAMILIES];
	__u32 turn[FL_FAMILIES]; /**< counts choices of FL_ROUND_ROBIN; the programs' */
	__u32 rest[2];
};
_Static_assert(sizeof(struct fl_node_service_row) == 32, "row layout is ABI");

/** Endpoints that are equally near: node, then zone, then the rest. */
#define FL_TIERS 3

struct fl_pool_tier {
	__u32 first;      /**< member, counted from the pool's first */
	__u32 count;      /**< members */
	__u32 first_turn; /**< counted from the pool's first turn */
	__u32 turns;      /**< length of the schedule of FL_ROUND_ROBIN; 0 = none */
};

/** First row of a pool: immutable, like all of it, while a service names it. */
struct fl_pool_head {
	struct fl_pool_tier tier[FL_TIERS];
	__u8 balance;         /**< enum fl_balance */
	__u8 key;             /**< enum fl_key */
	__u8 share[2];        /**< percent of choices that stay in tier 0 and, of the rest, tier 1,
			     * however loaded they are; 100 where there are enough of them */
	__u16 spill;          /**< a near endpoint with so many percent of the load of a farther one
			     * is passed over; 0 = off */
	__u8 max_ejected;     /**< percent of members that may be ejected at once, one always */
	__u8 panic;           /**< percent of members that must be left, even of one; 0 = off */
	__u16 max_fails;      /**< failed connects within fail_timeout_s that eject; 0 = never */
	__u16 fail_timeout_s; /**< also how long the first ejection lasts */
	__u32 affinity_s;     /**< a network namespace keeps its endpoint for so long; 0 = off */
};
_Static_assert(sizeof(struct fl_pool_head) == 64, "row layout is ABI");

/** One endpoint that is up and has a weight. */
struct fl_member {
	__u32 endpoint;
	__u32 upto; /**< sum of the weights in its tier, up to and with its own */
};

#define FL_MEMBERS_PER_ROW 8
#define FL_TURNS_PER_ROW   32

/**
 * Row of `pools` (array, mmap-able). A pool is one head, then rows of members, tier
 * after tier without gaps, then rows of turns: numbers of members within their tier,
 * in smooth weighted order. Row 0 is not used.
 */
union fl_pool_row {
	struct fl_pool_head head;
	struct fl_member member[FL_MEMBERS_PER_ROW];
	__u16 turn[FL_TURNS_PER_ROW];
};
_Static_assert(sizeof(union fl_pool_row) == 64, "row layout is ABI");

/** Turns of one tier: weights with more are rounded to so many shares. */
#define FL_TURNS_MAX 4096

/** Key of `affinity` (LRU hash). */
struct fl_affinity_key {
	__u64 netns; /**< cookie of the client's network namespace */
	__u32 service;
	__u32 family; /**< enum fl_family of the frontend */
};
struct fl_affinity {
	__u32 endpoint;
	__u32 seen; /**< CLOCK_BOOTTIME second of the last connection */
};
#define FL_AFFINITY_MAX 16384

/* -------------------------------------------------------- what is known of them */

/** Why a connect failed. */
enum fl_fault {
	FL_FAULT_NONE = 0,
	FL_FAULT_REFUSED = 1,
	FL_FAULT_TIMED_OUT = 2,
	FL_FAULT_UNREACHABLE = 3,
	FL_FAULTS = 4,
};

/**
 * Row of `live` (array, mmap-able), by endpoint: what connections of this node have
 * met. The first line decides choices; the second counts since the endpoint has its
 * number. Written by programs on all CPUs, with atomic operations where it counts.
 */
struct fl_live_row {
	__u32 open;    /**< connections that live or are being made; connected datagram sockets */
	__u32 fails;   /**< failed connects since `window` */
	__u64 window;  /**< nanosecond of the first of them */
	__u64 ejected; /**< until this nanosecond; 0 = not ejected. Once it is over, one connection
			 * tries, which moves it on; cleared when that succeeded */
	__u64 failed;  /**< nanosecond of the last failure, from which `penalty` decays */
	__u32 penalty; /**< of FL_LEAST_CONNECTIONS and FL_P2C, in connections, at `failed` */
	__u32 connect_us;    /**< time to connect, smoothed by 1/8 (RFC 6298's SRTT) */
	__u32 srtt_us;       /**< round trip that TCP measured, smoothed by 1/8 */
	__u16 ejections;     /**< in a row: each makes the next longer */
	__u8 fault;          /**< enum fl_fault of the last failure */
	__u8 trial;          /**< that connection is under way; others wait for it */
	__u64 returned;      /**< nanosecond of the last return from an ejection */
	__u32 ejected_times; /**< since the endpoint has its number */
	__u32 spared_s;      /**< second of CLOCK_MONOTONIC of the last FL_EVENT_SPARED */

	__u64 connects; /**< begun */
	__u64 established;
	__u64 faults[FL_FAULTS]; /**< by enum fl_fault; [0]: given up by the caller */
	__u64 resets;            /**< by the endpoint, once established */
	__u64 retransmits;
};
_Static_assert(sizeof(struct fl_live_row) == 128, "row layout is ABI");

/** Value of `histograms` (hash, by endpoint; made with the first connection): bucket i counts
 * what took less than 2^(i+5) microseconds (32 µs … 1 s), the last all the rest. */
#define FL_LATENCY_BUCKETS 17
struct fl_histograms {
	__u32 connect[FL_LATENCY_BUCKETS]; /**< time to connect */
	__u32 rtt[FL_LATENCY_BUCKETS];     /**< srtt when established and when closed */
	__u64 connect_us;                  /**< sum of what `connect` counts */
	__u64 rtt_us;                      /**< sum of what `rtt` counts */
};
#define FL_LATENCY_BOUND_US(bucket) (32u << (bucket))

/* ------------------------------------------------------------------- sockets */

/** What a connected socket remembers (`sockets`, socket-local storage). */
struct fl_sock {
	struct fl_ip endpoint;
	struct fl_ip frontend;
	__be16 endpoint_port;
	__be16 frontend_port;
	__u32 endpoint_id; /**< 0 = nothing is remembered */
	__u32 service_id;
	__u8 proto; /**< IPPROTO_TCP or IPPROTO_UDP */
	__u8 established;
	__u8 pad[2];
	/** Of TCP: nanosecond of connect(2), and from the SYN on of that; 0 = nothing is under way,
	 * nor established. */
	__u64 begun;
	__u32 retransmits; /**< of the connection that are counted */
	/** The endpoint in whose fl_live_row.open the socket counts, 0 = none. Whoever exchanges it for
	 * another takes the count off. */
	__u32 counted;
};
_Static_assert(sizeof(struct fl_sock) == 64, "value layout is ABI");

/** One peer of an unconnected datagram socket. */
struct fl_peer {
	struct fl_ip endpoint;
	struct fl_ip frontend;
	__be16 endpoint_port;
	__be16 frontend_port;
	__u32 endpoint_id;
};

/**
 * What an unconnected datagram socket remembers (`datagrams`, socket-local storage): the last
 * peers, since an answer must show the frontend that was asked; an answer that comes
 * after as many others have been asked shows the endpoint's own address.
 */
#define FL_PEERS 16
struct fl_peers {
	struct fl_peer peer[FL_PEERS];
	__u32 next; /**< the place that is written next */
	__u32 pad;
};

/** Value of `stale` (hash, by endpoint): sockets connected to it are to be closed. */
struct fl_stale_row {
	struct fl_ip addr; /**< of the endpoint: its number may be another's by now */
	__u32 service;
	__u32 closed; /**< sockets closed so far by programs */
};
#define FL_STALE_MAX 65536

/** What a walk over sockets writes for each that is stale (sock_close.bpf.c), one after
 * the other. */
struct fl_stale_socket {
	__u64 cookie;
	struct fl_ip local;
	struct fl_ip remote; /**< where it is connected: the endpoint */
	__be16 local_port;
	__be16 remote_port;
	__u32 endpoint;
	__u32 interface; /**< that it is bound to; 0 = none */
	__u8 family;     /**< AF_INET, AF_INET6 */
	__u8 proto;      /**< IPPROTO_TCP, IPPROTO_UDP */
	__u8 closed;     /**< by the walk itself */
	__u8 pad;
};
_Static_assert(sizeof(struct fl_stale_socket) == 56, "record layout is ABI");

/* ------------------------------------------------------------------- events */

/** What the programs report, in the ring buffer `events`. */
enum fl_node_event_kind {
	FL_EVENT_EJECTED = 1,  /**< `until` says for how long */
	FL_EVENT_SPARED = 2,   /**< would have been, but too many are; not told again at once */
	FL_EVENT_RETURNED = 3, /**< a connect to it succeeded again */
};
struct fl_node_event {
	__u64 at;    /**< nanosecond */
	__u64 until; /**< of FL_EVENT_EJECTED */
	__u32 service;
	__u32 endpoint;
	__u32 fails;
	__u8 kind;  /**< enum fl_node_event_kind */
	__u8 fault; /**< enum fl_fault */
	__u8 pad[2];
};
_Static_assert(sizeof(struct fl_node_event) == 32, "event layout is ABI");
#define FL_EVENTS_BYTES 65536

/** What the agent's process calls itself (PR_SET_NAME), so that a number that is given out
 * again is not taken for it. */
#define FL_AGENT_COMM "fairleadd"

/** The one row of `node` (array, mmap-able): what the programs must know of this node. */
struct fl_node_row {
	__u64 netns; /**< cookie of the agent's network namespace: whose loopback frontends on
		       * loopback addresses are; 0 = not known, they are everybody's */
	__u32 agent; /**< process of the agent, as the kernel numbers it: exempt; 0 = none */
	__u32 pad;
};

/* ------------------------------------------------------------------- questions */

#define FL_NODE_ANSWER_MAGIC 0x666c6e31 /* of this layout; what is not that gave no answer */

/**
 * Context of the program `node_explain` (BPF_PROG_TEST_RUN): what a connect would meet now.
 * Nothing is counted, kept or changed by asking.
 */
struct fl_node_question {
	/* Who asks for what. */
	struct fl_ip frontend;
	struct fl_ip source; /**< that the socket is bound to; all zeroes = none */
	__u64 netns;         /**< cookie of its network namespace */
	__u64 cgroup;        /**< id of its process's cgroup */
	__be16 port;
	__be16 source_port; /**< 0 = not bound to one */
	__u32 device;       /**< that it is bound to; 0 = none */
	__u8 proto;         /**< IPPROTO_TCP or IPPROTO_UDP */
	__u8 socket_family; /**< enum fl_family */
	__u8 pad[2];

	/* The answer. */
	__u32 magic;
	__u32 reason; /**< FL_SENT, or why not */
	__u32 service;
	__u32 frontend_id;
	__u32 endpoint;
	__u8 kept; /**< affinity: it is the one that this network namespace has */
	__u8 pad2[7];
};
_Static_assert(sizeof(struct fl_node_question) == 88, "layout is ABI");

/** Every map of the node path; as FL_MAPS. */
#define FL_NODE_MAPS(X)                                                                            \
	X(node)                                                                                    \
	X(node_services)                                                                           \
	X(pools)                                                                                   \
	X(live)                                                                                    \
	X(histograms)                                                                              \
	X(affinity)                                                                                \
	X(sockets)                                                                                 \
	X(datagrams)                                                                               \
	X(stale)                                                                                   \
	X(events)
