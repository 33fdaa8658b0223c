/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/types.h>

/**
 * @file abi.h
 * Everything that the programs in the kernel and the agent both see.
 *
 * Every map key, value, name and limit is defined here and nowhere else, for
 * clang's BPF target and for the host compiler. The maps are pinned and outlive
 * the agent, so a change of a layout is a change of FL_ABI_VERSION.
 *
 * Addresses have one form: 16 bytes, IPv4 mapped as ::ffff:a.b.c.d, network
 * order. Ports are in network order where the type says __be16. Seconds are
 * those of CLOCK_BOOTTIME, cut to 32 bits.
 */

/** 2 has `answers` in addition. */
#define FL_ABI_VERSION 2

/** An address: IPv6, or IPv4 as ::ffff:a.b.c.d. Network byte order. */
struct fl_ip {
	__be32 word[4];
};

/** Address families, as an index. A service has one slot table for each. */
enum fl_family { FL_IPV4 = 0, FL_IPV6 = 1, FL_FAMILIES = 2 };

/** How the edge path delivers a packet to its endpoint. */
enum fl_forward { FL_NAT = 0, FL_L2 = 1, FL_IPIP = 2, FL_GUE = 3, FL_FORWARDS = 4 };

/**
 * State of an endpoint. 0 is never in use, so that a row full of zeroes takes
 * no traffic.
 */
enum fl_state {
	FL_DOWN = 0,        /**< no traffic at all */
	FL_UP = 1,          /**< new and old flows */
	FL_DRAINING = 2,    /**< old flows only */
	FL_MAINTENANCE = 3, /**< no traffic, by the operator's word */
};

/* ------------------------------------------------------------ frontends */

/** Key of `frontends`: compared as raw bytes. */
struct fl_frontend_key {
	struct fl_ip addr;
	__be16 port; /**< 0 = every port of this address and protocol */
	__u8 proto;  /**< IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad;    /**< always 0 */
};
_Static_assert(sizeof(struct fl_frontend_key) == 20, "key layout is ABI");

/**
 * Value of `frontends`: one aligned 8-byte store.
 *
 * Also of `vips` (hash by struct fl_ip), which has a row for each address of the
 * frontends, for packets that show no port (a later fragment, a header cut
 * short). There `service` is the one that owns every frontend of the address, or 0
 * when several share it, and `frontend` any of that service's, or 0.
 */
struct fl_frontend_row {
	__u32 service;  /**< index into `services` */
	__u32 frontend; /**< index into `frontend_stats`; stable, like all ids */
};
_Static_assert(sizeof(struct fl_frontend_row) == 8, "value layout is ABI");

/* ------------------------------------------------------------- services */

/**
 * Where a slot table lies, as one aligned 8-byte store:
 * bits 0-31 base (index of its first slot in `slots`), 32-39 size class + 1
 * (index into FL_SIZES + 1; 0 = there is no table), 40-63 generation.
 */
typedef __u64 fl_region;

#define FL_REGION(base, class_, gen)                                                               \
	((__u64)(__u32)(base) | (__u64)((class_) + 1) << 32 | (__u64)(__u32)(gen) << 40)
#define FL_REGION_BASE(r)  ((__u32)(r))
#define FL_REGION_CLASS(r) ((int)((r) >> 32 & 0xff) - 1)
#define FL_REGION_GEN(r)   ((__u32)((r) >> 40))

/** The ladder of table sizes: primes, see balance/maglev.h. */
#define FL_SIZE_CLASSES 5
#define FL_SIZES        { 251, 1021, 4093, 16381, 65537 }

/** What a service does with UDP datagrams of flows it has no pin for. */
enum fl_udp { FL_UDP_KEEP = 0, FL_UDP_MOVE = 1, FL_UDP_QUIC = 2 };

/** Row of `services` (array, mmap-able): one cache line. Index 0 is not used. */
struct fl_service_row {
	fl_region region[FL_FAMILIES];     /**< by family of the packet's frontend */
	fl_region old_region[FL_FAMILIES]; /**< while a change of size is under way; else 0 */
	__u64 unused;                      /**< keeps the layout of what is pinned */
	__u8 forward;                      /**< enum fl_forward */
	__u8 udp;                          /**< enum fl_udp */
	__u8 in_use;                       /**< the agent's: this id belongs to a service */
	__u8 pad[5];
	__u64 reserved[2];
};
_Static_assert(sizeof(struct fl_service_row) == 64, "row layout is ABI");

/** Row of `names` (array, mmap-able): what service `index` is called, so that
 * pins alone tell everything. The programs do not read it. */
