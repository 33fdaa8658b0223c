/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "control/view.h"
#include "core/text.h"

/**
 * @file metrics.h
 * Prometheus text format 0.0.4 and OpenMetrics 1.0, written by hand.
 *
 * In two parts, since the second may be megabytes: the agent's own families are
 * written on the loop, and those of services, endpoints and packets may be
 * written on a worker thread. Together, in this order, they are one answer.
 */
enum fl_metrics_format { FL_METRICS_PROMETHEUS, FL_METRICS_OPENMETRICS };

/** The value of Content-Type. */
const char *fl_metrics_type(enum fl_metrics_format format);

/** Build, process, registries, applies, interfaces. Reads the whole view. */
void fl_metrics_write_agent(
	const struct fl_view *view, enum fl_metrics_format format, struct fl_text *out);

/** Services, endpoints, reasons, tables, and the end. Reads `applied` (NULL is
 * welcome), `maps` and `node_path` of the view only. Costs a walk over the slots in use and
 * the pins, and some system calls for each endpoint. */
void fl_metrics_write_traffic(
	const struct fl_view *view, enum fl_metrics_format format, struct fl_text *out);
