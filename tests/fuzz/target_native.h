/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>

/**
 * @file target_native.h
 * bpf/xdp_target.bpf.c, compiled for the host. The node has the addresses
 * 10.2.0.1 and fd00:2::1 (WORLD_NET_NODE, 1); services live on every address
 * that WORLD_NET_FRONTEND has below 9; balancers are 10.2.0.0/28 and the IPv6
 * address of WORLD_NET_NODE, 2.
 */
int target(struct xdp_md *ctx);
void target_native_open(void);
void target_native_fill(void);
const __u64 *target_native_reasons(void);
