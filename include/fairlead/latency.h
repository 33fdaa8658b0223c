/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/node.h"

/**
 * @file latency.h
 * The arithmetic of times to connect and of round trips.
 */

/** The bucket of struct fl_histograms that counts it. */
static inline __u32 fl_latency_bucket(__u32 us)
{
	__u32 bucket = 0;

	while (bucket < FL_LATENCY_BUCKETS - 1 && us >= FL_LATENCY_BOUND_US(bucket))
		bucket++;
	return bucket;
}

/** Smoothed by 1/8, as TCP's round trip is (RFC 6298). @param old  0 = this is the first */
static inline __u32 fl_latency_smooth(__u32 old, __u32 us)
{
	if (!old)
		return us ? us : 1;
	/* What is cut off must not keep it from getting there. */
	if (us > old)
		return old + (us - old + 7) / 8;
	return old - (old - us + 7) / 8 ? old - (old - us + 7) / 8 : 1;
}
