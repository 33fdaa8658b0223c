/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "control/api.h"
#include "control/warnings.h"
#include "core/clock.h"
#include "kernel/reader.h"
#include "observe/flows.h"

static void put_node(const struct fl_view *view, struct fl_json_text *json)
{
	uint64_t now_ms = fl_clock_real_ms();

	fl_json_string(json, "version", FL_VERSION);
	fl_json_string(json, "node", view->config->node_name);
	fl_json_string(json, "zone", view->config->node_zone);
	fl_json_bool(json, "ready", !view->not_ready);
	fl_json_string(json, "not_ready", view->not_ready);
	fl_json_uint(json, "generation", view->applied ? view->applied->generation : 0);
	fl_json_time(json, "applied", view->applied_ms / 1000);
	fl_json_time(json, "started", view->started_ms / 1000);
	fl_json_uint(
		json, "uptime", now_ms > view->started_ms ? (now_ms - view->started_ms) / 1000 : 0);
	fl_json_bool(json, "adopted", view->adopted);
	fl_json_string(json, "config", view->config->file);
	fl_json_string(json, "bpffs", view->config->bpffs);
}

static void put_interfaces(const struct fl_view *view, struct fl_json_text *json)
{
	size_t count = 0;
	const struct fl_interface *list = view->links ? fl_links_list(view->links, &count) : NULL;

	fl_json_list(json, "interfaces");
	for (size_t i = 0; i < count; i++) {
		fl_json_object(json, NULL);
		fl_json_string(json, "name", list[i].name);
		fl_json_string(json, "path", list[i].path == FL_PATH_TARGET ? "target" : "edge");
		fl_json_string(json, "mode", fl_xdp_mode_name(list[i].mode));
		fl_json_bool(json, "up", list[i].ifindex && !list[i].is_down);
		fl_json_string(json, "reason", *list[i].reason ? list[i].reason : NULL);
		fl_json_end(json);
	}
	fl_json_end(json);
}

/* How connections to endpoints that went are closed; null = they cannot be. */
static void put_closing(const struct fl_node_path *path, struct fl_json_text *json)
{
	bool can = path && path->enabled && !*path->walk_reason;

	if (!path || !path->enabled)
		return;
	fl_json_string(json, "closes_by", can ? fl_close_way_name(path->walk.way) : NULL);
	if (!can)
		fl_json_string(json, "closes_by_reason", path->walk_reason);
}

/* Programs of others at the same hooks. */
static void put_neighbours(const struct fl_node_path *path, struct fl_json_text *json)
{
	fl_json_list(json, "neighbours");
	for (size_t i = 0; path && i < path->neighbours.count; i++) {
		const struct fl_neighbour *item = &path->neighbours.items[i];

		fl_json_object(json, NULL);
		fl_json_string(json, "hook", item->hook);
		fl_json_string(json, "program", *item->name ? item->name : NULL);
		fl_json_uint(json, "id", item->id);
		fl_json_string(json, "cgroup", item->cgroup);
		fl_json_string(json, "runs", item->before ? "before" : "after");
		fl_json_end(json);
	}
	fl_json_end(json);
}

static void put_node_path(const struct fl_view *view, struct fl_json_text *json)
{
	const struct fl_node_path *path = view->node_path;

	fl_json_object(json, "node_path");
	fl_json_bool(json, "enabled", path && path->enabled);
	fl_json_string(json, "cgroup", path && path->enabled ? path->cgroup : NULL);
	fl_json_string(json, "reason", path && *path->reason ? path->reason : NULL);
	put_closing(path, json);
	put_neighbours(path, json);
	fl_json_end(json);
}

/* Only where it is wanted. */
static void put_dns(const struct fl_view *view, struct fl_json_text *json)
{
	char text[FL_SOCKET_TEXT];

	if (!view->dns)
		return;
	fl_json_object(json, "dns");
	fl_json_string(json, "listen",
		fl_socket_format(&view->config->dns.addr, view->config->dns.port, text));
	fl_json_string(json, "domain", view->config->dns_domain);
	fl_json_string(json, "reason", fl_dns_server_reason(view->dns));
	fl_json_end(json);
}

