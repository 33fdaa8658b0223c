// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/* The target program from its own source; see edge_native.c. */
#include "../../bpf/xdp_target.bpf.c"

#include "native.h"
#include "target_native.h"
#include "world.h"

void target_native_open(void)
{
	native_map_init(&fl_addresses, NATIVE_HASH, sizeof(struct fl_ip), sizeof(__u32), 64);
	native_map_init(&fl_balancers, NATIVE_TRIE, sizeof(struct fl_prefix_key), sizeof(__u32), 8);
	native_map_init(
		&fl_reasons, NATIVE_ARRAY, sizeof(__u32), sizeof(__u64), FL_PATHS * FL_REASONS_MAX);
}

static void fill_address(enum fl_family family, uint8_t net, uint8_t number, __u32 bits)
{
	struct fl_ip ip = world_ip(family, net, number);

	bpf_map_update_elem(&fl_addresses, &ip, &bits, BPF_ANY);
}

static void fill_balancer(enum fl_family family, uint8_t number, __u32 bits)
{
	struct fl_prefix_key key = { bits, world_ip(family, WORLD_NET_NODE, number) };
	__u32 value = 0;

	bpf_map_update_elem(&fl_balancers, &key, &value, BPF_ANY);
}

void target_native_fill(void)
{
	int family, i;

	for (family = 0; family < FL_FAMILIES; family++) {
		fill_address(family, WORLD_NET_NODE, 1, FL_ADDRESS_LOCAL);
		for (i = 1; i <= WORLD_ADDRESSES; i++)
			fill_address(family, WORLD_NET_FRONTEND, i,
				FL_ADDRESS_LOCAL | FL_ADDRESS_SERVICE);
	}
	fill_balancer(FL_IPV4, 0, 96 + 28);
	fill_balancer(FL_IPV6, 2, 128);
}

const __u64 *target_native_reasons(void)
{
	__u32 row = FL_PATH_TARGET * FL_REASONS_MAX;

	return bpf_map_lookup_elem(&fl_reasons, &row);
}
