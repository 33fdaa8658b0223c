/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/node.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel/node_live.h"
#include "observe/family.h"

/* One endpoint; its labels stand in one text, from which each sample copies its own. */
struct series {
	size_t label, label_length; /* without '}' */
	struct fl_live_row live;
};

struct writer {
	const struct fl_snapshot *snapshot;
	const struct fl_node_maps *maps;
	enum fl_metrics_format format;
	struct fl_text *out;
	struct fl_text labels;
	struct series *series;
	size_t count;
};

static void add_series(
	struct writer *w, const struct fl_service *service, const struct fl_endpoint *endpoint)
{
	struct series *series = &w->series[w->count];
	char text[FL_SOCKET_TEXT];

	if (!fl_node_live_read(w->maps, endpoint->id, &series->live))
		return;
	if (endpoint->port)
		fl_socket_format(&endpoint->addr, endpoint->port, text);
	else
		fl_ip_format(&endpoint->addr, text);
	series->label = w->labels.length;
	fl_family_label(&w->labels, true, "service", service->name);
	fl_family_label(&w->labels, false, "endpoint", text);
	series->label_length = w->labels.length - series->label;
	w->count++;
}

static bool read_all(struct writer *w)
{
	size_t most = w->snapshot->endpoint_count;

	w->series = calloc(most ? most : 1, sizeof(*w->series));
	if (!w->series) {
		w->out->failed = true;
		return false;
	}
	for (size_t i = 0; i < w->snapshot->service_count; i++) {
		const struct fl_service *service = w->snapshot->services[i];

		for (size_t j = 0; j < service->endpoint_count; j++)
			add_series(w, service, &service->endpoints[j]);
	}
	return true;
}

/* ------------------------------------------------------------------ of endpoints */

static void begin_sample(
	struct writer *w, const struct fl_metric_family *family, const struct series *series)
{
	fl_family_name(w->out, family);
	fl_text_put(w->out, w->labels.data + series->label, series->label_length);
}

static void put_counts(struct writer *w, const struct fl_metric_family *family, size_t offset)
{
	fl_family_begin(w->out, w->format, family);
	for (size_t i = 0; i < w->count; i++) {
		begin_sample(w, family, &w->series[i]);
		fl_family_value(w->out, true,
			*(const uint64_t *)((const char *)&w->series[i].live + offset));
	}
}

