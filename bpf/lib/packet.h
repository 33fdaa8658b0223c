/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "fairlead/abi.h"
#include "fairlead/reasons.h"

/**
 * @file packet.h
 * What the stages of the edge programs know about a packet.
 *
 * A stage takes a `struct pkt *`, fills in more of it and returns 0 ("go on") or
 * a negative reason. Stages are inlined, and those behind the link layer exist
 * twice, once for each family, so that the compiler splits this struct into
 * registers and constants, and the verifier sees which header it looks at. Hence
 * never let the address of a member out: look up by a copy.
 */

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/** One load that the compiler may neither repeat nor tear. */
#define READ_ONCE(x)     (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

/* Flags of a TCP header, as its byte 13 has them. */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define VLAN_TAGS_MAX 2
#define VLAN_TAG_LEN  4 /**< its own EtherType included */

/** What parse_ip found instead of a whole packet, which is 0. */
enum pkt_part {
	PART_WHOLE = 0,
	PART_FIRST, /**< first fragment: has ports */
	PART_LATER, /**< later fragment: has none */
	PART_CUT,   /**< ends before its ports, or its extension headers cannot be followed */
};

struct pkt {
	struct xdp_md *ctx;
	void *end; /**< of the frame */
	void *ip;
	void *l4;
	__u32 ip_len; /**< as the IP header says: what is counted */
	__be16 sport;
	__be16 dport;
	__be16 ethertype; /**< behind VLAN tags */
	__u8 family;      /**< enum fl_family; constant behind parse_link */
	__u8 proto;
	__u8 tags;      /**< how many VLAN tags are before the IP header */
	__u8 tcp_flags; /**< TCP_*; 0 for UDP. Set by check_lengths, as is: */
	__u16 *check;   /**< the checksum of TCP or UDP */

	__u32 service;
	__u32 frontend;
	__u32 hash;
	__u32 endpoint;
	__u8 forward; /**< enum fl_forward */
	__u8 udp;     /**< enum fl_udp */
	__u8 pinned;
	__u8 fragment; /**< the hash is of addresses and protocol alone */
	__u8 quoting; /**< an ICMP error: its flow is the one that it quotes, see quote_ip, quote_l4 */
	__u32 quote_ip; /**< where the quoted headers begin in the frame */
	__u32 quote_l4;

	const struct fl_endpoint_row *to;
	__u32 slot; /**< within the table */
	fl_slot value;
	fl_region region;
	__u32 size; /**< number of slots at region; 0 = there is no table */
	int action; /**< XDP action when it is sent */
};
