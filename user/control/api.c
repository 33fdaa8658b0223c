/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "control/api.h"

#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "kernel/reader.h"
#include "kernel/routes.h"
#include "kernel/node_live.h"
#include "model/reasons.h"
#include "observe/connections.h"

static int outcome(const struct fl_json_text *json)
{
	return json->text->failed ? -ENOMEM : 0;
}

static bool has_map(const struct fl_view *view, enum fl_map map)
{
	return view->maps && view->maps->fd[map] >= 0;
}

/* Call `each` for one service, or for all. @return 0, -ENOENT */
static int each_service(const struct fl_view *view, const char *name, struct fl_json_text *json,
	void (*each)(const struct fl_view *, const struct fl_service *, struct fl_json_text *))
{
	const struct fl_service *found;

	if (!view->applied)
		return name ? -ENOENT : 0;
	if (name) {
		found = fl_snapshot_find(view->applied, name);
		if (!found)
			return -ENOENT;
		each(view, found, json);
		return 0;
	}
	for (size_t i = 0; i < view->applied->service_count; i++)
		each(view, view->applied->services[i], json);
	return 0;
}

/* -------------------------------------------------------------- endpoints */

/* The row that the programs read, if it is this endpoint's. */
static const struct fl_endpoint_row *endpoint_row(const struct fl_view *view,
	const struct fl_service *service, const struct fl_endpoint *endpoint)
{
	const struct fl_endpoint_row *row;

	if (!view->maps || !view->maps->endpoints || !endpoint->id ||
		endpoint->id > view->maps->limits.endpoints)
		return NULL;
	row = &view->maps->endpoints[endpoint->id];
	return row->service == service->id && service->id ? row : NULL;
}

/* What put it into its state, if that was not its registry: "probe: connection refused". */
static const char *observed_reason(const struct fl_endpoint *endpoint, char *buffer, size_t size)
{
	bool other = endpoint->cause == FL_CAUSE_PANIC || endpoint->cause == FL_CAUSE_BACKUP ||
		     endpoint->cause == FL_CAUSE_FLAPPING; /* the detail is not of this */
	const char *detail = endpoint->detail;

	if (other)
		snprintf(buffer, size, "%s: %s%s%s", fl_cause_name(endpoint->cause),
			fl_cause_text(endpoint->cause), detail ? "; " : "", detail ? detail : "");
	else
		snprintf(buffer, size, "%s: %s", fl_cause_name(endpoint->cause),
			detail ? detail : fl_cause_text(endpoint->cause));
	return buffer;
}

static const char *declared_reason(const struct fl_endpoint *endpoint)
{
	switch (endpoint->state) {
	case FL_DOWN:
		return "declared down";
	case FL_DRAINING:
		return "declared draining: old flows only";
	case FL_MAINTENANCE:
		return "declared in maintenance";
	case FL_UP:
		break;
	}
	return "declared up";
}

/* Left out by the programs of the node path, whatever the edge path does. */
static bool is_ejected(
	const struct fl_view *view, const struct fl_endpoint *endpoint, char *buffer, size_t size)
{
	struct fl_live_row live;

	if (!view->node_path || !fl_node_live_read(&view->node_path->maps, endpoint->id, &live) ||
		!fl_node_live_is_ejected(&live))
		return false;
	fl_node_live_explain(&live, fl_clock_mono_ns(), buffer, size);
	return true;
}

/* Why an endpoint gets the traffic that it gets, in words. */
static const char *endpoint_reason(const struct fl_view *view, const struct fl_endpoint *endpoint,
	const struct fl_endpoint_row *row, char *buffer, size_t size)
{
	bool up = endpoint->state == FL_UP;
	bool has_no_way = up && row && !row->nexthop && !view->no_edge;

	if (up && is_ejected(view, endpoint, buffer, size))
		return buffer;
	if (has_no_way && view->routes)
		return fl_routes_explain(view->routes, endpoint->id, buffer, size);
	if (has_no_way)
		return "no next hop resolved yet";
	if (up && endpoint->ramp && endpoint->weight) {
		snprintf(buffer, size, "slow start: %u.%u %% of its weight", endpoint->ramp / 10,
			endpoint->ramp % 10);
		return buffer;
	}
	if (endpoint->cause != FL_CAUSE_DECLARED)
		return observed_reason(endpoint, buffer, size);
	if (up && !endpoint->weight)
		return "weight 0: takes no new flows";
	return declared_reason(endpoint);
}

