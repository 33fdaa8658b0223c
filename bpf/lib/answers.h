/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/maps.h"

/**
 * @file answers.h
 * Whether endpoints answer what nat opens towards them: what the edge path sees of their
 * health. The agent draws the conclusions.
 */
enum answer {
	ANSWER_OPENING,
	ANSWER_ANSWERED,
	ANSWER_REFUSED,
	ANSWER_UDP_ANSWERED,
	ANSWER_UDP_REFUSED
};

/** Count one. A function of its own, since its stack would not fit under nat_connect's callers.
 * @return 0 */
__noinline int answers_count(__u32 endpoint, __u32 what)
{
	struct fl_answers none = { 0 };
	struct fl_answers *row = bpf_map_lookup_elem(&fl_answers, &endpoint);

	if (!row && what != ANSWER_UDP_ANSWERED) {
		bpf_map_update_elem(&fl_answers, &endpoint, &none, BPF_NOEXIST);
		row = bpf_map_lookup_elem(&fl_answers, &endpoint);
	}
	if (!row)
		return 0;
	if (what == ANSWER_OPENING)
		__sync_fetch_and_add(&row->openings, 1);
	else if (what == ANSWER_ANSWERED)
		__sync_fetch_and_add(&row->answered, 1);
	else if (what == ANSWER_REFUSED)
		__sync_fetch_and_add(&row->refused, 1);
	else if (what == ANSWER_UDP_REFUSED)
		__sync_fetch_and_add(&row->udp_refused, 1);
	else if (row->udp_refused)
		row->udp_refused = 0;
	return 0;
}