/* A limit and how much of it is taken. @param used  NULL = not known */
static void put_limit(
	struct fl_json_text *json, const char *key, uint64_t limit, const uint64_t *used)
{
	fl_json_object(json, key);
	if (used)
		fl_json_uint(json, "used", *used);
	else
		fl_json_null(json, "used");
	fl_json_uint(json, "limit", limit);
	fl_json_end(json);
}

/* Slots taken by the tables of all services, old ones in a change of size included. */
static bool slots_used(const struct fl_maps *maps, uint64_t *ret)
{
	static const uint32_t sizes[FL_SIZE_CLASSES] = FL_SIZES;

	*ret = 0;
	if (!maps || !maps->services)
		return false;
	for (uint32_t i = 1; i <= maps->limits.services; i++)
		for (int family = 0; family < FL_FAMILIES; family++) {
			int now = FL_REGION_CLASS(maps->services[i].region[family]);
			int old = FL_REGION_CLASS(maps->services[i].old_region[family]);

			*ret += now >= 0 && now < FL_SIZE_CLASSES ? sizes[now] : 0;
			*ret += old >= 0 && old < FL_SIZE_CLASSES ? sizes[old] : 0;
		}
	return true;
}

static void put_limits(const struct fl_view *view, struct fl_json_text *json)
{
	const struct fl_limits *limits = &view->config->limits;
	uint64_t services = view->applied ? view->applied->service_count : 0;
	uint64_t endpoints = view->applied ? view->applied->endpoint_count : 0;
	uint64_t slots, flows;
	bool slots_known = slots_used(view->maps, &slots);
	bool flows_known = fl_flows_count(view->maps, &flows);

	fl_json_object(json, "limits");
	put_limit(json, "services", limits->services, &services);
	put_limit(json, "endpoints", limits->endpoints, &endpoints);
	put_limit(json, "slots", limits->slots, slots_known ? &slots : NULL);
	put_limit(json, "flows", limits->flows, flows_known ? &flows : NULL);
	fl_json_end(json);
}

/* Slots of all tables in force, by state. */
static void count_slots(const struct fl_view *view, struct fl_slot_counts *ret_add)
{
	for (size_t i = 0; view->applied && i < view->applied->service_count; i++) {
		uint32_t id = view->applied->services[i]->id;

		for (int family = 0;
			id && id <= view->maps->limits.services && family < FL_FAMILIES; family++)
			fl_read_slots(view->maps, view->maps->services[id].region[family], ret_add);
	}
}

/* What slots that move remember, and what they could not. */
static void put_slots(const struct fl_view *view, struct fl_json_text *json)
{
	struct fl_slot_counts slots = { 0 };
	struct fl_pressure pressure;

	if (!fl_read_pressure(view->maps, &pressure) || !view->maps->slots) {
		fl_json_null(json, "slots");
		fl_json_null(json, "pins");
		return;
	}
	count_slots(view, &slots);
	fl_json_object(json, "slots");
	fl_json_uint(json, "settled", slots.settled);
	fl_json_uint(json, "moving", slots.moving);
	fl_json_uint(json, "held", slots.held);
	fl_json_uint(json, "postponed", pressure.postponed);
	fl_json_end(json);
	fl_json_object(json, "pins");
	fl_json_uint(json, "refused", pressure.refused);
	fl_json_bool(json, "pressure", pressure.is_high);
	fl_json_end(json);
}

static void put_conflicts(const struct fl_view *view, struct fl_json_text *json)
{
	char line[1024];

	fl_json_list(json, "conflicts");
	for (size_t i = 0; view->conflicts && i < view->conflicts->count; i++)
		fl_json_string(json, NULL,
			fl_problem_format(&view->conflicts->items[i], line, sizeof(line)));
	fl_json_end(json);
}

int fl_api_status(const struct fl_view *view, struct fl_json_text *json)
{
	fl_json_object(json, NULL);
	put_node(view, json);
	put_interfaces(view, json);
	put_node_path(view, json);
	put_dns(view, json);
	fl_json_list(json, "registries");
	fl_api_registry_items(view, json);
	fl_json_end(json);
	put_conflicts(view, json);
	fl_json_string(json, "last_error",
		view->apply && *view->apply->last_error ? view->apply->last_error : NULL);
	put_limits(view, json);
	put_slots(view, json);
	fl_json_list(json, "warnings");
	fl_warnings_write(view, json);
	fl_json_end(json);
	fl_json_end(json);
	return json->text->failed ? -ENOMEM : 0;
}