#define FL_NAME_MAX 128
struct fl_name_row {
	char name[FL_NAME_MAX]; /**< NUL-terminated; empty = unused */
};

/* ---------------------------------------------------------------- slots */

/**
 * One cell of a slot table (array `slots`, mmap-able), read in one load and
 * written in one store; fairlead/slot.h has its rules. Settled, it is simply
 * { now, before } as two equal u32; moving, the free bits hold the time of the
 * change, so that slot and time cannot come apart.
 */
typedef __u64 fl_slot;

/* ------------------------------------------------------------ endpoints */

/** Row of `endpoints` (array, mmap-able). Index 0 is never given out. An
 * address never changes while its id is in use; `state` and `nexthop` do, each
 * by one store. */
struct fl_endpoint_row {
	struct fl_ip addr;
	__be16 port;   /**< 0 = the destination port that the packet has */
	__u8 family;   /**< enum fl_family */
	__u8 state;    /**< enum fl_state */
	__u32 nexthop; /**< index into `nexthops`; 0 = ask bpf_fib_lookup */
	__u32 service; /**< whose endpoint this is; 0 = the row is free */
	__u32 since;   /**< when `state` was last changed */
};
_Static_assert(sizeof(struct fl_endpoint_row) == 32, "row layout is ABI");

/** Row of `nexthops` (array, mmap-able): immutable while an endpoint names it;
 * a new answer gets a new row and the endpoint's index swings over. */
struct fl_nexthop_row {
	__u8 dmac[6];
	__u8 smac[6];
	__u32 ifindex;    /**< egress interface */
	struct fl_ip src; /**< source address for nat and outer headers */
	__u16 mtu;        /**< of the route; bytes of IP packet */
	__u16 flags;      /**< FL_NEXTHOP_* */
	__u32 pad;        /**< rows of a mapped array are multiples of 8 bytes */
};
_Static_assert(sizeof(struct fl_nexthop_row) == 40, "row layout is ABI");
#define FL_NEXTHOP_LOCAL 1 /**< the endpoint is this node itself */

/* ----------------------------------------------------------------- probes */

/** Mark (SO_MARK) of sockets whose packets the program `probe` puts into the tunnel to an endpoint: its
 * number stands in the other bits. */
#define FL_PROBE_MARK      0xfa000000u
#define FL_PROBE_MARK_MASK 0xff000000u

/* ----------------------------------------------------------------- flows */

/** A 5-tuple as on the wire: key of `nat`, `pins` and `opening`. Raw bytes. */
struct fl_flow {
	struct fl_ip saddr;
	struct fl_ip daddr;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 pad[3]; /**< always 0 */
};
_Static_assert(sizeof(struct fl_flow) == 40, "key layout is ABI");

/** What has been seen of a nat flow, per direction. */
#define FL_NAT_SEEN_SYN 1
#define FL_NAT_SEEN_ACK 2 /**< something other than an opening: an answer, data */
#define FL_NAT_SEEN_FIN 4
#define FL_NAT_SEEN_RST 8
/** Set in the entry that translates endpoint → client. */
#define FL_NAT_REPLY 1

/**
 * Entry of a `nat` table. Each connection has two: key as the client sends it,
 * and key as the endpoint answers. `to` is the tuple the packet leaves with.
 * The reply entry is inserted first, with BPF_NOEXIST: it owns the port.
 */
struct fl_nat_entry {
	struct fl_flow to;
	__u32 endpoint;
	__u32 frontend; /**< index into `frontend_stats` */
	__u32 service;
	__u32 seen; /**< second of the last packet in this direction */
	__u8 flags; /**< FL_NAT_SEEN_*, of this direction */
	__u8 dir;   /**< 0 or FL_NAT_REPLY */
	/** FL_NAT_REPLY: an ICMP error about an opening was counted in `answers`. */
	__u8 refused;
	__u8 pad[5];
};
_Static_assert(sizeof(struct fl_nat_entry) == 64, "value layout is ABI");

/**
 * Tables of nat flows: the first generation is small, and the agent puts larger
 * ones before it as it fills (`nat` is an array of FL_NAT_GENERATIONS hash maps;
 * [0] is the one that takes new flows, empty positions end the list).
 */
#define FL_NAT_GENERATIONS 6
#define FL_NAT_FIRST_SIZE  16384

/** Row of `nat_used` (array, mmap-able): live nat flows of an endpoint = ports in use. While
 * maps of other limits take over, flows may end here that were counted there: then a count
 * is below 0 for a moment, as an int. */
struct fl_nat_used_row {
	__u32 tcp;
	__u32 udp;
};

