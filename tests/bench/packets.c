/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "fairlead/csum.h"

/*
 * The frames that the feeder writes: from clients in 172.16.0.0/12 and
 * fd00:c1::/64 to the frontends of reference.yaml, or from endpoints back.
 */

static bool is_v4(enum feed_shape shape)
{
	return shape != FEED_TCP6 && shape != FEED_UDP6;
}

static bool is_tcp(enum feed_shape shape)
{
	return shape != FEED_UDP4 && shape != FEED_UDP6;
}

int bench_frame_length(enum feed_shape shape)
{
	return is_v4(shape) ? FEED_FRAME4 : FEED_FRAME6;
}

/** Sum of 16-bit words as they stand in memory. */
static uint32_t sum_words(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;
	uint16_t word;
	size_t i;

	for (i = 0; i + 1 < length; i += 2) {
		memcpy(&word, bytes + i, 2);
		sum += word;
	}
	return sum;
}

static size_t write_ipv4(uint8_t *at, struct feed *feed, uint8_t proto, size_t length)
{
	struct iphdr *ip = (struct iphdr *)at;

	*ip = (struct iphdr){
		.version = 4, .ihl = 5, .tot_len = htons(length), .ttl = 64, .protocol = proto
	};
	inet_pton(AF_INET, "10.200.1.1", &ip->daddr);
	feed->ip_sum = sum_words(ip, sizeof(*ip));
	feed->l4_sum = sum_words(&ip->daddr, 4);
	inet_pton(AF_INET, "172.16.0.0", &ip->saddr);
	return sizeof(*ip);
}

static size_t write_ipv6(uint8_t *at, struct feed *feed, uint8_t proto, size_t length)
{
	struct ipv6hdr *ip = (struct ipv6hdr *)at;

	*ip = (struct ipv6hdr){ .version = 6,
		.payload_len = htons(length - sizeof(*ip)),
		.nexthdr = proto,
		.hop_limit = 64 };
	inet_pton(AF_INET6, "fd00:c1::", &ip->saddr);
	inet_pton(AF_INET6, "fd00:200::1", &ip->daddr);
	feed->ip_sum = 0;
	/* The last word of the source is the flow's, and 0 here. */
	feed->l4_sum = sum_words(&ip->saddr, 32);
	return sizeof(*ip);
}

/** What an endpoint sends: its flow gives both addresses and the destination port. */
static size_t write_answer4(uint8_t *at, struct feed *feed, size_t length)
{
	struct iphdr *ip = (struct iphdr *)at;

	*ip = (struct iphdr){
		.version = 4, .ihl = 5, .tot_len = htons(length), .ttl = 64, .protocol = IPPROTO_TCP
	};
	feed->ip_sum = sum_words(ip, sizeof(*ip));
	feed->l4_sum = 0;
	return sizeof(*ip);
}

void bench_frame(struct feed *feed, const struct bench_traffic *traffic)
{
	bool v4 = is_v4(traffic->shape), tcp = is_tcp(traffic->shape);
	bool answer = traffic->shape == FEED_ANSWER4;
	size_t ip_length = bench_frame_length(traffic->shape) - ETH_HLEN, ip_header, l4_length;
	uint8_t *at = (uint8_t *)feed->frame, proto = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	struct ethhdr *eth = (struct ethhdr *)at;

	memset(feed->frame, 0, sizeof(feed->frame));
	memcpy(eth->h_dest, "\x02\x00\x00\x00\x00\x01", ETH_ALEN);
	memcpy(eth->h_source, "\x02\x00\x00\x00\x00\x02", ETH_ALEN);
	eth->h_proto = htons(v4 ? ETH_P_IP : ETH_P_IPV6);
	at += sizeof(*eth);
	if (answer)
		ip_header = write_answer4(at, feed, ip_length);
	else
		ip_header = v4 ? write_ipv4(at, feed, proto, ip_length)
			       : write_ipv6(at, feed, proto, ip_length);
	at += ip_header;
	l4_length = ip_length - ip_header;

	if (tcp)
		*(struct tcphdr *)at = (struct tcphdr){ .source = answer ? htons(80) : 0,
			.dest = answer ? 0 : htons(80),
			.seq = htonl(1),
			.doff = 5,
			.syn = traffic->syn,
			.ack = !traffic->syn,
			.window = htons(512) };
	else
		*(struct udphdr *)at =
			(struct udphdr){ .dest = htons(80), .len = htons(l4_length) };
	feed->l4_sum += sum_words(at, l4_length) + htons(proto) + htons(l4_length);
}

char *bench_traffic_text(const struct bench_traffic *traffic, char buffer[64])
{
	static const char *shapes[] = { "TCP IPv4", "UDP IPv4", "TCP IPv6", "UDP IPv6",
		"answers, TCP IPv4" };
	char flows[32];

	if (traffic->flows == 0)
		snprintf(flows, sizeof(flows), "every packet a new flow");
	else if (traffic->flows == 1)
		snprintf(flows, sizeof(flows), "1 flow");
	else if (traffic->flows >= 1 << 20)
		snprintf(flows, sizeof(flows), "%u M flows", traffic->flows >> 20);
	else
		snprintf(flows, sizeof(flows), "%u k flows", traffic->flows >> 10);
	snprintf(
		buffer, 64, "%s, %s%s", shapes[traffic->shape], flows, traffic->syn ? ", SYN" : "");
	return buffer;
}
