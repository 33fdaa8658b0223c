/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

/**
 * @file packet.h
 * Packets from a description: what a row of a test says, as bytes.
 *
 * Written apart from the programs, so that both would have to be wrong in the
 * same way; scapy judges the result once more (tests/bpf/oracle.py).
 */
#define PACKET_MAX 4096

/** TCP flags of a description. */
#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10

/** A packet as a row describes it; what is 0 has the usual value. */
struct packet {
	const char *src, *dst; /**< addresses; their family is the packet's */
	uint16_t sport, dport; /**< host order */
	uint8_t flags;         /**< TCP; 0 = UDP */
	uint8_t proto;         /**< another protocol than flags says */
	uint8_t ttl;           /**< 0 = 64 */
	uint8_t no_ttl;        /**< it is 0 */
	uint8_t tos;
	uint16_t id;      /**< IPv4 */
	uint16_t payload; /**< bytes after the TCP or UDP header; 0 = 32, NO_PAYLOAD = none */
	uint16_t padding; /**< bytes after the end of the IP packet */

	const char *dmac, *smac; /**< default: MAC_NODE, MAC_ROUTER */
	uint8_t tags;            /**< VLAN tags, 0-3 */
	uint16_t ethertype;      /**< instead of IPv4 or IPv6 */

	uint8_t ip_options;  /**< IPv4: 32-bit words of options */
	uint8_t tcp_options; /**< 32-bit words */
	uint16_t fragment;   /**< IPv4 flags and offset field; IPv6: adds a fragment header */
	uint8_t dont_fragment;
	const char *extensions; /**< IPv6, in order: h hop-by-hop, r routing (used up), R routing
				     (hops left), d destination options, f atomic fragment */

	uint8_t no_checksum;    /**< UDP: field is 0 */
	uint8_t break_checksum; /**< TCP, UDP: flip a bit */
	uint8_t zero_checksum;  /**< choose the payload's first word so that the UDP checksum
				    comes out as 0, which is sent as 0xffff */
	uint16_t first_word;    /**< of the payload; 0 = as usual */

	/* Lies, told after the checksums are in place. */
	int16_t ip_len;     /**< added to the length of the IP header */
	int16_t udp_len;    /**< added to the length of the UDP header */
	uint8_t doff;       /**< TCP header length in words */
	uint8_t ihl;        /**< IPv4 header length in words */
	uint8_t version;    /**< of IP */
	uint8_t flow_label; /**< IPv6 */
};
#define NO_PAYLOAD 0xffff

/** Bytes of a packet. */
struct frame {
	uint8_t bytes[PACKET_MAX];
	uint32_t length;
	uint32_t ip; /**< offset of the IP header */
	uint32_t l4; /**< of the TCP or UDP header */
};

/** Build the bytes. Fails the test when it cannot. */
void packet_build(const struct packet *packet, struct frame *ret);

/** Byte for byte; the test fails where they differ. */
void frame_compare(const char *row, const struct frame *got, const struct frame *wanted);

/** Addresses and ports of a frame, by its bytes. */
struct tuple {
	char src[46], dst[46];
	uint16_t sport, dport; /**< host order */
	uint8_t proto;
	uint8_t ttl;
};
void frame_tuple(const struct frame *frame, struct tuple *ret);

/** The Internet checksum of some bytes, added to `sum`; RFC 1071, the plain way. */
uint32_t checksum_add(uint32_t sum, const void *bytes, size_t length);
uint16_t checksum_end(uint32_t sum);
