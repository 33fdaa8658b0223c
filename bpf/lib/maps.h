/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "lib/maps_target.h"

/**
 * @file maps.h
 * Every map of FL_MAPS, one definition for all programs; those that the target
 * path uses too are in maps_target.h, so that its object has no others.
 *
 * max_entries are those of the default limits; the agent sets them from its
 * configuration before load. Arrays are mmap-able where the agent writes rows
 * by plain stores; those are paid in full at load, so nothing large is an
 * array. What grows with traffic is not preallocated.
 */

/* What the agent decided. */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FL_FRONTENDS_MAX);
	__type(key, struct fl_frontend_key);
	__type(value, struct fl_frontend_row);
} fl_frontends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FL_FRONTENDS_MAX);
	__type(key, struct fl_ip);
	__type(value, struct fl_frontend_row);
} fl_vips SEC(".maps");

MAP_ARRAY(fl_services, struct fl_service_row, FL_SERVICES_DEFAULT, BPF_F_MMAPABLE);
MAP_ARRAY(fl_names, struct fl_name_row, FL_SERVICES_DEFAULT, BPF_F_MMAPABLE);
MAP_ARRAY(fl_slots, fl_slot, FL_SLOTS_DEFAULT, BPF_F_MMAPABLE);
MAP_ARRAY(fl_endpoints, struct fl_endpoint_row, FL_ENDPOINTS_DEFAULT, BPF_F_MMAPABLE);
MAP_ARRAY(fl_nexthops, struct fl_nexthop_row, FL_NEXTHOPS_MAX, BPF_F_MMAPABLE);
MAP_ARRAY(fl_meta, struct fl_meta_row, 1, BPF_F_MMAPABLE);

/** Interfaces that packets leave through by redirect: ifindex → ifindex. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, FL_INTERFACES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} fl_tx_ports SEC(".maps");

/* What the programs remember. */

/** One generation of nat flows; the agent makes others of the same shape,
 * of any size, and puts them into `nat`. Sizes, not types: Linux 6.1 takes a
 * table with BTF and one without for different shapes. */
struct nat_table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * FL_NAT_FIRST_SIZE);
	__uint(key_size, sizeof(struct fl_flow));
	__uint(value_size, sizeof(struct fl_nat_entry));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, FL_NAT_GENERATIONS);
	__type(key, __u32);
	__array(values, struct nat_table);
} fl_nat SEC(".maps");

MAP_ARRAY(fl_nat_used, struct fl_nat_used_row, FL_ENDPOINTS_DEFAULT, BPF_F_MMAPABLE);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FL_ENDPOINTS_DEFAULT);
	__type(key, __u32);
	__type(value, struct fl_answers);
} fl_answers SEC(".maps");

/** Not preallocated, since it is large and mostly empty; an insert that fails
 * for lack of memory counts as a loss, as the slot rules have it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FL_PINS_MAX);
	__type(key, struct fl_flow);
	__type(value, struct fl_pin);
} fl_pins SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FL_OPENING_MAX);
	__type(key, struct fl_flow);
	__type(value, struct fl_pin);
} fl_opening SEC(".maps");

MAP_ARRAY(fl_pressure, struct fl_pressure_row, 1, BPF_F_MMAPABLE);

struct fl_timer {
	struct bpf_timer timer;
	__u32 swept; /**< boot second of the last sweep of `nat`, whoever ran it */
	__u32 pad;
};
MAP_ARRAY(fl_timers, struct fl_timer, 1, 0);

/* What the programs count; `reasons` is in maps_target.h. */

MAP_PERCPU(fl_frontend_stats, struct fl_frontend_stats, FL_FRONTENDS_MAX);
MAP_PERCPU(fl_endpoint_stats, struct fl_endpoint_stats, FL_ENDPOINTS_DEFAULT);

/**
 * Put a row into a map. Use this where the error is looked at: before Linux 6.4
 * the operations of maps return an int, of which the helper's long shows the upper
 * half as zeroes, so that no -EEXIST and no `< 0` is ever seen.
 * @return 0, -errno
 */
static __always_inline int map_update(void *map, const void *key, const void *value, __u64 flags)
{
	return (int)bpf_map_update_elem(map, key, value, flags);
}
