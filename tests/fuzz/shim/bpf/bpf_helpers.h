/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <stddef.h>

/**
 * @file bpf_helpers.h
 * Stands in for libbpf's header of this name where programs are compiled for the
 * host, so that a fuzzer can drive them. native.c has the helpers.
 *
 * A map keeps its declaration. The first member of each, which in an object file
 * only says the map's type, holds the map that stands for it: native_map_init.
 */
#define SEC(name)
#define __uint(name, val)  int(*name)[val]
#define __type(name, val)  typeof(val) *name
#define __array(name, val) typeof(val) *name[]

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif

void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);
long bpf_map_delete_elem(void *map, const void *key);
long bpf_for_each_map_elem(void *map, void *callback, void *context, __u64 flags);
long bpf_loop(__u32 count, void *callback, void *context, __u64 flags);
__u64 bpf_ktime_get_boot_ns(void);
__u64 bpf_jiffies64(void);
long bpf_xdp_adjust_head(struct xdp_md *ctx, int delta);
long bpf_redirect_map(void *map, __u64 key, __u64 flags);
long bpf_fib_lookup(void *ctx, struct bpf_fib_lookup *params, int size, __u32 flags);
long bpf_timer_init(struct bpf_timer *timer, void *map, __u64 flags);
long bpf_timer_set_callback(struct bpf_timer *timer, void *callback);
long bpf_timer_start(struct bpf_timer *timer, __u64 delay_ns, __u64 flags);
