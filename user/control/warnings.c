/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "control/warnings.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "kernel/reader.h"

#define PER_KIND_MAX 20 /**< of one kind; the rest is counted */

/* Warnings of one kind. */
struct kind {
	struct fl_json_text *json;
	unsigned count;
};

__attribute__((format(printf, 2, 3))) static void warn(struct kind *kind, const char *format, ...)
{
	va_list arguments;
	char line[640];

	if (kind->count++ >= PER_KIND_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	fl_json_string(kind->json, NULL, line);
}

static void finish(struct kind *kind, const char *what)
{
	char line[160];

	if (kind->count <= PER_KIND_MAX)
		return;
	snprintf(line, sizeof(line), "and %u more: %s", kind->count - PER_KIND_MAX, what);
	fl_json_string(kind->json, NULL, line);
}

static void warn_paths(const struct fl_view *view, struct fl_json_text *json)
{
	struct kind kind = { .json = json };

	if (view->node_path && !view->node_path->enabled && view->config->node_path)
		warn(&kind, "there is no node path: %s%s%s", view->node_path->reason,
			*view->node_path->hint ? "; " : "", view->node_path->hint);
	if (!view->config->interface_count && !view->config->node_path)
		warn(&kind, "no edge.interfaces: there is no edge path, nothing is balanced");
	if (view->apply && *view->apply->last_error)
		warn(&kind, "the last change was not applied in full: %s", view->apply->last_error);
	if (view->config->target_interface_count && !view->config->target_from_count)
		warn(&kind, "no target.from: the target path takes tunnels from nobody");
}

static void warn_interfaces(const struct fl_view *view, struct fl_json_text *json)
{
	size_t count = 0;
	const struct fl_interface *list = view->links ? fl_links_list(view->links, &count) : NULL;
	struct kind kind = { .json = json };

	for (size_t i = 0; i < count; i++)
		if (list[i].is_down)
			warn(&kind, "interface %s is down: nothing comes or goes by it",
				list[i].name);
	finish(&kind, "interfaces that are down");
}

/* What keeps the node path from choosing as services say. */
static void warn_choices(const struct fl_view *view, struct fl_json_text *json)
{
	struct kind kind = { .json = json };

	if (!view->pools)
		return;
	if (fl_pools_waiting(view->pools))
		warn(&kind,
			"no room for %u pools: connections of this node to those services are "
			"spread by weight alone; raise limits.endpoints or limits.services",
			fl_pools_waiting(view->pools));
	for (size_t i = 0; view->applied && i < view->applied->service_count; i++) {
		const struct fl_service *service = view->applied->services[i];

		if (service->locality != FL_LOCALITY_OFF && !view->config->node_zone)
			warn(&kind,
				"service %s: its locality asks for endpoints of this node's zone, "
				"and node.zone is not set: none is near",
				service->name);
	}
	finish(&kind, "services with a locality, where node.zone is not set");
}

static void warn_panic(const struct fl_view *view, struct fl_json_text *json)
{
	struct kind kind = { .json = json };

	for (size_t i = 0; view->applied && i < view->applied->service_count; i++)
		if (view->applied->services[i]->in_panic)
			warn(&kind,
				"service %s: so few endpoints are up that all are used, see "
				"fairlead endpoint list %s",
				view->applied->services[i]->name, view->applied->services[i]->name);
	finish(&kind, "services in panic");
}

static void warn_dns(const struct fl_view *view, struct fl_json_text *json)
{
	struct kind kind = { .json = json };

	if (view->dns && fl_dns_server_reason(view->dns))
		warn(&kind, "names of services are not answered: %s",
			fl_dns_server_reason(view->dns));
}

static void warn_registries(const struct fl_view *view, struct fl_json_text *json)
{
	struct kind kind = { .json = json };

	for (size_t i = 0; view->registries && i < view->registries->count; i++) {
		const struct fl_registry *registry = view->registries->registries[i];
		const char *name = registry->config->name;
		char since[FL_TIME_TEXT];

		if (registry->held)
			warn(&kind,
				"registry %s: an answer that would remove %zu of %zu endpoints is "
				"held back since %s; if that is right: fairlead registry accept %s",
				name, registry->held->gone, registry->held->of,
				fl_time_format_s(registry->held->since_ms / 1000, since), name);
		else if (registry->restored && !registry->published)
			warn(&kind,
				"registry %s: has not answered since the agent started; what it "
				"declared at %s is in force",
				name, fl_time_format_s(registry->published_ms / 1000, since));
	}
	finish(&kind, "registries that are held back or have not answered");
}

static void warn_registering(const struct fl_view *view, struct fl_json_text *json)
{
	struct kind kind = { .json = json };

	for (size_t i = 0; view->registries && i < view->registries->count; i++) {
		struct fl_written written;

		if (fl_registry_written(view->registries->registries[i], &written) &&
			*written.error)
			warn(&kind, "registry %s: not all is written: %s",
				view->registries->registries[i]->config->name, written.error);
	}
	for (size_t i = 0; view->applied && i < view->applied->service_count; i++) {
		const struct fl_service *service = view->applied->services[i];
		const char *name = service->registration.registry;

		if (name && !fl_registry_is_written(view->config, name))
			warn(&kind,
				"service %s: register: %s names no consul registry of the "
				"configuration: it is not registered",
				service->name, name);
	}
	finish(&kind, "services that are not registered");
}

static void warn_services(const struct fl_view *view, struct fl_json_text *json)
{
	struct kind kind = { .json = json };

	for (size_t i = 0; view->applied && i < view->applied->service_count; i++) {
		const struct fl_service *service = view->applied->services[i];
		size_t takes = 0;

		for (size_t j = 0; j < service->endpoint_count; j++)
			takes += fl_endpoint_takes_flows(&service->endpoints[j]);
		if (!takes)
			warn(&kind, "service %s: no endpoint takes new flows", service->name);
	}
	finish(&kind, "services without an endpoint that takes new flows");
}

/* ---------------------------------------------- replies that pass us by */

static bool is_edge_interface(const struct fl_view *view, uint32_t ifindex)
{
	size_t count = 0;
	const struct fl_interface *list = view->links ? fl_links_list(view->links, &count) : NULL;

	for (size_t i = 0; i < count; i++)
		if (list[i].path == FL_PATH_EDGE && list[i].ifindex == ifindex)
			return true;
	return false;
}

/* The interface that leads to an endpoint; 0 = not known, or this node itself. */
static uint32_t leads_to(const struct fl_view *view, const struct fl_endpoint *endpoint)
{
	const struct fl_maps *maps = view->maps;
	uint32_t nexthop;

	if (!endpoint->id || endpoint->id > maps->limits.endpoints)
		return 0;
	nexthop = maps->endpoints[endpoint->id].nexthop;
	if (!nexthop || nexthop >= FL_NEXTHOPS_MAX ||
		maps->nexthops[nexthop].flags & FL_NEXTHOP_LOCAL)
		return 0;
	return maps->nexthops[nexthop].ifindex;
}

static void warn_replies(const struct fl_view *view, struct fl_json_text *json)
{
	struct kind kind = { .json = json };
	uint32_t checked = 0; /* endpoints of one service mostly share an interface */
	char name[IF_NAMESIZE];

	if (!view->applied || !view->links || !view->maps || !view->maps->endpoints ||
		!view->maps->nexthops)
		return;
	for (size_t i = 0; i < view->applied->service_count; i++) {
		const struct fl_service *service = view->applied->services[i];

		for (size_t j = 0; service->forward == FL_NAT && j < service->endpoint_count; j++) {
			uint32_t ifindex = leads_to(view, &service->endpoints[j]);

			if (!ifindex || ifindex == checked)
				continue;
			if (is_edge_interface(view, ifindex)) {
				checked = ifindex;
				continue;
			}
			warn(&kind,
				"service %s: answers of its endpoints arrive on %s, which is not "
				"in edge.interfaces: nat cannot translate them back",
				service->name,
				if_indextoname(ifindex, name) ? name : "an interface that is gone");
			break;
		}
	}
	finish(&kind, "services whose answers arrive outside edge.interfaces");
}

/* ------------------------------------- frontends nobody answers ARP for */

/* An address of this node with the prefix it is connected to. */
static bool connected_prefix(
	const struct ifaddrs *entry, struct fl_ip *ret_addr, struct fl_prefix *ret_prefix)
{
	bool v4 = entry->ifa_addr && entry->ifa_addr->sa_family == AF_INET;
	unsigned char mask[16];
	unsigned char bytes[16];
	unsigned length = v4 ? 4 : 16;

	if (!entry->ifa_netmask ||
		!(v4 || (entry->ifa_addr && entry->ifa_addr->sa_family == AF_INET6)))
		return false;
	memcpy(bytes,
		v4 ? (void *)&((struct sockaddr_in *)entry->ifa_addr)->sin_addr
		   : (void *)&((struct sockaddr_in6 *)entry->ifa_addr)->sin6_addr,
		length);
	memcpy(mask,
		v4 ? (void *)&((struct sockaddr_in *)entry->ifa_netmask)->sin_addr
		   : (void *)&((struct sockaddr_in6 *)entry->ifa_netmask)->sin6_addr,
		length);
	*ret_addr = fl_ip_from_bytes(v4 ? FL_IPV4 : FL_IPV6, bytes);
	ret_prefix->bits = 0;
	for (unsigned i = 0; i < length; i++) {
		ret_prefix->bits = (uint8_t)(ret_prefix->bits + __builtin_popcount(mask[i]));
		bytes[i] &= mask[i];
	}
	ret_prefix->addr = fl_ip_from_bytes(v4 ? FL_IPV4 : FL_IPV6, bytes);
	return true;
}

/* The interface whose subnet holds the address, unless the node owns it itself. */
static const char *subnet_of(const struct ifaddrs *addresses, const struct fl_ip *frontend)
{
	const char *interface = NULL;
	struct fl_prefix prefix;
	struct fl_ip addr;

	for (const struct ifaddrs *entry = addresses; entry; entry = entry->ifa_next) {
		if (!connected_prefix(entry, &addr, &prefix))
			continue;
		if (fl_ip_equal(&addr, frontend))
			return NULL;
		if (!(entry->ifa_flags & IFF_LOOPBACK) && fl_prefix_contains(&prefix, frontend))
			interface = entry->ifa_name;
	}
	return interface;
}

static void warn_frontends(const struct fl_view *view, struct fl_json_text *json)
{
	struct kind kind = { .json = json };
	struct ifaddrs *addresses;

	if (!view->applied || getifaddrs(&addresses) < 0)
		return;
	for (size_t i = 0; i < view->applied->service_count; i++) {
		const struct fl_service *service = view->applied->services[i];

		for (size_t j = 0; j < service->frontend_count; j++) {
			const char *interface = subnet_of(addresses, &service->frontends[j].addr);
			char text[FL_IP_TEXT];

			if (interface)
				warn(&kind,
					"service %s: %s lies in the subnet of %s and nobody "
					"answers for it: route it to this node, or add it to an "
					"interface",
					service->name,
					fl_ip_format(&service->frontends[j].addr, text), interface);
		}
	}
	freeifaddrs(addresses);
	finish(&kind, "frontends in a connected subnet that nobody answers for");
}

static void warn_pressure(const struct fl_view *view, struct fl_json_text *json)
{
	struct kind kind = { .json = json };
	struct fl_pressure pressure;

	if (fl_read_pressure(view->maps, &pressure) && pressure.is_high)
		warn(&kind,
			"more flows open in moving slots than can be remembered (a SYN flood?): "
			"new ones go to the endpoints before, where these are up, and slots "
			"move for longer");
}

void fl_warnings_write(const struct fl_view *view, struct fl_json_text *json)
{
	warn_paths(view, json);
	warn_interfaces(view, json);
	warn_registries(view, json);
	warn_registering(view, json);
	warn_choices(view, json);
	warn_panic(view, json);
	warn_dns(view, json);
	warn_services(view, json);
	warn_replies(view, json);
	warn_frontends(view, json);
	warn_pressure(view, json);
}
