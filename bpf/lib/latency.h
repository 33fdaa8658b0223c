/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/latency.h"
#include "lib/live.h"

/**
 * @file latency.h
 * How long connects and round trips take, in `live` and `histograms`.
 *
 * CPUs that smooth at the same moment may lose a value; buckets lose none.
 */

/* An endpoint has its histograms from its first connection on. */
static __noinline struct fl_histograms *latency_histograms(__u32 endpoint)
{
	struct fl_histograms *found = bpf_map_lookup_elem(&fl_histograms, &endpoint);

	if (!found) {
		struct fl_histograms none = { 0 };

		bpf_map_update_elem(&fl_histograms, &endpoint, &none, BPF_NOEXIST);
		found = bpf_map_lookup_elem(&fl_histograms, &endpoint);
	}
	return found;
}

static __always_inline void latency_add_connect(
	struct fl_live_row *row, struct fl_histograms *histograms, __u32 us)
{
	WRITE_ONCE(row->connect_us, fl_latency_smooth(READ_ONCE(row->connect_us), us));
	if (!histograms)
		return;
	__sync_fetch_and_add(&histograms->connect[fl_latency_bucket(us)], 1);
	__sync_fetch_and_add(&histograms->connect_us, us);
}

/** @param us  0 = TCP has not measured any */
static __always_inline void latency_add_rtt(
	struct fl_live_row *row, struct fl_histograms *histograms, __u32 us)
{
	if (!us)
		return;
	WRITE_ONCE(row->srtt_us, fl_latency_smooth(READ_ONCE(row->srtt_us), us));
	if (!histograms)
		return;
	__sync_fetch_and_add(&histograms->rtt[fl_latency_bucket(us)], 1);
	__sync_fetch_and_add(&histograms->rtt_us, us);
}
