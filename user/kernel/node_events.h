/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "core/failure.h"
#include "kernel/node_maps.h"

/**
 * @file node_events.h
 * What the programs of the node path report, as it happens: the ring buffer `events`, read
 * on the loop. What was reported while no agent ran is read first. A full buffer loses
 * reports, never counts: those are in `live`.
 */
struct fl_node_events;

/** One report; `event` is valid during the call. */
typedef void fl_node_event_fn(void *context, const struct fl_node_event *event);

/**
 * @param maps  open; needed during this call only
 * @return 0, -errno with words
 */
int fl_node_events_start(const struct fl_node_maps *maps, uv_loop_t *loop, fl_node_event_fn *each,
	void *context, struct fl_failure *failure, struct fl_node_events **ret);
/** Frees itself on the loop's next turn. NULL is welcome. */
void fl_node_events_stop(struct fl_node_events *events);
