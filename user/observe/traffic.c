/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/reader.h"
#include "model/reasons.h"
#include "observe/connections.h"
#include "observe/family.h"
#include "observe/flows.h"
#include "observe/metrics.h"
#include "observe/node.h"

/*
 * A family must stand in one piece, so each list is walked once per family. What
 * is dear is done once, before: counters are read, and labels are written into
 * one text from which each sample copies its own.
 */
struct series {
	size_t label, label_length; /* in `labels`, from '{', without '}' */
	bool has_counts;
	bool has_connections;
	union {
		struct fl_frontend_stats frontend;
		struct fl_endpoint_stats endpoint;
	};
	uint64_t connections;
	uint16_t weight;
	bool up;
};

struct writer {
	const struct fl_view *view;
	enum fl_metrics_format format;
	struct fl_text *out;
	struct fl_text labels;
	struct series *series;
	size_t count;
};

static bool has_map(const struct writer *w, enum fl_map map)
{
	return w->view->maps && w->view->maps->fd[map] >= 0;
}

static bool begin_series(struct writer *w, size_t count)
{
	w->series = calloc(count ? count : 1, sizeof(*w->series));
	w->count = 0;
	w->labels.length = 0;
	if (!w->series)
		w->out->failed = true;
	return w->series;
}

static void end_series(struct writer *w)
{
	free(w->series);
	w->series = NULL;
}

static struct series *add_series(
	struct writer *w, const char *service, const char *key, const char *value)
{
	struct series *series = &w->series[w->count++];

	series->label = w->labels.length;
	fl_family_label(&w->labels, true, "service", service);
	fl_family_label(&w->labels, false, key, value);
	series->label_length = w->labels.length - series->label;
	return series;
}

/* One sample; `direction` adds a label. */
static void put_sample(struct writer *w, const struct fl_metric_family *family,
	const struct series *series, const char *direction, uint64_t value)
{
	fl_family_name(w->out, family);
	fl_text_put(w->out, w->labels.data + series->label, series->label_length);
	if (direction)
		fl_family_label(w->out, false, "direction", direction);
	fl_family_value(w->out, true, value);
}

/* --------------------------------------------------------------- frontends */

static size_t count_frontends(const struct fl_snapshot *snapshot)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->service_count; i++)
		count += snapshot->services[i]->frontend_count;
	return count;
}

static void read_frontends(struct writer *w, const struct fl_service *service)
{
	char text[FL_SOCKET_TEXT];

	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];
		struct series *series = add_series(
			w, service->name, "frontend", fl_frontend_format(frontend, text));

		series->has_counts =
			fl_read_frontend(w->view->maps, frontend->id, &series->frontend) == 0;
	}
}

/* A family with one sample for each frontend and direction. @param reply  SIZE_MAX = no replies */
static void put_frontend_family(
	struct writer *w, const struct fl_metric_family *family, size_t request, size_t reply)
{
	fl_family_begin(w->out, w->format, family);
	for (size_t i = 0; i < w->count; i++) {
		const struct series *series = &w->series[i];
		const char *counts = (const char *)&series->frontend;
		bool both = reply != SIZE_MAX;

		if (!series->has_counts)
			continue;
		put_sample(w, family, series, both ? "request" : NULL,
			*(const uint64_t *)(counts + request));
		if (both)
			put_sample(w, family, series, "reply", *(const uint64_t *)(counts + reply));
	}
}

static void put_frontends(struct writer *w)
{
	static const struct fl_metric_family packets = { "fairlead_service_packets", FL_COUNTER,
		NULL, "Packets from clients to endpoints, and answers that nat sent back." };
	static const struct fl_metric_family bytes = { "fairlead_service_bytes", FL_COUNTER,
		"bytes", "Bytes of those packets: IP length as received." };
	static const struct fl_metric_family flows = { "fairlead_service_new_flows", FL_COUNTER,
		NULL, "Flows opened." };
	const struct fl_snapshot *snapshot = w->view->applied;

	if (!snapshot || !has_map(w, FL_MAP_frontend_stats) ||
		!begin_series(w, count_frontends(snapshot)))
		return;
	for (size_t i = 0; i < snapshot->service_count; i++)
		read_frontends(w, snapshot->services[i]);
	put_frontend_family(w, &packets, offsetof(struct fl_frontend_stats, packets),
		offsetof(struct fl_frontend_stats, reply_packets));
	put_frontend_family(w, &bytes, offsetof(struct fl_frontend_stats, bytes),
		offsetof(struct fl_frontend_stats, reply_bytes));
	put_frontend_family(w, &flows, offsetof(struct fl_frontend_stats, new_flows), SIZE_MAX);
	end_series(w);
}

