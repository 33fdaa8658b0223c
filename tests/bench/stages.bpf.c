// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The edge program, taken apart: programs that end after one of its stages, each
 * longer by one than the one before, tell what the stages cost; and the whole path
 * forced through an LRU table of flows, as other balancers have it.
 *
 * They share the maps of a loaded edge program.
 */
#include "../../bpf/xdp_edge.bpf.c"

/* What a stage found out would be left out by the compiler if nobody wanted it. */
#define USE(value) asm volatile("" : : "r"((__u64)(value)))

enum stage { STAGE_PARSE, STAGE_FRONTEND, STAGE_SERVICE, STAGE_SLOT, STAGE_FORWARD };

/** As plain_stages does it, up to `last`, a constant. */
static __always_inline int stages_upto(struct pkt *p, enum stage last)
{
	struct memo *memo;
	struct memo key;
	__u32 index;
	int err;

	if (!parse_is_plain(p, FL_IPV4))
		return -FL_PASS_NOT_IP;
	p->family = FL_IPV4;
	p->ip = (void *)(long)p->ctx->data + ETH_HLEN;
	if (parse_ip(p) != PART_WHOLE)
		return -FL_PASS_NOT_IP;
	USE(p->sport);
	USE(p->dport);
	USE(p->ip_len);
	if (last == STAGE_PARSE)
		return 0;
	flow_hash(p);
	asm volatile("" : "+r"(p->hash));
	/* Only the first packet is not recalled. */
	if ((!frontend_recall(p, &key, &memo) && frontend_lookup(p, false)) || !memo)
		return -FL_PASS_NO_SERVICE;
	USE(p->service);
	USE(p->frontend);
	if (last == STAGE_FRONTEND)
		return 0;
	err = check_lengths(p);
	if (!err)
		err = service_lookup(p);
	if (err)
		return err;
	memo_region(memo, p);
	USE(p->region);
	USE(p->size);
	if (last == STAGE_SERVICE)
		return 0;
	err = endpoint_settled(p, &index);
	if (err || last == STAGE_SLOT)
		return err;
	return ipip_forward(p, false);
}

#define UPTO(name, last)                                                                           \
	SEC("xdp") int upto_##name(struct xdp_md *ctx)                                             \
	{                                                                                          \
		struct pkt p;                                                                      \
		int err;                                                                           \
                                                                                                   \
		pkt_init(&p, ctx);                                                                 \
		err = stages_upto(&p, last);                                                       \
		return err ? XDP_DROP : p.action;                                                  \
	}
UPTO(parse, STAGE_PARSE)
UPTO(frontend, STAGE_FRONTEND)
UPTO(service, STAGE_SERVICE)
UPTO(slot, STAGE_SLOT)
UPTO(forward, STAGE_FORWARD)

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 21);
	__type(key, struct fl_flow);
	__type(value, __u32);
} lru_flows SEC(".maps");

/** The endpoint that the flow's entry names; who has none gets one by its slot. */
static __always_inline int endpoint_remember(struct pkt *p)
{
	struct fl_flow key;
	__u32 *found, id;
	int err;

	flow_key(p, &key);
	found = bpf_map_lookup_elem(&lru_flows, &key);
	if (found) {
		p->endpoint = id = *found;
		p->to = bpf_map_lookup_elem(&fl_endpoints, &id);
		return p->to && fl_state_takes_old(p->to->state) ? 0 : -FL_DROP_NO_ENDPOINT;
	}
	err = endpoint_select(p, false);
	if (err)
		return err;
	id = p->endpoint;
	bpf_map_update_elem(&lru_flows, &key, &id, BPF_ANY);
	return 0;
}

static __always_inline int lru_stages(struct pkt *p)
{
	int err = stages_upto(p, STAGE_SERVICE);

	if (!err)
		err = endpoint_remember(p);
	return err ? err : ipip_forward(p, false);
}

SEC("xdp") int edge_lru(struct xdp_md *ctx)
{
	struct pkt p;
	int reason;

	pkt_init(&p, ctx);
	reason = -lru_stages(&p);
	exit_count(FL_PATH_EDGE, reason);
	return exit_action(reason, p.action);
}
