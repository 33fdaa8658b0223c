// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * The target path: on a node where endpoints live, packets come out of the
 * tunnels that the edge path put them into, and go up the stack as if the client
 * had sent them here.
 */
#include "lib/decapsulate.h"
#include "lib/exit.h"
#include "lib/maps_target.h"
#include "lib/packet.h"
#include "lib/parse.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/** From the outer header to the reason. @param family  of the outer header, constant */
static __always_inline int tunnel_stages(struct tunnel *t, enum fl_family family, __u32 tags)
{
	int err;

	err = family == FL_IPV4 ? tunnel_parse_ipv4(t) : tunnel_parse_ipv6(t);
	if (err)
		return err;
	err = tunnel_check(t, family);
	if (err)
		return err;
	err = tunnel_congestion(t);
	if (err)
		return err;
	return tunnel_unwrap(t, tags);
}

static __always_inline int stages(struct xdp_md *ctx)
{
	struct pkt p = { .ctx = ctx, .end = (void *)(long)ctx->data_end };
	struct tunnel t = { .ctx = ctx, .end = (void *)(long)ctx->data_end };
	int err;

	err = parse_link(&p);
	if (err)
		return err;
	t.outer = p.ip;
	if (p.ethertype == bpf_htons(ETH_P_IP))
		return tunnel_stages(&t, FL_IPV4, p.tags);
	if (p.ethertype == bpf_htons(ETH_P_IPV6))
		return tunnel_stages(&t, FL_IPV6, p.tags);
	return -FL_PASS_NOT_IP;
}

/** Attached to the interfaces of `target:`. */
SEC("xdp")
int target(struct xdp_md *ctx)
{
	int reason = -stages(ctx);

	exit_count(FL_PATH_TARGET, reason);
	return exit_action(reason, XDP_PASS);
}