/* --------------------------------------------------------------- endpoints */

static void read_endpoint(
	struct writer *w, const struct fl_service *service, const struct fl_endpoint *endpoint)
{
	char text[FL_SOCKET_TEXT];
	struct series *series;

	if (endpoint->port)
		fl_socket_format(&endpoint->addr, endpoint->port, text);
	else
		fl_ip_format(&endpoint->addr, text);
	series = add_series(w, service->name, "endpoint", text);
	series->up = endpoint->state == FL_UP;
	series->weight = endpoint->weight;
	series->has_counts = endpoint->id && has_map(w, FL_MAP_endpoint_stats) &&
			     fl_read_endpoint(w->view->maps, endpoint->id, &series->endpoint) == 0;
	series->has_connections =
		fl_connections_count(w->view, service, endpoint, &series->connections);
}

static void put_endpoint_counts(
	struct writer *w, const struct fl_metric_family *family, size_t offset)
{
	if (!has_map(w, FL_MAP_endpoint_stats))
		return;
	fl_family_begin(w->out, w->format, family);
	for (size_t i = 0; i < w->count; i++)
		if (w->series[i].has_counts)
			put_sample(w, family, &w->series[i], NULL,
				*(const uint64_t *)((const char *)&w->series[i].endpoint + offset));
}

static void put_endpoint_states(struct writer *w)
{
	static const struct fl_metric_family up = { "fairlead_endpoint_up", FL_GAUGE, NULL,
		"1 when the endpoint takes new flows as far as its state goes." };
	static const struct fl_metric_family weight = { "fairlead_endpoint_weight", FL_GAUGE, NULL,
		"Declared weight; 0 takes no new flows." };
	static const struct fl_metric_family connections = { "fairlead_endpoint_connections",
		FL_GAUGE, NULL,
		"Live flows of nat and connections of this node; other modes are not counted." };

	fl_family_begin(w->out, w->format, &up);
	for (size_t i = 0; i < w->count; i++)
		put_sample(w, &up, &w->series[i], NULL, w->series[i].up);
	fl_family_begin(w->out, w->format, &weight);
	for (size_t i = 0; i < w->count; i++)
		put_sample(w, &weight, &w->series[i], NULL, w->series[i].weight);
	if (!has_map(w, FL_MAP_nat_used))
		return;
	fl_family_begin(w->out, w->format, &connections);
	for (size_t i = 0; i < w->count; i++)
		if (w->series[i].has_connections)
			put_sample(w, &connections, &w->series[i], NULL, w->series[i].connections);
}

static void put_endpoints(struct writer *w)
{
	static const struct fl_metric_family packets = { "fairlead_endpoint_packets", FL_COUNTER,
		NULL, "Packets from clients to the endpoint." };
	static const struct fl_metric_family bytes = { "fairlead_endpoint_bytes", FL_COUNTER,
		"bytes", "Bytes of those packets: IP length as received." };
	static const struct fl_metric_family flows = { "fairlead_endpoint_new_flows", FL_COUNTER,
		NULL, "Flows opened to the endpoint." };
	const struct fl_snapshot *snapshot = w->view->applied;

	if (!snapshot || !begin_series(w, snapshot->endpoint_count))
		return;
	for (size_t i = 0; i < snapshot->service_count; i++)
		for (size_t j = 0; j < snapshot->services[i]->endpoint_count; j++)
			read_endpoint(
				w, snapshot->services[i], &snapshot->services[i]->endpoints[j]);
	put_endpoint_counts(w, &packets, offsetof(struct fl_endpoint_stats, packets));
	put_endpoint_counts(w, &bytes, offsetof(struct fl_endpoint_stats, bytes));
	put_endpoint_counts(w, &flows, offsetof(struct fl_endpoint_stats, new_flows));
	put_endpoint_states(w);
	end_series(w);
}

/* ------------------------------------------------------- reasons and tables */

static void put_reasons(struct writer *w)
{
	static const struct fl_metric_family family = { "fairlead_packets", FL_COUNTER, NULL,
		"Packets seen, by what became of them; each counts once." };
	uint64_t counts[FL_REASON_COUNT];

	if (!has_map(w, FL_MAP_reasons))
		return;
	fl_family_begin(w->out, w->format, &family);
	for (unsigned path = 0; path < FL_PATHS; path++) {
		if (fl_read_reasons(w->view->maps, path, counts) < 0)
			continue;
		for (unsigned i = 0; i < FL_REASON_COUNT; i++) {
			fl_family_name(w->out, &family);
			fl_family_label(w->out, true, "path", fl_path_name(path));
			fl_family_label(w->out, false, "reason", fl_reason_name(i));
			fl_family_value(w->out, true, counts[i]);
		}
	}
}

