// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The feeder, and the yardsticks that the edge program is measured beside: the
 * least a program can do (pass, transmit), the least a balancer can do (floor), and
 * what a balancer does that remembers every flow in an LRU table (lru).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "fairlead/abi.h"
#include "fairlead/csum.h"
#include "fairlead/hash.h"
#include "feed.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct feed feed;

/** The program that is measured. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

/** Flows of the answers. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FEED_ANSWERS);
	__type(key, __u32);
	__type(value, struct feed_answer);
} answers SEC(".maps");

/* ---------------------------------------------------------------- feeder */

/** Make room for the frame and write what all flows share. @return NULL: impossible */
static __always_inline void *write_frame(struct xdp_md *ctx, int length)
{
	void *data;
	int i;

	if (bpf_xdp_adjust_head(ctx, (int)(ctx->data_end - ctx->data) - length))
		return NULL;
	data = (void *)(long)ctx->data;
	if (data + length > (void *)(long)ctx->data_end)
		return NULL;
#pragma unroll
	for (i = 0; i < length / 8; i++)
		((__u64 *)data)[i] = feed.frame[i];
	return data;
}

static __always_inline void write_ipv4(struct iphdr *ip, __be32 saddr)
{
	ip->saddr = saddr;
	ip->check = ~fl_csum_fold((__u64)feed.ip_sum + saddr);
}

/** Write the next packet and hand it on. */
static __always_inline int feed_next(struct xdp_md *ctx, enum feed_shape shape)
{
	const bool v4 = shape == FEED_TCP4 || shape == FEED_UDP4;
	const bool tcp = shape == FEED_TCP4 || shape == FEED_TCP6;
	const int length = v4 ? FEED_FRAME4 : FEED_FRAME6;
	const int l4_offset = ETH_HLEN + (v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	const int check_offset =
		tcp ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check);
	__u32 flow = feed.next & feed.mask;
	__be32 source, *word;
	__be16 sport, *ports;
	void *data;

	feed.next++;
	data = write_frame(ctx, length);
	if (!data)
		return XDP_ABORTED;

	word = data + ETH_HLEN +
	       (v4 ? offsetof(struct iphdr, saddr) : offsetof(struct ipv6hdr, saddr) + 12);
	source = *word + bpf_htonl(flow >> FEED_PORT_BITS);
	sport = bpf_htons(FEED_PORT_BASE + (flow & ((1 << FEED_PORT_BITS) - 1)));
	ports = data + l4_offset;
	ports[0] = sport;
	if (v4)
		write_ipv4(data + ETH_HLEN, source);
	else
		*word = source;
	*(__u16 *)(data + l4_offset + check_offset) =
		~fl_csum_fold((__u64)feed.l4_sum + source + sport);

	bpf_tail_call_static(ctx, &next, 0);
	return XDP_ABORTED;
}

#define FEED(name, shape)                                                                          \
	SEC("xdp") int name(struct xdp_md *ctx)                                                    \
	{                                                                                          \
		return feed_next(ctx, shape);                                                      \
	}
FEED(feed_tcp4, FEED_TCP4)
FEED(feed_udp4, FEED_UDP4)
FEED(feed_tcp6, FEED_TCP6)
FEED(feed_udp6, FEED_UDP6)

/** The same for what endpoints answer. */
SEC("xdp") int feed_answer4(struct xdp_md *ctx)
{
	__u32 flow = feed.next & feed.mask;
	struct feed_answer *answer = bpf_map_lookup_elem(&answers, &flow);
	struct tcphdr *tcp;
	struct iphdr *ip;
	__u64 sum;
	void *data;

	feed.next++;
	data = write_frame(ctx, FEED_FRAME4);
	if (!data || !answer)
		return XDP_ABORTED;
	ip = data + ETH_HLEN;
	tcp = (void *)(ip + 1);
	sum = (__u64)answer->saddr + answer->daddr;
	ip->saddr = answer->saddr;
	ip->daddr = answer->daddr;
	ip->check = ~fl_csum_fold(feed.ip_sum + sum);
	tcp->dest = answer->dport;
	tcp->check = ~fl_csum_fold(feed.l4_sum + sum + answer->dport);

	bpf_tail_call_static(ctx, &next, 0);
	return XDP_ABORTED;
}

/* ------------------------------------------------------------ yardsticks */

SEC("xdp") int pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

SEC("xdp") int transmit(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_TX;
}

/** At the other end of a veth pair. */
SEC("xdp") int drop(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, YARD_ENDPOINTS);
	__type(key, __u32);
	__type(value, struct yard_endpoint);
} yard_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FL_FRONTENDS_MAX);
	__type(key, struct fl_frontend_key);
	__type(value, struct fl_frontend_row);
} yard_frontends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, YARD_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} yard_slots SEC(".maps");

/** Sized before load. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 20);
	__type(key, struct fl_flow);
	__type(value, __u32);
} yard_flows SEC(".maps");

/** Packets that the yardsticks sent on, and those found in the flow table. */
__u64 sent, remembered;

/** What the yardsticks know of a packet. */
struct seen {
	void *end;
	void *l4;
	__u32 hash;
	__u16 ip_len;
	__u8 proto;
};

