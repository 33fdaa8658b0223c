/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/text.h"
#include "observe/metrics.h"

/**
 * @file family.h
 * The two text formats of metrics: what a family's head and a sample look like.
 *
 * A family is named without the suffix of its samples: the counter
 * "fairlead_service_packets" has samples fairlead_service_packets_total. Plain
 * Prometheus text calls the family by the sample's name, OpenMetrics does not.
 */
enum fl_family_kind { FL_COUNTER, FL_GAUGE, FL_INFO, FL_HISTOGRAM };

struct fl_metric_family {
	const char *name;
	enum fl_family_kind kind;
	const char *unit; /**< last word of the name, or NULL */
	const char *help;
};

/** HELP, TYPE and UNIT: once for each family, before its samples. */
void fl_family_begin(
	struct fl_text *out, enum fl_metrics_format format, const struct fl_metric_family *family);

/** The sample's name with its suffix. Labels, a space, the number and a newline follow. */
void fl_family_name(struct fl_text *out, const struct fl_metric_family *family);

/** Append `key="value"` with the value escaped; `first` opens the brace. */
void fl_family_label(struct fl_text *out, bool first, const char *key, const char *value);

/** "} NUMBER\n" for a sample with labels, " NUMBER\n" for one without. */
void fl_family_value(struct fl_text *out, bool has_labels, uint64_t value);
void fl_family_double(struct fl_text *out, bool has_labels, double value);
