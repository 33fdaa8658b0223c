/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>

#include "fairlead/node.h"

/**
 * @file eject.h
 * The arithmetic of passive ejection, of both paths: nginx's words (max_fails,
 * fail_timeout) with the protections of Envoy's outlier detection (an ejection lasts its base
 * time times the number of ejections in a row, a share of the endpoints stays in any case).
 */

/** No ejection lasts longer, unless fail_timeout does: Envoy's max_ejection_time. */
#define FL_EJECT_MAX_S 300

/** How long an ejection lasts. @param ejections  in a row, this one included */
static inline __u32 fl_eject_s(__u32 base_s, __u32 ejections)
{
	__u32 most = base_s > FL_EJECT_MAX_S ? base_s : FL_EJECT_MAX_S;

	if (ejections > most)
		return most;
	return base_s * ejections < most ? base_s * ejections : most;
}

/** How many of the ejections in a row still count, after the endpoint has worked for so
 * long: one is forgotten with each base time. */
static inline __u32 fl_eject_remembered(__u32 ejections, __u32 base_s, __u64 worked_s)
{
	__u64 forgotten = worked_s / (base_s ? base_s : 1);

	return forgotten < ejections ? ejections - (__u32)forgotten : 0;
}

/**
 * Whether one more of so many fits into the share that may be ejected. The share is rounded
 * down (50 percent of 3 are 1), but one may go in any case: Envoy's max_ejection_percent with
 * always_eject_one_host.
 * @param others  of them are ejected
 */
static inline bool fl_eject_fits(__u32 max_percent, __u32 members, __u32 others)
{
	return others == 0 || (others + 1) * 100 <= max_percent * members;
}

/**
 * Whether one more of a pool's members may be ejected.
 * @param others  of them are ejected
 */
static inline bool fl_eject_is_allowed(const struct fl_pool_head *head, __u32 members, __u32 others)
{
	__u32 out = others + 1;

	if (head->panic && (members < out || (members - out) * 100 < head->panic * members))
		return false;
	return fl_eject_fits(head->max_ejected, members, others);
}