/* Seconds; 0 = unknown. */
static uint64_t endpoint_since(
	const struct fl_endpoint *endpoint, const struct fl_endpoint_row *row)
{
	if (endpoint->since_ms)
		return endpoint->since_ms / 1000;
	return row && row->since ? fl_clock_boot_to_real_s(row->since) : 0;
}

static void put_connections(const struct fl_view *view, const struct fl_service *service,
	const struct fl_endpoint *endpoint, struct fl_json_text *json)
{
	uint64_t connections;

	if (fl_connections_count(view, service, endpoint, &connections))
		fl_json_uint(json, "connections", connections);
	else
		fl_json_null(json, "connections");
}

/* The last verdicts on it, newest first; none of one that nobody observes. */
static void put_history(const struct fl_view *view, const struct fl_service *service,
	const struct fl_endpoint *endpoint, struct fl_json_text *json)
{
	const struct fl_health_key key = { service->name, endpoint->addr, endpoint->port };
	const struct fl_verdict *verdict =
		view->health ? fl_health_verdict(view->health, &key) : NULL;
	const struct fl_change *change;

	fl_json_list(json, "history");
	for (size_t back = 0; verdict && (change = fl_verdict_change(verdict, back)); back++) {
		fl_json_object(json, NULL);
		fl_json_time(json, "at", change->at_ms / 1000);
		fl_json_string(json, "state", fl_state_name(change->state));
		fl_json_string(json, "cause", fl_cause_name(change->cause));
		fl_json_string(json, "detail", change->detail);
		fl_json_end(json);
	}
	fl_json_end(json);
}

static void put_endpoint(const struct fl_view *view, const struct fl_service *service,
	const struct fl_endpoint *endpoint, bool history, struct fl_json_text *json)
{
	const struct fl_endpoint_row *row = endpoint_row(view, service, endpoint);
	char address[FL_SOCKET_TEXT];
	char words[256];

	if (endpoint->port)
		fl_socket_format(&endpoint->addr, endpoint->port, address);
	else
		fl_ip_format(&endpoint->addr, address);
	fl_json_object(json, NULL);
	fl_json_string(json, "service", service->name);
	fl_json_string(json, "address", address);
	fl_json_uint(json, "weight", endpoint->weight);
	fl_json_string(json, "state", fl_state_name(endpoint->state));
	fl_json_string(json, "reason", endpoint_reason(view, endpoint, row, words, sizeof(words)));
	fl_json_time(json, "since", endpoint_since(endpoint, row));
	fl_json_string(json, "zone", endpoint->zone);
	fl_json_string(json, "node", endpoint->node);
	put_connections(view, service, endpoint, json);
	if (history)
		put_history(view, service, endpoint, json);
	fl_json_end(json);
}

static void put_endpoints(
	const struct fl_view *view, const struct fl_service *service, struct fl_json_text *json)
{
	for (size_t i = 0; i < service->endpoint_count; i++)
		put_endpoint(view, service, &service->endpoints[i], false, json);
}

int fl_api_endpoints(const struct fl_view *view, const char *service, struct fl_json_text *json)
{
	int r;

	fl_json_list(json, NULL);
	r = each_service(view, service, json, put_endpoints);
	fl_json_end(json);
	return r ? r : outcome(json);
}

/* --------------------------------------------------------------- services */

/* Size of all tables of a service and what their slots are doing. */
static void put_slots(
	const struct fl_view *view, const struct fl_service *service, struct fl_json_text *json)
{
	bool mapped = view->maps && view->maps->services && view->maps->slots && service->id &&
		      service->id <= view->maps->limits.services;
	struct fl_slot_counts counts = { 0 };
	uint64_t size = 0;

	for (int family = 0; family < FL_FAMILIES; family++) {
		size += fl_service_table_size(service, family);
		if (mapped)
			fl_read_slots(view->maps, view->maps->services[service->id].region[family],
				&counts);
	}
	if (mapped)
		size = counts.settled + counts.held + counts.moving;
	fl_json_object(json, "slots");
	fl_json_uint(json, "size", size);
	fl_json_uint(json, "moving", counts.moving);
	fl_json_uint(json, "held", counts.held);
	fl_json_end(json);
}

