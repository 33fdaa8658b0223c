/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/metrics.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "observe/family.h"
#include "observe/process.h"

/* The families of the agent itself. Those of its traffic are in traffic.c. */

const char *fl_metrics_type(enum fl_metrics_format format)
{
	return format == FL_METRICS_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}

struct writer {
	const struct fl_view *view;
	enum fl_metrics_format format;
	struct fl_text *out;
};

static void begin(struct writer *w, const struct fl_metric_family *family)
{
	fl_family_begin(w->out, w->format, family);
}

/* ------------------------------------------------------ families of one sample */

static void put_single(struct writer *w, const struct fl_metric_family *family, double value)
{
	begin(w, family);
	fl_family_name(w->out, family);
	fl_family_double(w->out, false, value);
}

static void put_build(struct writer *w)
{
	static const struct fl_metric_family build = { "fairlead_build", FL_INFO, NULL,
		"Version and node of this agent; always 1." };

	begin(w, &build);
	fl_family_name(w->out, &build);
	fl_family_label(w->out, true, "version", FL_VERSION);
	fl_family_label(w->out, false, "node", w->view->config->node_name);
	fl_family_value(w->out, true, 1);
}

static void put_snapshot(struct writer *w)
{
	static const struct fl_metric_family ready = { "fairlead_ready", FL_GAUGE, NULL,
		"1 when /readyz answers 200." };
	static const struct fl_metric_family generation = { "fairlead_generation", FL_GAUGE, NULL,
		"Generation of the snapshot applied last." };
	static const struct fl_metric_family services = { "fairlead_services", FL_GAUGE, NULL,
		"Services in the snapshot applied last." };
	static const struct fl_metric_family endpoints = { "fairlead_endpoints", FL_GAUGE, NULL,
		"Endpoints in the snapshot applied last." };
	static const struct fl_metric_family age = { "fairlead_applied_age_seconds", FL_GAUGE,
		"seconds", "Time since the services in force last changed in the kernel." };
	const struct fl_snapshot *applied = w->view->applied;
	uint64_t now_ms = fl_clock_real_ms();

	if (applied)
		put_single(w, &age,
			now_ms > w->view->applied_ms ? (double)(now_ms - w->view->applied_ms) / 1000
						     : 0);
	put_single(w, &ready, !w->view->not_ready);
	put_single(w, &generation, applied ? (double)applied->generation : 0);
	put_single(w, &services, applied ? (double)applied->service_count : 0);
	put_single(w, &endpoints, applied ? (double)applied->endpoint_count : 0);
}

/* ----------------------------------------------------------------- registries */

static double registry_up(const struct fl_registry *registry)
{
	return registry->up;
}

static double registry_age_s(const struct fl_registry *registry)
{
	uint64_t now_ms = fl_clock_real_ms();

	return now_ms > registry->published_ms ? (double)(now_ms - registry->published_ms) / 1000
					       : 0;
}

static double registry_updates(const struct fl_registry *registry)
{
	return (double)registry->updates;
}

static double registry_held(const struct fl_registry *registry)
{
	return registry->held ? (double)registry->held->gone : 0;
}

static void put_registries(struct writer *w)
{
	static const struct {
		struct fl_metric_family family;
		double (*value)(const struct fl_registry *);
		bool needs_publish;
	} rows[] = {
		{ { "fairlead_registry_up", FL_GAUGE, NULL,
			  "1 when the registry could be read last time." },
			registry_up, false },
		{ { "fairlead_registry_snapshot_age_seconds", FL_GAUGE, "seconds",
			  "Age of the registry's last good snapshot." },
			registry_age_s, true },
		{ { "fairlead_registry_updates", FL_COUNTER, NULL,
			  "Publishes that changed something." },
			registry_updates, false },
		{ { "fairlead_registry_held", FL_GAUGE, NULL,
			  "Endpoints that an answer would remove which is held back; 0 = none "
			  "is." },
			registry_held, false },
	};
	const struct fl_registry_set *set = w->view->registries;

	for (size_t i = 0; set && set->count && i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(w, &rows[i].family);
		for (size_t j = 0; j < set->count; j++) {
			const struct fl_registry *registry = set->registries[j];

			if (rows[i].needs_publish && !registry->published_ms)
				continue;
			fl_family_name(w->out, &rows[i].family);
			fl_family_label(w->out, true, "registry", registry->config->name);
			fl_family_double(w->out, true, rows[i].value(registry));
		}
	}
}

/* -------------------------------------------------------------------- applies */

static void put_bucket(struct writer *w, const char *family, const char *le, uint64_t count)
{
	fl_text_printf(w->out, "%s_bucket", family);
	fl_family_label(w->out, true, "le", le);
	fl_family_value(w->out, true, count);
}