/** Value of `answers` (hash, by endpoint, made by its first one): what became of openings that
 * nat sent there. The first three are of TCP, and wrap. UDP shows no openings, and silence means
 * nothing there; what is known is who refuses. */
struct fl_answers {
	__u32 openings;
	__u32 answered;    /**< first answer: anything but RST */
	__u32 refused;     /**< first answer: RST, or an ICMP error that nobody gets there */
	__u32 udp_refused; /**< flows with such an error before any answer, since one was answered */
};
_Static_assert(sizeof(struct fl_answers) == 16, "value layout is ABI");

/** Seconds a silent nat flow lives, by what has been seen of it. TCP: RFC 5382
 * REQ-5 (established 2 h 4 min, transitory 4 min); UDP: RFC 4787 REQ-5. */
#define FL_NAT_TCP_OPENING_S     60
#define FL_NAT_TCP_ESTABLISHED_S 7440
#define FL_NAT_TCP_CLOSING_S     240
#define FL_NAT_TCP_CLOSED_S      10
#define FL_NAT_UDP_ONEWAY_S      60
#define FL_NAT_UDP_S             300

/** Context of the program `sweep` (ctx_in of BPF_PROG_TEST_RUN), which forgets nat
 * flows that have been silent for too long. Run it every FL_NAT_SWEEP_S seconds;
 * while nobody does, a timer in the kernel takes over. */
struct fl_sweep {
	__u32 now_s; /**< CLOCK_BOOTTIME; 0 = the program looks itself */
	__u32 freed; /**< set: connections forgotten */
};
#define FL_NAT_SWEEP_S 5

/** Value of `pins` and `opening`: the endpoint of one flow whose slot moves. */
struct fl_pin {
	__u32 endpoint;
	__u32 seen; /**< second; refreshed when older than 1 s */
	__u32 service;
	__u32 hash;   /**< of the flow: finds its slot whatever the size */
	__u8 proven;  /**< a packet that opens nothing was seen */
	__u8 closing; /**< the last packet seen was FIN or RST */
	__u8 old;     /**< counted against the half of `pins` that old flows may take */
	__u8 family;  /**< enum fl_family of the frontend */
};
_Static_assert(sizeof(struct fl_pin) == 20, "value layout is ABI");

#define FL_PINS_MAX          65536
#define FL_OPENING_MAX       16384 /**< or 512 × possible CPUs, the larger */
#define FL_PRESSURE_WINDOW_S 5

/** The one row of `pressure` (array, mmap-able): what keeps floods from breaking flows. */
struct fl_pressure_row {
	__u32 window;        /**< second / FL_PRESSURE_WINDOW_S that `openings` counts */
	__u32 openings;      /**< inserts into `opening` in this window */
	__u32 openings_last; /**< and in the window before */
	__u32 failed;        /**< second of the last insert into `opening` or `pins` that failed */
	__u32 old_pins;      /**< pins of old flows and UDP; each sweep corrects it */
	__u32 pad;
	__u64 refused;   /**< pins not made, for lack of room or under pressure */
	__u64 postponed; /**< slots that were made to move for longer because of that */
};

/* ---------------------------------------------------------------- target */

/** Key of `balancers` (LPM trie): who may send us tunnelled packets. The value is a
 * u32 that nobody reads. */
struct fl_prefix_key {
	__u32 bits; /**< of the 128: an IPv4 prefix counts 96 more */
	struct fl_ip addr;
};
_Static_assert(sizeof(struct fl_prefix_key) == 20, "key layout is ABI");

/**
 * `addresses` (hash, struct fl_ip → u32 of these bits): every address that this
 * node has. Tunnels must end at one of them; what is inside must be for one that
 * is a service's, which are those on `lo` and on dummy devices, loopback's own
 * (127.0.0.0/8, ::1) left out.
 */
#define FL_ADDRESS_LOCAL   1
#define FL_ADDRESS_SERVICE 2

/* -------------------------------------------------------------- counters */

/** Row of `frontend_stats` (per CPU). Bytes are IP length as received. */
struct fl_frontend_stats {
	__u64 packets; /**< client → endpoint */
	__u64 bytes;
	__u64 new_flows;
	__u64 reply_packets; /**< what nat sent back */
	__u64 reply_bytes;
};

/** Row of `endpoint_stats` (per CPU): client → endpoint. */
struct fl_endpoint_stats {
	__u64 packets;
	__u64 bytes;
	__u64 new_flows;
};

/* ------------------------------------------------------------------ meta */

/** The one row of `meta` (array, mmap-able): written by the agent, read by the
 * next one and by `fairlead map`. */
