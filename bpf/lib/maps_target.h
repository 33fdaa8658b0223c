/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "fairlead/abi.h"
#include "fairlead/reasons.h"

/**
 * @file maps_target.h
 * Maps of the target path, and the shapes that maps have in common.
 */

#define MAP_ARRAY(name, value_type, entries, flags)                                                \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, flags);                                                          \
		__uint(max_entries, entries);                                                      \
		__type(key, __u32);                                                                \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

#define MAP_PERCPU(name, value_type, entries)                                                      \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                           \
		__uint(max_entries, entries);                                                      \
		__type(key, __u32);                                                                \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

/** Who may send tunnelled packets. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FL_BALANCERS_MAX);
	__type(key, struct fl_prefix_key);
	__type(value, __u32);
} fl_balancers SEC(".maps");

/** The addresses of this node. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FL_ADDRESSES_MAX);
	__type(key, struct fl_ip);
	__type(value, __u32);
} fl_addresses SEC(".maps");

MAP_PERCPU(fl_reasons, __u64, FL_PATHS *FL_REASONS_MAX);
