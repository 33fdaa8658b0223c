// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * Probes that take the road of the data: a probe of a tunnelled service is a socket of the agent
 * that connects to the service's frontend, with a mark that says which endpoint is meant. A rule
 * of the agent leads marked packets out by `lo`, where this program puts them into the tunnel to
 * that endpoint, with the header that the edge path would give them (fwd_ipip.h). Answers come
 * from the endpoint straight to the node's own address, and are nothing special.
 *
 * The idea is Katran's (healthchecking_ipip). What has no mark of ours is looked at no further.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "fairlead/csum.h"
#include "lib/maps.h"
#include "lib/packet.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TUNNEL_HOPS 64

/** Of the packet that the probe sends. */
struct inner {
	__u8 proto; /**< as a next header */
	__u8 class; /**< traffic class */
	__u32 length;
};

static __always_inline int read_inner(struct __sk_buff *skb, struct inner *ret)
{
	__be16 word;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &word, sizeof(word)))
		return -1;
	ret->proto = skb->protocol == bpf_htons(ETH_P_IP) ? IPPROTO_IPIP : IPPROTO_IPV6;
	ret->class =
		ret->proto == IPPROTO_IPIP ? bpf_ntohs(word) & 0xff : bpf_ntohs(word) >> 4 & 0xff;
	ret->length = skb->len - ETH_HLEN;
	return 0;
}

static __always_inline void write_macs(
	struct ethhdr *eth, const struct fl_nexthop_row *hop, __be16 type)
{
	__builtin_memcpy(eth->h_dest, hop->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, hop->smac, ETH_ALEN);
	eth->h_proto = type;
}

static __always_inline int wrap_ipv4(struct __sk_buff *skb, const struct fl_endpoint_row *endpoint,
	const struct fl_nexthop_row *hop, const struct inner *inner)
{
	struct {
		struct ethhdr eth;
		__u32 word[5];
	} __attribute__((packed)) head;
	__u32 word[5];
	__u64 sum = 0;

	if (bpf_skb_adjust_room(
		    skb, sizeof(struct iphdr), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4))
		return TC_ACT_SHOT;
	word[0] = bpf_htonl(
		0x45000000u | (__u32)inner->class << 16 | (inner->length + sizeof(struct iphdr)));
	word[1] = bpf_htonl(0x4000); /* no identification; don't fragment */
	word[2] = bpf_htonl((__u32)TUNNEL_HOPS << 24 | (__u32)inner->proto << 16);
	word[3] = hop->src.word[3];
	word[4] = endpoint->addr.word[3];
#pragma unroll
	for (int i = 0; i < 5; i++)
		sum += word[i];
	word[2] |= (__u32)(__u16)~fl_csum_fold(sum)
		   << (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 16 : 0);
	write_macs(&head.eth, hop, bpf_htons(ETH_P_IP));
	__builtin_memcpy(head.word, word, sizeof(word));
	if (bpf_skb_store_bytes(skb, 0, &head, sizeof(head), 0))
		return TC_ACT_SHOT;
	return bpf_redirect(hop->ifindex, 0);
}

static __always_inline int wrap_ipv6(struct __sk_buff *skb, const struct fl_endpoint_row *endpoint,
	const struct fl_nexthop_row *hop, const struct inner *inner)
{
	struct {
		struct ethhdr eth;
		__u32 word[2];
		struct fl_ip saddr, daddr;
	} __attribute__((packed)) head;

	if (bpf_skb_adjust_room(
		    skb, sizeof(struct ipv6hdr), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6))
		return TC_ACT_SHOT;
	write_macs(&head.eth, hop, bpf_htons(ETH_P_IPV6));
	head.word[0] = bpf_htonl(0x60000000u | (__u32)inner->class << 20);
	head.word[1] = bpf_htonl(inner->length << 16 | (__u32)inner->proto << 8 | TUNNEL_HOPS);
	head.saddr = hop->src;
	head.daddr = endpoint->addr;
	if (bpf_skb_store_bytes(skb, 0, &head, sizeof(head), 0))
		return TC_ACT_SHOT;
	return bpf_redirect(hop->ifindex, 0);
}

SEC("tc")
int probe(struct __sk_buff *skb)
{
	__u32 id = skb->mark & ~FL_PROBE_MARK_MASK, index;
	struct fl_endpoint_row *endpoint;
	struct fl_nexthop_row *hop;
	struct inner inner;

	if ((skb->mark & FL_PROBE_MARK_MASK) != FL_PROBE_MARK)
		return TC_ACT_OK;
	endpoint = bpf_map_lookup_elem(&fl_endpoints, &id);
	if (!endpoint)
		return TC_ACT_SHOT;
	index = READ_ONCE(endpoint->nexthop);
	hop = bpf_map_lookup_elem(&fl_nexthops, &index);
	if (!index || !hop || read_inner(skb, &inner))
		return TC_ACT_SHOT;
	if (hop->flags & FL_NEXTHOP_LOCAL)
		return TC_ACT_OK; /* the endpoint is this node, which has the frontend's address */
	if (endpoint->family == FL_IPV4)
		return wrap_ipv4(skb, endpoint, hop, &inner);
	return wrap_ipv6(skb, endpoint, hop, &inner);
}