static void put_slots(struct writer *w)
{
	static const struct fl_metric_family family = { "fairlead_slots", FL_GAUGE, NULL,
		"Slots of the service's tables: settled, moving (a change is under way) or held." };
	const struct fl_snapshot *snapshot = w->view->applied;
	const struct fl_maps *maps = w->view->maps;

	if (!snapshot || !maps || !maps->services || !maps->slots)
		return;
	fl_family_begin(w->out, w->format, &family);
	for (size_t i = 0; i < snapshot->service_count; i++) {
		const struct fl_service *service = snapshot->services[i];
		struct fl_slot_counts counts = { 0 };

		if (!service->id || service->id > maps->limits.services)
			continue;
		for (int f = 0; f < FL_FAMILIES; f++)
			fl_read_slots(maps, maps->services[service->id].region[f], &counts);
		const struct {
			const char *state;
			uint64_t count;
		} states[] = { { "settled", counts.settled }, { "moving", counts.moving },
			{ "held", counts.held } };
		for (size_t j = 0; j < 3; j++) {
			fl_family_name(w->out, &family);
			fl_family_label(w->out, true, "service", service->name);
			fl_family_label(w->out, false, "state", states[j].state);
			fl_family_value(w->out, true, states[j].count);
		}
	}
}

static void put_single(struct writer *w, const struct fl_metric_family *family, uint64_t value)
{
	fl_family_begin(w->out, w->format, family);
	fl_family_name(w->out, family);
	fl_family_value(w->out, false, value);
}

static void put_table(struct writer *w, const struct fl_metric_family *family, const char *table,
	uint64_t entries)
{
	fl_family_name(w->out, family);
	fl_family_label(w->out, true, "table", table);
	fl_family_value(w->out, true, entries);
}

static void put_tables(struct writer *w)
{
	static const struct fl_metric_family entries = { "fairlead_flow_table_entries", FL_GAUGE,
		NULL, "Flows that a table remembers." };
	static const struct fl_metric_family all_pins = { "fairlead_pins", FL_GAUGE, NULL,
		"Flows whose slot moves and that are remembered for it." };
	uint64_t flows, pins, opening;

	if (!fl_flows_count(w->view->maps, &flows))
		return;
	fl_family_begin(w->out, w->format, &entries);
	put_table(w, &entries, "nat", flows);
	if (!has_map(w, FL_MAP_pins) || !has_map(w, FL_MAP_opening) ||
		fl_read_entries(w->view->maps, FL_MAP_pins, &pins) < 0 ||
		fl_read_entries(w->view->maps, FL_MAP_opening, &opening) < 0)
		return;
	put_table(w, &entries, "pins", pins);
	put_table(w, &entries, "opening", opening);
	put_single(w, &all_pins, pins + opening);
}

static void put_pressure(struct writer *w)
{
	static const struct fl_metric_family refused = { "fairlead_pins_refused", FL_COUNTER, NULL,
		"Pins that were not made, for lack of room or under pressure." };
	static const struct fl_metric_family postponed = { "fairlead_slots_postponed", FL_COUNTER,
		NULL, "Slots that are held later, since a pin in them was not made." };
	static const struct fl_metric_family high = { "fairlead_pin_pressure", FL_GAUGE, NULL,
		"1 while so many flows open in moving slots that none of them is remembered." };
	struct fl_pressure pressure;

	if (!fl_read_pressure(w->view->maps, &pressure))
		return;
	put_single(w, &refused, pressure.refused);
	put_single(w, &postponed, pressure.postponed);
	put_single(w, &high, pressure.is_high);
}

void fl_metrics_write_traffic(
	const struct fl_view *view, enum fl_metrics_format format, struct fl_text *out)
{
	struct writer w = { .view = view, .format = format, .out = out };

	put_reasons(&w);
	put_frontends(&w);
	put_endpoints(&w);
	put_slots(&w);
	put_tables(&w);
	put_pressure(&w);
	fl_metrics_write_node(view, format, out);
	if (format == FL_METRICS_OPENMETRICS)
		fl_text_puts(out, "# EOF\n");
	if (w.labels.failed)
		out->failed = true;
	fl_text_done(&w.labels);
}