/** IPv4 or IPv6 with TCP or UDP; the least that finds the ports. */
static __always_inline int look(struct xdp_md *ctx, bool v4, struct seen *s)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	__be16 *ports = v4 ? (void *)(ip + 1) : (void *)(ip6 + 1);

	s->end = (void *)(long)ctx->data_end;
	s->l4 = ports;
	if ((void *)(ports + 4) > s->end)
		return -1;
	if (eth->h_proto != bpf_htons(v4 ? ETH_P_IP : ETH_P_IPV6))
		return -1;
	s->proto = v4 ? ip->protocol : ip6->nexthdr;
	if ((v4 && ip->ihl != 5) || (s->proto != IPPROTO_TCP && s->proto != IPPROTO_UDP))
		return -1;
	s->ip_len = v4 ? bpf_ntohs(ip->tot_len) : bpf_ntohs(ip6->payload_len) + sizeof(*ip6);
	s->hash = v4 ? fl_hash_ipv4(0, ip->saddr, ip->daddr, ports[0], ports[1], s->proto)
		     : fl_hash_ipv6(0, ip6->saddr.in6_u.u6_addr32, ip6->daddr.in6_u.u6_addr32,
			       ports[0], ports[1], s->proto);
	return 0;
}

/** Another header of the packet's own family in front, and out again. */
static __always_inline int send_to(
	struct xdp_md *ctx, bool v4, const struct seen *s, const struct yard_endpoint *to)
{
	const int outer = v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	__u16 ip_len = s->ip_len;
	struct ethhdr *eth;

	if (bpf_xdp_adjust_head(ctx, -outer))
		return XDP_ABORTED;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) + outer > (void *)(long)ctx->data_end)
		return XDP_ABORTED;

	__builtin_memcpy(eth->h_dest, to->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, to->smac, ETH_ALEN);
	eth->h_proto = bpf_htons(v4 ? ETH_P_IP : ETH_P_IPV6);
	if (v4) {
		struct iphdr *ip = (void *)(eth + 1);
		__be32 *word = (void *)ip;

		word[0] = bpf_htonl(0x45000000 | (__u16)(ip_len + outer));
		word[1] = 0;
		word[2] = bpf_htonl(64 << 24 | IPPROTO_IPIP << 16);
		word[3] = bpf_htonl(0xc0000202);
		word[4] = to->addr[3];
		ip->check = ~fl_csum_fold((__u64)word[0] + word[2] + word[3] + word[4]);
	} else {
		struct ipv6hdr *ip = (void *)(eth + 1);
		__be32 *word = (void *)ip;

		word[0] = bpf_htonl(0x60000000);
		word[1] = bpf_htonl((__u32)ip_len << 16 | IPPROTO_IPV6 << 8 | 64);
		word[2] = bpf_htonl(0x20010db8);
		word[3] = word[4] = 0;
		word[5] = bpf_htonl(2);
		__builtin_memcpy(word + 6, to->addr, 16);
	}
	sent++;
	return XDP_TX;
}

/** Parse, one array lookup, encapsulate: no balancer can do less. */
static __always_inline int floor_run(struct xdp_md *ctx, bool v4)
{
	struct yard_endpoint *to;
	struct seen s;
	__u32 row;

	if (look(ctx, v4, &s))
		return XDP_PASS;
	row = s.hash & (YARD_ENDPOINTS - 1);
	to = bpf_map_lookup_elem(&yard_endpoints, &row);
	return to ? send_to(ctx, v4, &s, to) : XDP_DROP;
}

SEC("xdp") int floor4(struct xdp_md *ctx)
{
	return floor_run(ctx, true);
}

SEC("xdp") int floor6(struct xdp_md *ctx)
{
	return floor_run(ctx, false);
}

static __always_inline void flow_key(
	struct xdp_md *ctx, bool v4, const struct seen *s, struct fl_flow *key)
{
	struct iphdr *ip = (void *)(long)ctx->data + ETH_HLEN;
	struct ipv6hdr *ip6 = (void *)ip;
	__be16 *ports = s->l4;

	__builtin_memset(key, 0, sizeof(*key));
	if (v4) {
		key->saddr.word[2] = key->daddr.word[2] = bpf_htonl(0xffff);
		key->saddr.word[3] = ip->saddr;
		key->daddr.word[3] = ip->daddr;
	} else {
		__builtin_memcpy(&key->saddr, &ip6->saddr, 16);
		__builtin_memcpy(&key->daddr, &ip6->daddr, 16);
	}
	key->sport = ports[0];
	key->dport = ports[1];
	key->proto = s->proto;
}

/** The endpoint of a flow by the table of flows; who is not in it is put there. */
static __always_inline __u32 flow_endpoint(const struct fl_flow *key, const struct seen *s)
{
	__u32 *found = bpf_map_lookup_elem(&yard_flows, key);
	__u32 slot, *endpoint;

	if (found) {
		remembered++;
		return *found;
	}
	slot = fl_hash_slot(s->hash, YARD_SLOTS);
	endpoint = bpf_map_lookup_elem(&yard_slots, &slot);
	if (!endpoint)
		return 0;
	bpf_map_update_elem(&yard_flows, key, endpoint, BPF_ANY);
	return *endpoint;
}

/** Frontend, flow table, endpoint, encapsulate: the way of the balancers we know. */
static __always_inline int lru_run(struct xdp_md *ctx, bool v4)
{
	struct fl_frontend_key frontend = {};
	struct yard_endpoint *to;
	struct fl_flow key;
	struct seen s;
	__u32 row;

	if (look(ctx, v4, &s))
		return XDP_PASS;
	flow_key(ctx, v4, &s, &key);
	frontend.addr = key.daddr;
	frontend.port = key.dport;
	frontend.proto = key.proto;
	if (!bpf_map_lookup_elem(&yard_frontends, &frontend))
		return XDP_PASS;
	row = flow_endpoint(&key, &s);
	to = bpf_map_lookup_elem(&yard_endpoints, &row);
	return to ? send_to(ctx, v4, &s, to) : XDP_DROP;
}

SEC("xdp") int lru4(struct xdp_md *ctx)
{
	return lru_run(ctx, true);
}

SEC("xdp") int lru6(struct xdp_md *ctx)
{
	return lru_run(ctx, false);
}
