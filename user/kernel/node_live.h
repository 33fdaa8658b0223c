/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/node_maps.h"

/**
 * @file node_live.h
 * What the programs of the node path know of connections to an endpoint, for people.
 */

/** A copy of its row. @return false when there is no node path, or no such number */
bool fl_node_live_read(const struct fl_node_maps *maps, uint32_t endpoint, struct fl_live_row *ret);

/** @return 0; also when no connection was made yet, and all of it is 0; -errno */
int fl_node_histograms_read(
	const struct fl_node_maps *maps, uint32_t endpoint, struct fl_histograms *ret);

/** Whether connects pass it over, for a time or until one has tried it. */
bool fl_node_live_is_ejected(const struct fl_live_row *row);

/** Why, and for how long: "ejected on the node path for 8 s: 3 connects refused". Of one
 * that is ejected. @param now_ns  CLOCK_MONOTONIC @return buffer */
const char *fl_node_live_explain(
	const struct fl_live_row *row, uint64_t now_ns, char *buffer, size_t size);

/** The label in metrics: "refused". @return NULL for one that we do not know */
const char *fl_fault_name(unsigned fault);
/** What connects did that failed so: "timed out". */
const char *fl_fault_words(unsigned fault);