static void put_applies(struct writer *w)
{
	static const struct fl_metric_family seconds = { "fairlead_apply_seconds", FL_HISTOGRAM,
		"seconds", "Time to write a snapshot into the kernel." };
	static const struct fl_metric_family failures = { "fairlead_apply_failures", FL_COUNTER,
		NULL, "Snapshots that could not be applied in full." };
	static const double bounds[] = FL_APPLY_BUCKETS;
	const struct fl_apply_stats *apply = w->view->apply;
	uint64_t sum = 0;
	char le[32];

	if (!apply)
		return;
	begin(w, &seconds);
	for (int i = 0; i < FL_APPLY_BUCKET_COUNT; i++) {
		sum += apply->buckets[i];
		snprintf(
			le, sizeof(le), "%g%s", bounds[i], bounds[i] == (int)bounds[i] ? ".0" : "");
		put_bucket(w, seconds.name, le, sum);
	}
	put_bucket(w, seconds.name, "+Inf", sum + apply->buckets[FL_APPLY_BUCKET_COUNT]);
	fl_text_printf(w->out, "%s_sum", seconds.name);
	fl_family_double(w->out, false, apply->sum_s);
	fl_text_printf(w->out, "%s_count", seconds.name);
	fl_family_value(w->out, false, apply->count);
	put_single(w, &failures, (double)apply->failures);
}

static void put_writes(struct writer *w)
{
	static const struct fl_metric_family writes = { "fairlead_map_writes", FL_COUNTER, NULL,
		"Rows written into the kernel's maps." };
	static const struct fl_metric_family moved = { "fairlead_slots_moved", FL_COUNTER, NULL,
		"Slots whose endpoint changed in tables that stayed in place." };
	const struct fl_writes *done = w->view->writes;

	if (!done)
		return;
	const struct {
		const char *map;
		uint64_t count;
	} rows[] = {
		{ "slots", done->slots },
		{ "services", done->services },
		{ "names", done->names },
		{ "endpoints", done->endpoints },
		{ "frontends", done->frontends },
	};
	begin(w, &writes);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fl_family_name(w->out, &writes);
		fl_family_label(w->out, true, "map", rows[i].map);
		fl_family_value(w->out, true, rows[i].count);
	}
	put_single(w, &moved, (double)done->slots_moved);
}

/* ------------------------------------------------------------------------ DNS */

static void put_transport(struct writer *w, const struct fl_metric_family *family, int transport)
{
	fl_family_name(w->out, family);
	fl_family_label(w->out, true, "transport", transport == FL_DNS_UDP ? "udp" : "tcp");
}

static void put_dns_queries(struct writer *w, const struct fl_dns_counts *counts)
{
	static const struct fl_metric_family queries = { "fairlead_dns_queries", FL_COUNTER, NULL,
		"Questions for names that were answered, by the code they got." };
	static const struct fl_metric_family truncated = { "fairlead_dns_truncated", FL_COUNTER,
		NULL, "Answers in which records are missing, since they did not fit." };
#define LABEL(value, name, label) { value, label },
	static const struct {
		int code;
		const char *label;
	} codes[] = { FL_DNS_RCODES(LABEL) };
#undef LABEL

	begin(w, &queries);
	for (int transport = 0; transport < FL_DNS_TRANSPORTS; transport++)
		for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
			put_transport(w, &queries, transport);
			fl_family_label(w->out, false, "rcode", codes[i].label);
			fl_family_value(w->out, true, counts->queries[transport][codes[i].code]);
		}
	begin(w, &truncated);
	for (int transport = 0; transport < FL_DNS_TRANSPORTS; transport++) {
		put_transport(w, &truncated, transport);
		fl_family_value(w->out, true, counts->truncated[transport]);
	}
}

static void put_reason(
	struct writer *w, const struct fl_metric_family *family, const char *reason, uint64_t count)
{
	fl_family_name(w->out, family);
	fl_family_label(w->out, true, "reason", reason);
	fl_family_value(w->out, true, count);
}

static void put_dns(struct writer *w)
{
	static const struct fl_metric_family dropped = { "fairlead_dns_dropped", FL_COUNTER, NULL,
		"Datagrams that were no query, and answers that the socket did not take." };
	static const struct fl_metric_family connections = { "fairlead_dns_connections", FL_GAUGE,
		NULL, "TCP connections of clients." };
	static const struct fl_metric_family closed = { "fairlead_dns_connections_closed",
		FL_COUNTER, NULL, "TCP connections that were closed on clients." };
	const struct fl_dns_counts *counts;
	struct fl_dns_stream_counts streams;

	if (!w->view->dns)
		return;
	counts = fl_dns_server_counts(w->view->dns);
	streams = fl_dns_server_stream_counts(w->view->dns);
	put_dns_queries(w, counts);
	begin(w, &dropped);
	put_reason(w, &dropped, "no_query", counts->dropped[FL_DNS_DROP_NO_QUERY]);
	put_reason(w, &dropped, "not_sent", counts->dropped[FL_DNS_DROP_SEND]);
	put_single(w, &connections, streams.connections);
	begin(w, &closed);
	put_reason(w, &closed, "idle", streams.expired);
	put_reason(w, &closed, "invalid", streams.invalid);
	put_reason(w, &closed, "room", streams.evicted);
}

/* --------------------------------------------------------------------- checks */

