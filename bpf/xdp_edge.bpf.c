// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * The edge path: what arrives for a frontend goes to one of its endpoints.
 *
 * Read `stages` first: each is a function in lib/, which fills in more of
 * struct pkt and returns 0 to go on, or the negative reason the packet leaves
 * with. README.md beside this file draws the path and lists the maps.
 */
#include <linux/errno.h>

#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/count.h"
#include "lib/exit.h"
#include "lib/explain.h"
#include "lib/flow.h"
#include "lib/fwd_icmp.h"
#include "lib/fwd_ipip.h"
#include "lib/fwd_nat.h"
#include "lib/maps.h"
#include "lib/nat_sweep.h"
#include "lib/packet.h"
#include "lib/parse.h"
#include "lib/select.h"
#include "lib/service.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/** From the IP header to the reason that the packet leaves with. */
static __always_inline int ip_stages(struct pkt *p, enum fl_family family, bool explain)
{
	int err;

	p->family = family;
	err = parse_ip(p);
	if (err < 0)
		return err == -FL_PASS_PROTOCOL ? icmp_forward(p, explain) : err;
	if (likely(err == PART_WHOLE)) {
		err = frontend_lookup(p, explain);
		if (err == -FL_PASS_NO_SERVICE)
			return nat_reply(p, explain);
		if (err)
			return err;
		err = check_lengths(p);
		if (err)
			return err;
		err = service_lookup(p);
		if (err)
			return err;
		flow_hash(p);
		if (p->forward == FL_NAT)
			return nat_forward(p, explain);
	} else {
		err = frontend_lookup_part(p, err, explain);
		if (err)
			return err;
		err = service_lookup(p);
		if (err)
			return err;
		flow_hash(p);
		if (p->forward == FL_NAT)
			return -FL_DROP_FRAGMENT;
	}
	err = endpoint_select(p, explain);
	if (err)
		return err;
	if (p->forward == FL_IPIP)
		return ipip_forward(p, explain);
	return -FL_DROP_INTERNAL;
}

/** Answer of plain_stages: nothing was done yet, the packet goes through all stages. */
#define LONG_WAY 1

/**
 * The short way, which nearly all packets take: a plain frame for a frontend that is
 * remembered, and in a tunnel mode a slot at rest. It is made of the same functions;
 * that they are for one case only leaves fewer instructions, and the hash, which takes
 * longest, is begun first.
 * @param family  constant, as parse_is_plain found it
 * @return 0 when sent, a negative reason, or LONG_WAY
 */
static __always_inline int plain_stages(struct pkt *p, enum fl_family family)
{
	struct memo *memo;
	struct memo key;
	__u32 index;

	p->family = family;
	p->ip = (void *)(long)p->ctx->data + ETH_HLEN;
	if (unlikely(parse_ip(p) != PART_WHOLE))
		return LONG_WAY;
	flow_hash(p);
	asm volatile("" : "+r"(p->hash)); /* here, not where it is needed */
	if (unlikely(!frontend_recall(p, &key, &memo) || check_lengths(p) || service_lookup(p)))
		return LONG_WAY;
	if (p->forward == FL_NAT)
		return nat_forward(p, false);
	if (unlikely(p->forward != FL_IPIP))
		return LONG_WAY;
	memo_region(memo, p);
	if (unlikely(endpoint_settled(p, &index)))
		return LONG_WAY;
	return ipip_forward(p, false);
}

/**
 * A whole frame.
 * @param explain  constant: change and count nothing
 */
static __always_inline int stages(struct pkt *p, bool explain)
{
	int err;

	err = parse_link(p);
	if (err)
		return err;
	if (likely(p->ethertype == bpf_htons(ETH_P_IP)))
		return ip_stages(p, FL_IPV4, explain);
	if (p->ethertype == bpf_htons(ETH_P_IPV6))
		return ip_stages(p, FL_IPV6, explain);
	return -FL_PASS_NOT_IP;
}

static __always_inline void pkt_init(struct pkt *p, struct xdp_md *ctx)
{
	__builtin_memset(p, 0, sizeof(*p));
	p->ctx = ctx;
	p->end = (void *)(long)ctx->data_end;
	p->slot = FL_NO_SLOT;
	p->action = XDP_TX;
}

/** Attached to the interfaces of `edge:`. */
SEC("xdp")
int edge(struct xdp_md *ctx)
{
	struct pkt p;
	int err = LONG_WAY;

	pkt_init(&p, ctx);
	if (likely(parse_is_plain(&p, FL_IPV4)))
		err = plain_stages(&p, FL_IPV4);
	else if (parse_is_plain(&p, FL_IPV6))
		err = plain_stages(&p, FL_IPV6);
	if (likely(err == 0)) {
		exit_count(FL_PATH_EDGE, FL_SENT);
		return p.action;
	}
	if (err == LONG_WAY)
		err = stages(&p, false);
	exit_count(FL_PATH_EDGE, -err);
	return exit_action(-err, p.action);
}

/** Never attached: run by BPF_PROG_TEST_RUN, see struct fl_explanation. */
SEC("xdp")
int explain(struct xdp_md *ctx)
{
	struct pkt p;
	int reason;

	pkt_init(&p, ctx);
	reason = -stages(&p, true);
	explain_write(&p, reason);
	return exit_action(reason, p.action);
}

/**
 * Run once by each agent: forgetting goes on in the kernel without one.
 * @return 0, -errno
 */
SEC("syscall")
int start_sweep(void *ctx)
{
	__u32 zero = 0;
	struct fl_timer *timer = bpf_map_lookup_elem(&fl_timers, &zero);
	int err = -ENOMEM, i;

	(void)ctx;
	if (!timer)
		return -ENOENT;
	/* The kernel allocates without waiting for locks, so it may fail for a moment. */
	for (i = 0; i < START_TRIES && err == -ENOMEM; i++)
		err = bpf_timer_init(&timer->timer, &fl_timers, CLOCK_BOOTTIME);
	/* Busy: an earlier agent did it; then only the callback is replaced. */
	if (err && err != -EBUSY)
		return err;
	err = bpf_timer_set_callback(&timer->timer, nat_sweep_tick);
	if (err)
		return err;
	timer->swept = clock_boot_s(); /* this agent's turn first */
	return bpf_timer_start(&timer->timer, FL_NAT_SWEEP_S * 1000000000ull, 0);
}

/** Run by the agent every few seconds. */
SEC("syscall")
int sweep(struct fl_sweep *args)
{
	__u32 zero = 0, now_s = args->now_s ? args->now_s : clock_boot_s();
	struct fl_timer *timer = bpf_map_lookup_elem(&fl_timers, &zero);

	if (timer)
		timer->swept = now_s;
	args->freed = nat_sweep_all(now_s);
	return 0;
}