/* What `list` and `show` have in common. */
static void put_service_fields(
	const struct fl_view *view, const struct fl_service *service, struct fl_json_text *json)
{
	char text[FL_SOCKET_TEXT];

	fl_json_string(json, "name", service->name);
	fl_json_list(json, "frontends");
	for (size_t i = 0; i < service->frontend_count; i++)
		fl_json_string(json, NULL, fl_frontend_format(&service->frontends[i], text));
	fl_json_end(json);
	fl_json_string(json, "forward", fl_forward_name(service->forward));
	fl_json_string(json, "balance", fl_balance_name(service->balance));
	fl_json_string(json, "registry", service->registry);
	fl_json_bool(json, "panic", service->in_panic);
	put_slots(view, service, json);
}

static void put_service(
	const struct fl_view *view, const struct fl_service *service, struct fl_json_text *json)
{
	size_t up = 0;

	for (size_t i = 0; i < service->endpoint_count; i++)
		up += service->endpoints[i].state == FL_UP;
	fl_json_object(json, NULL);
	put_service_fields(view, service, json);
	fl_json_object(json, "endpoints");
	fl_json_uint(json, "total", service->endpoint_count);
	fl_json_uint(json, "up", up);
	fl_json_end(json);
	fl_json_end(json);
}

int fl_api_services(const struct fl_view *view, struct fl_json_text *json)
{
	fl_json_list(json, NULL);
	each_service(view, NULL, json, put_service);
	fl_json_end(json);
	return outcome(json);
}

/* How the node path chooses, beside `balance`. */
static void put_choice(const struct fl_service *service, struct fl_json_text *json)
{
	fl_json_object(json, "choice");
	fl_json_string(json, "key", fl_key_name(service->key));
	fl_json_uint(json, "affinity", service->affinity_s);
	fl_json_string(json, "locality", fl_locality_name(service->locality));
	fl_json_uint(json, "spill", service->spill_percent);
	fl_json_uint(json, "max_fails", service->max_fails);
	fl_json_uint(json, "fail_timeout", service->fail_timeout_s);
	fl_json_uint(json, "max_ejected", service->max_ejected_percent);
	fl_json_end(json);
}

static void put_service_with_endpoints(
	const struct fl_view *view, const struct fl_service *service, struct fl_json_text *json)
{
	fl_json_object(json, NULL);
	put_service_fields(view, service, json);
	put_choice(service, json);
	fl_json_list(json, "endpoints");
	for (size_t i = 0; i < service->endpoint_count; i++)
		put_endpoint(view, service, &service->endpoints[i], true, json);
	fl_json_end(json);
	fl_json_end(json);
}

int fl_api_service(const struct fl_view *view, const char *name, struct fl_json_text *json)
{
	int r = each_service(view, name, json, put_service_with_endpoints);

	return r ? r : outcome(json);
}

/* ------------------------------------------------------------------ stats */

static void put_reasons(
	const struct fl_view *view, enum fl_path path, const char *key, struct fl_json_text *json)
{
	uint64_t counts[FL_REASON_COUNT] = { 0 };
	bool known =
		has_map(view, FL_MAP_reasons) && fl_read_reasons(view->maps, path, counts) == 0;

	fl_json_object(json, key);
	for (unsigned i = 0; i < FL_REASON_COUNT; i++) {
		if (known)
			fl_json_uint(json, fl_reason_name(i), counts[i]);
		else
			fl_json_null(json, fl_reason_name(i));
	}
	fl_json_end(json);
}

/* Counters of one frontend; all null when `stats` is NULL. */
static void put_frontend_counts(const struct fl_frontend_stats *stats, struct fl_json_text *json)
{
	static const struct {
		const char *key;
		size_t offset;
	} counters[] = {
		{ "packets", offsetof(struct fl_frontend_stats, packets) },
		{ "bytes", offsetof(struct fl_frontend_stats, bytes) },
		{ "new_flows", offsetof(struct fl_frontend_stats, new_flows) },
		{ "reply_packets", offsetof(struct fl_frontend_stats, reply_packets) },
		{ "reply_bytes", offsetof(struct fl_frontend_stats, reply_bytes) },
	};

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		if (stats)
			fl_json_uint(json, counters[i].key,
				*(const uint64_t *)((const char *)stats + counters[i].offset));
		else
			fl_json_null(json, counters[i].key);
	}
}