static void put_all_counts(struct writer *w)
{
	static const struct {
		struct fl_metric_family family;
		size_t offset;
	} counts[] = {
		{ { "fairlead_node_connects", FL_COUNTER, NULL,
			  "Connects of this node's streams to the endpoint." },
			offsetof(struct fl_live_row, connects) },
		{ { "fairlead_node_established", FL_COUNTER, NULL,
			  "Connects of this node that succeeded." },
			offsetof(struct fl_live_row, established) },
		{ { "fairlead_node_resets", FL_COUNTER, NULL,
			  "Established connections that the endpoint reset." },
			offsetof(struct fl_live_row, resets) },
		{ { "fairlead_node_retransmits", FL_COUNTER, NULL,
			  "Segments sent again to the endpoint, SYNs included." },
			offsetof(struct fl_live_row, retransmits) },
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		put_counts(w, &counts[i].family, counts[i].offset);
}

static void put_faults(struct writer *w)
{
	static const struct fl_metric_family family = { "fairlead_node_faults", FL_COUNTER, NULL,
		"Connects of this node that failed; given_up: by the caller, no fault of the "
		"endpoint." };

	fl_family_begin(w->out, w->format, &family);
	for (size_t i = 0; i < w->count; i++)
		for (unsigned fault = 0; fault < FL_FAULTS; fault++) {
			begin_sample(w, &family, &w->series[i]);
			fl_family_label(w->out, false, "fault", fl_fault_name(fault));
			fl_family_value(w->out, true, w->series[i].live.faults[fault]);
		}
}

static void put_ejections(struct writer *w)
{
	static const struct fl_metric_family ejected = { "fairlead_node_ejected", FL_GAUGE, NULL,
		"1 while connects of this node pass the endpoint over, since others failed." };
	static const struct fl_metric_family times = { "fairlead_node_ejections", FL_COUNTER, NULL,
		"How often that began, or began anew." };

	fl_family_begin(w->out, w->format, &ejected);
	for (size_t i = 0; i < w->count; i++) {
		begin_sample(w, &ejected, &w->series[i]);
		fl_family_value(w->out, true, fl_node_live_is_ejected(&w->series[i].live));
	}
	fl_family_begin(w->out, w->format, &times);
	for (size_t i = 0; i < w->count; i++) {
		begin_sample(w, &times, &w->series[i]);
		fl_family_value(w->out, true, w->series[i].live.ejected_times);
	}
}

/* One that is not known has no sample. */
static void put_smoothed(struct writer *w, const struct fl_metric_family *family, size_t offset)
{
	fl_family_begin(w->out, w->format, family);
	for (size_t i = 0; i < w->count; i++) {
		uint32_t us = *(const uint32_t *)((const char *)&w->series[i].live + offset);

		if (!us)
			continue;
		begin_sample(w, family, &w->series[i]);
		fl_family_double(w->out, true, us / 1e6);
	}
}

static void put_times(struct writer *w)
{
	static const struct fl_metric_family connect = { "fairlead_node_smoothed_connect_seconds",
		FL_GAUGE, "seconds", "Time to connect to the endpoint, smoothed." };
	static const struct fl_metric_family rtt = { "fairlead_node_smoothed_rtt_seconds", FL_GAUGE,
		"seconds", "Round trip to the endpoint as TCP measured it, smoothed." };

	put_smoothed(w, &connect, offsetof(struct fl_live_row, connect_us));
	put_smoothed(w, &rtt, offsetof(struct fl_live_row, srtt_us));
}

/* ------------------------------------------------------------------- of services */

/* Of all endpoints together; wider than one endpoint's. */
struct sums {
	uint64_t connect[FL_LATENCY_BUCKETS], rtt[FL_LATENCY_BUCKETS];
	uint64_t connect_us, rtt_us;
	bool any;
};

static void add_histograms(struct sums *sums, const struct fl_histograms *histograms)
{
	for (int i = 0; i < FL_LATENCY_BUCKETS; i++) {
		sums->connect[i] += histograms->connect[i];
		sums->rtt[i] += histograms->rtt[i];
	}
	sums->connect_us += histograms->connect_us;
	sums->rtt_us += histograms->rtt_us;
	sums->any = true;
}

static void sum_up(const struct writer *w, const struct fl_service *service, struct sums *ret)
{
	*ret = (struct sums){ 0 };
	for (size_t i = 0; i < service->endpoint_count; i++) {
		uint32_t endpoint = service->endpoints[i].id;
		struct fl_histograms histograms;
		struct fl_live_row live;

		if (fl_node_live_read(w->maps, endpoint, &live) && live.established &&
			fl_node_histograms_read(w->maps, endpoint, &histograms) == 0)
			add_histograms(ret, &histograms);
	}
}

static void begin_part(struct writer *w, const struct fl_metric_family *family, const char *suffix,
	const char *service)
{
	fl_text_puts(w->out, family->name);
	fl_text_puts(w->out, suffix);
	fl_family_label(w->out, true, "service", service);
}

static void put_histogram(struct writer *w, const struct fl_metric_family *family,
	const char *service, const uint64_t buckets[FL_LATENCY_BUCKETS], uint64_t sum_us)
{
	uint64_t count = 0;
	char bound[32];

	for (int i = 0; i < FL_LATENCY_BUCKETS; i++) {
		count += buckets[i];
		snprintf(bound, sizeof(bound), "%.9g", FL_LATENCY_BOUND_US(i) / 1e6);
		begin_part(w, family, "_bucket", service);
		fl_family_label(w->out, false, "le", i + 1 < FL_LATENCY_BUCKETS ? bound : "+Inf");
		fl_family_value(w->out, true, count);
	}
	begin_part(w, family, "_sum", service);
	fl_family_double(w->out, true, (double)sum_us / 1e6);
	begin_part(w, family, "_count", service);
	fl_family_value(w->out, true, count);
}

/* Both families over the same services: those that have been connected to. */
static void put_histograms(struct writer *w)
{
	static const struct fl_metric_family connect = { "fairlead_node_connect_seconds",
		FL_HISTOGRAM, "seconds", "Time that connects of this node took." };
	static const struct fl_metric_family rtt = { "fairlead_node_rtt_seconds", FL_HISTOGRAM,
		"seconds", "Round trip of connections, when they were established and closed." };
	struct fl_text rtts = { 0 }, *out = w->out;
	struct sums sums;

	fl_family_begin(out, w->format, &connect);
	fl_family_begin(&rtts, w->format, &rtt);
	for (size_t i = 0; i < w->snapshot->service_count; i++) {
		const struct fl_service *service = w->snapshot->services[i];

		sum_up(w, service, &sums);
		if (!sums.any)
			continue;
		put_histogram(w, &connect, service->name, sums.connect, sums.connect_us);
		w->out = &rtts;
		put_histogram(w, &rtt, service->name, sums.rtt, sums.rtt_us);
		w->out = out;
	}
	if (rtts.failed)
		out->failed = true;
	else
		fl_text_put(out, rtts.data, rtts.length);
	fl_text_done(&rtts);
}

void fl_metrics_write_node(
	const struct fl_view *view, enum fl_metrics_format format, struct fl_text *out)
{
	struct writer w = { .snapshot = view->applied, .format = format, .out = out };

	if (!view->applied || !view->node_path || !view->node_path->maps.live)
		return;
	w.maps = &view->node_path->maps;
	if (read_all(&w)) {
		put_all_counts(&w);
		put_faults(&w);
		put_ejections(&w);
		put_times(&w);
		put_histograms(&w);
	}
	if (w.labels.failed)
		out->failed = true;
	fl_text_done(&w.labels);
	free(w.series);
}
