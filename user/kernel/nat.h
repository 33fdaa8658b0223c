/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"
#include "kernel/maps.h"

/**
 * @file nat.h
 * Room for nat flows: a table that begins small and grows with use.
 *
 * `nat` holds up to FL_NAT_GENERATIONS hash maps; [0] takes new flows, and all
 * are searched. When it fills, one of four times the size is put before it, up
 * to what `limits.flows` asks for (each flow has two entries); an old one that
 * has emptied goes. Each is pinned beside the others, since the kernel lets only
 * CAP_SYS_ADMIN come from the number in `nat` to the map itself.
 */

/** Put the tables that an earlier agent left where they belong, or make the first.
 * @param maps  open for writing @return 0, -errno */
int fl_nat_open(struct fl_maps *maps, struct fl_failure *failure);

/**
 * Look once: grow, or drop what has emptied. Cheap while idle: reads `nat_used`.
 * @param now_s  CLOCK_BOOTTIME seconds
 * @return milliseconds until the next look is due, shorter while the table fills;
 *         -ENOMEM and others when it should grow and cannot (it is tried again a
 *         minute later)
 */
int fl_nat_tick(struct fl_maps *maps, uint32_t now_s, struct fl_failure *failure);

/** Live nat flows towards an endpoint, of both protocols. */
static inline uint64_t fl_nat_flows(const struct fl_maps *maps, uint32_t endpoint)
{
	int32_t tcp = (int32_t)maps->nat_used[endpoint].tcp;
	int32_t udp = (int32_t)maps->nat_used[endpoint].udp;

	return (uint64_t)(tcp > 0 ? tcp : 0) + (uint64_t)(udp > 0 ? udp : 0);
}