static void put_service_stats(
	const struct fl_view *view, const struct fl_service *service, struct fl_json_text *json)
{
	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];
		struct fl_frontend_stats stats = { 0 };
		char text[FL_SOCKET_TEXT];
		bool known = has_map(view, FL_MAP_frontend_stats) &&
			     fl_read_frontend(view->maps, frontend->id, &stats) == 0;

		fl_json_object(json, NULL);
		fl_json_string(json, "name", service->name);
		fl_json_string(json, "frontend", fl_frontend_format(frontend, text));
		put_frontend_counts(known ? &stats : NULL, json);
		fl_json_end(json);
	}
}

int fl_api_stats(const struct fl_view *view, const char *service, struct fl_json_text *json)
{
	int r;

	fl_json_object(json, NULL);
	put_reasons(view, FL_PATH_EDGE, "reasons", json);
	put_reasons(view, FL_PATH_TARGET, "target_reasons", json);
	put_reasons(view, FL_PATH_NODE, "node_reasons", json);
	fl_json_list(json, "services");
	r = each_service(view, service, json, put_service_stats);
	fl_json_end(json);
	fl_json_end(json);
	return r ? r : outcome(json);
}

/* ------------------------------------------------------------- registries */

static void put_held(const struct fl_held *held, struct fl_json_text *json)
{
	if (!held) {
		fl_json_null(json, "held");
		return;
	}
	fl_json_object(json, "held");
	fl_json_uint(json, "endpoints", held->gone);
	fl_json_uint(json, "of", held->of);
	fl_json_uint(json, "services", held->removal.services);
	fl_json_time(json, "since", held->since_ms / 1000);
	fl_json_end(json);
}

/* What of ours stands in it; null where nothing ever does. */
static void put_written(const struct fl_registry *registry, struct fl_json_text *json)
{
	struct fl_written written;

	if (!fl_registry_written(registry, &written)) {
		fl_json_null(json, "registered");
		return;
	}
	fl_json_object(json, "registered");
	fl_json_uint(json, "wanted", written.wanted);
	fl_json_uint(json, "in_place", written.in_place);
	fl_json_string(json, "lock", written.lock);
	fl_json_string(json, "error", *written.error ? written.error : NULL);
	fl_json_end(json);
}

static void put_registry(const struct fl_registry *registry, struct fl_json_text *json)
{
	uint64_t now_ms = fl_clock_real_ms();
	char line[1024];
	size_t endpoints = 0;

	for (size_t i = 0; i < registry->services.count; i++)
		endpoints += registry->services.items[i]->endpoint_count;
	fl_json_object(json, NULL);
	fl_json_string(json, "name", registry->config->name);
	fl_json_string(json, "type", registry->config->type);
	fl_json_bool(json, "up", registry->up);
	if (registry->published_ms)
		fl_json_uint(json, "age",
			now_ms > registry->published_ms ? (now_ms - registry->published_ms) / 1000
							: 0);
	else
		fl_json_null(json, "age");
	fl_json_uint(json, "services", registry->services.count);
	fl_json_uint(json, "endpoints", endpoints);
	put_held(registry->held, json);
	fl_json_string(json, "last_error", *registry->last_error ? registry->last_error : NULL);
	put_written(registry, json);
	fl_json_uint(json, "updates", registry->updates);
	fl_json_bool(json, "restored", registry->restored && !registry->published);
	fl_json_list(json, "problems");
	for (size_t i = 0; i < registry->problems.count; i++)
		fl_json_string(json, NULL,
			fl_problem_format(&registry->problems.items[i], line, sizeof(line)));
	fl_json_end(json);
	fl_json_end(json);
}

int fl_api_registry(const struct fl_view *view, const char *name, struct fl_json_text *json)
{
	for (size_t i = 0; view->registries && i < view->registries->count; i++)
		if (strcmp(view->registries->registries[i]->config->name, name) == 0) {
			put_registry(view->registries->registries[i], json);
			return outcome(json);
		}
	return -ENOENT;
}

void fl_api_registry_items(const struct fl_view *view, struct fl_json_text *json)
{
	for (size_t i = 0; view->registries && i < view->registries->count; i++)
		put_registry(view->registries->registries[i], json);
}

int fl_api_registries(const struct fl_view *view, struct fl_json_text *json)
{
	fl_json_list(json, NULL);
	fl_api_registry_items(view, json);
	fl_json_end(json);
	return outcome(json);
}
