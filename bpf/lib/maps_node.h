/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "fairlead/node.h"
#include "lib/maps_target.h"

/**
 * @file maps_node.h
 * Every map of FL_NODE_MAPS. All objects of the node path have all of them, so that
 * any of them can be asked what they look like.
 */

MAP_ARRAY(fl_node, struct fl_node_row, 1, BPF_F_MMAPABLE);
MAP_ARRAY(fl_node_services, struct fl_node_service_row, FL_SERVICES_DEFAULT, BPF_F_MMAPABLE);
MAP_ARRAY(fl_pools, union fl_pool_row, FL_ENDPOINTS_DEFAULT, BPF_F_MMAPABLE);
MAP_ARRAY(fl_live, struct fl_live_row, FL_ENDPOINTS_DEFAULT, BPF_F_MMAPABLE);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FL_ENDPOINTS_DEFAULT);
	__type(key, __u32);
	__type(value, struct fl_histograms);
} fl_histograms SEC(".maps");

/** Without room for a namespace its oldest choice is forgotten: it chooses anew. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FL_AFFINITY_MAX);
	__type(key, struct fl_affinity_key);
	__type(value, struct fl_affinity);
} fl_affinity SEC(".maps");

/* Storage of the sockets themselves: nothing of it can fill up, be evicted by others,
 * or outlive its socket. */

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct fl_sock);
} fl_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct fl_peers);
} fl_datagrams SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FL_STALE_MAX);
	__type(key, __u32);
	__type(value, struct fl_stale_row);
} fl_stale SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FL_EVENTS_BYTES);
} fl_events SEC(".maps");
