/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "observe/metrics.h"

/**
 * @file node.h
 * Metrics of the node path: what connections of this node have met, per endpoint, and
 * how long they took, per service. Counted by the programs since the endpoint has its
 * number.
 */

/** Nothing where there is no node path. Reads `applied` and `node_path` of the view only; a
 * system call for each endpoint that was connected to. */
void fl_metrics_write_node(
	const struct fl_view *view, enum fl_metrics_format format, struct fl_text *out);
