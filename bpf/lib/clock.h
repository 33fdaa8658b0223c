/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/maps_target.h"
#include "lib/packet.h"

/**
 * @file clock.h
 * Seconds of CLOCK_BOOTTIME.
 *
 * Reading that clock costs as much as a look-up in a small hash map, and a packet
 * needs no more than its second. So each CPU reads it once in a jiffy, which is a plain
 * load to tell, and remembers the second: it is late by a jiffy at most.
 */
struct clock {
	__u64 jiffies; /**< when `second` was read */
	__u32 second;
	__u32 pad;
};

MAP_PERCPU(packet_clocks, struct clock, 1);

static __always_inline __u32 clock_boot_s(void)
{
	return bpf_ktime_get_boot_ns() / 1000000000ull;
}

/** For packets, whose program nothing else on its CPU comes between. Not inlined: its
 * stack is not its callers'. */
static __noinline __u32 clock_packet_s(void)
{
	__u32 zero = 0;
	struct clock *clock = bpf_map_lookup_elem(&packet_clocks, &zero);
	__u64 now = bpf_jiffies64();

	if (unlikely(!clock))
		return clock_boot_s();
	if (unlikely(clock->jiffies != now)) {
		clock->second = clock_boot_s();
		clock->jiffies = now;
	}
	return clock->second;
}
