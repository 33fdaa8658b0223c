// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * Probes that take the road of the data: a probe of a tunnelled service is a socket of the agent
 * that connects to the service's frontend, with a mark that says which endpoint is meant. A rule
 * of the agent leads marked packets out by `lo`, where this program puts them into the tunnel to
 * that endpoint, with the header that the edge path would give them (tunnel.h). Answers come
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

#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/tunnel.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

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
		struct iphdr ip;
	} __attribute__((packed)) head;
	struct iphdr ip;

	if (bpf_skb_adjust_room(skb, sizeof(ip), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4))
		return TC_ACT_SHOT;
	outer_ipv4(&ip, inner, hop->src.word[3], endpoint->addr.word[3]);
	write_macs(&head.eth, hop, bpf_htons(ETH_P_IP));
	head.ip = ip;
	if (bpf_skb_store_bytes(skb, 0, &head, sizeof(head), 0))
		return TC_ACT_SHOT;
	return bpf_redirect(hop->ifindex, 0);
}

static __always_inline int wrap_ipv6(struct __sk_buff *skb, const struct fl_endpoint_row *endpoint,
	const struct fl_nexthop_row *hop, const struct inner *inner)
{
	struct {
		struct ethhdr eth;
		struct ipv6hdr ip;
	} __attribute__((packed)) head;
	struct ipv6hdr ip;

	if (bpf_skb_adjust_room(skb, sizeof(ip), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6))
		return TC_ACT_SHOT;
	outer_ipv6(&ip, inner, &hop->src, hop->src.word[3], &endpoint->addr, 0);
	write_macs(&head.eth, hop, bpf_htons(ETH_P_IPV6));
	head.ip = ip;
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