static void put_probes(struct writer *w, const struct fl_checker_stats *stats)
{
	static const struct fl_metric_family probes = { "fairlead_check_probes", FL_COUNTER, NULL,
		"Probes that are over, by what came of them." };
	const struct {
		const char *result;
		uint64_t count;
	} rows[] = {
		{ "passed", stats->passed },
		{ "failed", stats->failed },
		{ "unable", stats->unable },
	};

	begin(w, &probes);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fl_family_name(w->out, &probes);
		fl_family_label(w->out, true, "result", rows[i].result);
		fl_family_value(w->out, true, rows[i].count);
	}
}

static void put_checks(struct writer *w)
{
	static const struct fl_metric_family checks = { "fairlead_check_endpoints", FL_GAUGE, NULL,
		"Endpoints that are probed." };
	static const struct fl_metric_family running = { "fairlead_check_running", FL_GAUGE, NULL,
		"Probes that wait for an answer." };
	static const struct fl_metric_family late = { "fairlead_check_late", FL_COUNTER, NULL,
		"Probes that had to wait for others to end." };
	static const struct fl_metric_family turns = { "fairlead_check_turns", FL_COUNTER, NULL,
		"Times that an endpoint was found to be up or down, and was not before." };
	static const struct fl_metric_family seconds = { "fairlead_check_probe_seconds", FL_COUNTER,
		"seconds", "Time that probes took." };
	const struct fl_checker_stats *stats;

	if (!w->view->checker)
		return;
	stats = fl_checker_stats(w->view->checker);
	put_single(w, &checks, stats->checks);
	put_single(w, &running, stats->running);
	put_probes(w, stats);
	put_single(w, &late, (double)stats->late);
	put_single(w, &turns, (double)stats->turns);
	put_single(w, &seconds, stats->seconds);
}

/* ----------------------------------------------------------------- interfaces */

static void put_interfaces(struct writer *w)
{
	static const struct fl_metric_family attached = { "fairlead_interface_attached", FL_GAUGE,
		NULL, "1 when the path's program runs on the interface." };
	size_t count = 0;
	const struct fl_interface *list =
		w->view->links ? fl_links_list(w->view->links, &count) : NULL;

	if (!count)
		return;
	begin(w, &attached);
	for (size_t i = 0; i < count; i++) {
		fl_family_name(w->out, &attached);
		fl_family_label(w->out, true, "interface", list[i].name);
		fl_family_label(
			w->out, false, "path", list[i].path == FL_PATH_TARGET ? "target" : "edge");
		fl_family_value(w->out, true, list[i].mode != FL_XDP_NONE);
	}
}

/* -------------------------------------------------------------------- process */

static void put_process(struct writer *w)
{
	static const struct fl_metric_family families[] = {
		{ "process_cpu_seconds", FL_COUNTER, "seconds", "User and system CPU time spent." },
		{ "process_resident_memory_bytes", FL_GAUGE, "bytes", "Resident memory size." },
		{ "process_virtual_memory_bytes", FL_GAUGE, "bytes", "Virtual memory size." },
		{ "process_open_fds", FL_GAUGE, NULL, "Open file descriptors." },
		{ "process_max_fds", FL_GAUGE, NULL, "Limit of open file descriptors." },
		{ "process_start_time_seconds", FL_GAUGE, "seconds",
			"Start time since the epoch." },
		{ "process_threads", FL_GAUGE, NULL, "Threads." },
	};
	struct fl_process process;

	if (fl_process_read(&process) < 0)
		return;
	put_single(w, &families[0], process.cpu_s);
	put_single(w, &families[1], (double)process.resident_bytes);
	put_single(w, &families[2], (double)process.virtual_bytes);
	put_single(w, &families[3], (double)process.open_fds);
	put_single(w, &families[4], (double)process.max_fds);
	put_single(w, &families[5], process.started_s);
	put_single(w, &families[6], (double)process.threads);
}

static void put_closed(
	const struct fl_view *view, enum fl_metrics_format format, struct fl_text *out)
{
	static const struct fl_metric_family family = { "fairlead_node_closed", FL_COUNTER, NULL,
		"Connections of this node that were closed because their endpoint went." };

	if (!view->stale || !view->applied)
		return;
	fl_family_begin(out, format, &family);
	for (size_t i = 0; i < view->applied->service_count; i++) {
		const struct fl_service *service = view->applied->services[i];

		if (service->stale_s == FL_STALE_KEEP && !fl_stale_closed(view->stale, service->id))
			continue;
		fl_family_name(out, &family);
		fl_family_label(out, true, "service", service->name);
		fl_family_value(out, true, fl_stale_closed(view->stale, service->id));
	}
}

void fl_metrics_write_agent(
	const struct fl_view *view, enum fl_metrics_format format, struct fl_text *out)
{
	struct writer w = { .view = view, .format = format, .out = out };

	put_build(&w);
	put_snapshot(&w);
	put_registries(&w);
	put_applies(&w);
	put_writes(&w);
	put_interfaces(&w);
	put_dns(&w);
	put_checks(&w);
	put_process(&w);
	put_closed(view, format, out);
}
