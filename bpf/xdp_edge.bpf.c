// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/conf.h"
#include "lib/exit.h"
#include "lib/maps.h"
#include "lib/nat_table.h"
#include "lib/packet.h"
#include "lib/parse.h"
#include "lib/service.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/** Every packet, from the frame to the reason it leaves with. */
static __always_inline int stages(struct pkt *p)
{
	int err;

	err = parse_frame(p);
	if (err)
		return err;
	err = frontend_lookup(p);
	if (err)
		return err;
	err = check_lengths(p);
	if (err)
		return err;
	return -FL_DROP_NO_TABLE;
}

SEC("xdp")
int edge(struct xdp_md *ctx)
{
	struct pkt p = { .ctx = ctx, .end = (void *)(long)ctx->data_end, .action = XDP_TX };
	int err = stages(&p);

	exit_count(FL_PATH_EDGE, -err);
	return exit_action(-err, p.action);
}

SEC("xdp")
int explain(struct xdp_md *ctx)
{
	struct pkt p = { .ctx = ctx, .end = (void *)(long)ctx->data_end, .action = XDP_TX };

	return exit_action(-stages(&p), p.action);
}

static int sweep_tick(void *map, __u32 *key, struct fl_timer *timer)
{
	(void)map;
	(void)key;
	bpf_timer_start(&timer->timer, 5000000000ull, 0);
	return 0;
}

SEC("syscall")
int start_sweep(void *ctx)
{
	__u32 zero = 0;
	struct fl_timer *timer = bpf_map_lookup_elem(&fl_timers, &zero);

	(void)ctx;
	if (!timer)
		return -1;
	bpf_timer_init(&timer->timer, &fl_timers, 7 /* CLOCK_BOOTTIME */);
	bpf_timer_set_callback(&timer->timer, sweep_tick);
	return bpf_timer_start(&timer->timer, 5000000000ull, 0);
}

static long sweep_entry(void *table, struct fl_flow *key, struct fl_nat_entry *entry, void *ctx)
{
	(void)table;
	(void)key;
	(void)ctx;
	return entry->seen == 0xffffffff;
}

SEC("syscall")
int sweep(void *ctx)
{
	void *table = nat_generation(0);

	(void)ctx;
	return table ? bpf_for_each_map_elem(table, sweep_entry, 0, 0) : 0;
}
