/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdio.h>

#include "control/view.h"

/**
 * @file metrics.h
 * Prometheus text format 0.0.4 and OpenMetrics 1.0, written by hand.
 */
enum fl_metrics_format { FL_METRICS_PROMETHEUS, FL_METRICS_OPENMETRICS };

/** Write all families. @return 0, -errno of `out` */
int fl_metrics_write(const struct fl_view *view, enum fl_metrics_format format, FILE *out);
