/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/maps_target.h"
#include "lib/packet.h"

/**
 * @file exit.h
 * The one way out: a reason becomes a counter and an XDP action.
 */

enum exit_class { EXIT_SENT, EXIT_PASS, EXIT_DROP };

/* One bit per reason and class: a test of a constant, where a switch would
 * become a table in memory. */
#define EXIT_BIT_PASS(symbol, class_, name, text)                                                  \
	| (EXIT_##class_ == EXIT_PASS ? 1ull << symbol : 0)
#define EXIT_BIT_SENT(symbol, class_, name, text)                                                  \
	| (EXIT_##class_ == EXIT_SENT ? 1ull << symbol : 0)
#define EXIT_PASS_BITS (0ull FL_REASONS(EXIT_BIT_PASS))
#define EXIT_SENT_BITS (0ull FL_REASONS(EXIT_BIT_SENT))

static __always_inline int exit_action(__u32 reason, int sent_action)
{
	if (EXIT_SENT_BITS >> reason & 1)
		return sent_action;
	return EXIT_PASS_BITS >> reason & 1 ? XDP_PASS : XDP_DROP;
}

/** Count a reason; a counter that is missing changes nothing else. */
static __always_inline void exit_count(enum fl_path path, __u32 reason)
{
	__u32 row = path * FL_REASONS_MAX + reason;
	__u64 *count = bpf_map_lookup_elem(&fl_reasons, &row);

	if (count)
		(*count)++;
}