struct fl_meta_row {
	__u32 abi;
	__u32 hash_seed;
	__u32 services; /**< limits that the pinned maps were made for */
	__u32 endpoints;
	__u32 slots;
	__u32 flows;
	__u64 generation; /**< of the snapshot last applied in full */
	__u64 applied_at; /**< CLOCK_REALTIME seconds of that */
	/** Changes of `frontends`. Programs remember rows that they found for as long as
	 * this stays the same; it is odd while a row changes, and then they do not. */
	__u32 frontends_epoch;
	__u32 pad;
};

/* ---------------------------------------------------------------- limits */

#define FL_SERVICES_DEFAULT  4096
#define FL_ENDPOINTS_DEFAULT 65536
#define FL_SLOTS_DEFAULT     1048576
#define FL_FLOWS_DEFAULT     1048576
/** Ids of endpoints fit in 20 bits: fairlead/slot.h packs two of them. */
#define FL_ENDPOINTS_LIMIT       1048575
#define FL_ENDPOINTS_PER_SERVICE 4096
#define FL_FRONTENDS_PER_SERVICE 64
#define FL_FRONTENDS_MAX         16384
#define FL_NEXTHOPS_MAX          16384
#define FL_INTERFACES_MAX        64
#define FL_BALANCERS_MAX         256
#define FL_ADDRESSES_MAX         4096
#define FL_NAT_SOURCES_MAX       16 /**< per family */
#define FL_NAT_PORT_MIN_DEFAULT  1024
#define FL_NAT_PORT_MAX_DEFAULT  32767

/**
 * Every map: C name without its fl_ prefix, which is also the name of its pin
 * below `maps/` in the bpffs directory and its name in `fairlead map list`.
 */
#define FL_MAPS(X)                                                                                 \
	X(frontends)                                                                               \
	X(vips)                                                                                    \
	X(services)                                                                                \
	X(names)                                                                                   \
	X(slots)                                                                                   \
	X(endpoints)                                                                               \
	X(nexthops)                                                                                \
	X(nat)                                                                                     \
	X(nat_used)                                                                                \
	X(answers)                                                                                 \
	X(pins)                                                                                    \
	X(opening)                                                                                 \
	X(pressure)                                                                                \
	X(reasons)                                                                                 \
	X(frontend_stats)                                                                          \
	X(endpoint_stats)                                                                          \
	X(tx_ports)                                                                                \
	X(timers)                                                                                  \
	X(balancers)                                                                               \
	X(addresses)                                                                               \
	X(meta)

/**
 * Read-only data of the edge programs, set before load: what is off costs
 * nothing, since the verifier removes it.
 */
struct fl_edge_conf {
	__u32 hash_seed;
	__u16 nat_port_min;             /**< host order */
	__u16 nat_port_max;             /**< host order, inclusive */
	__u32 nat_sources[FL_FAMILIES]; /**< how many; 0 = the next hop's */
	struct fl_ip nat_source[FL_FAMILIES][FL_NAT_SOURCES_MAX];
	__u8 tunnel_hash_bits[FL_FAMILIES]; /**< low bits of the outer source taken from the flow */
	__u8 pad[2];
	__u32 opening_limit; /**< inserts into `opening` within one window that are too many: half of
				  its cells; 0 = of FL_OPENING_MAX */
};

/* --------------------------------------------------------------- explain */

/**
 * What the program `explain` answers. It takes the same decision as `edge`
 * about the packet it is given by BPF_PROG_TEST_RUN, changes and counts nothing,
 * writes this over the start of the packet and returns the XDP action that
 * `edge` would return. A packet shorter than this gets no answer, so pad it:
 * bytes after the end that its IP header states change nothing.
 */
struct fl_explanation {
	__u32 magic;   /**< FL_EXPLANATION_MAGIC: the answer was written */
	__u32 service; /**< 0 = no frontend matches */
	__u32 frontend;
	__u32 endpoint; /**< where it goes; 0 = nowhere */
	__u32 hash;     /**< of the flow */
	__u32 slot;     /**< index in the table of the service; FL_NO_SLOT = none was looked at */
	fl_slot value;  /**< what is in that slot */
	fl_region region;
	__u8 reason;  /**< enum fl_reason */
	__u8 family;  /**< enum fl_family */
	__u8 forward; /**< enum fl_forward */
	__u8 moving;  /**< the slot is marked MOVING */
	__u8 pinned;  /**< a pin or a nat flow decided */
	__u8 state;   /**< enum fl_state of the endpoint */
	__u8 pad[2];
};
_Static_assert(sizeof(struct fl_explanation) == 48, "answer layout is ABI");
#define FL_EXPLANATION_MAGIC 0x70786c66 /* "flxp" */
#define FL_NO_SLOT           0xffffffffu
