/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/decode.h"

#include <arpa/inet.h>
#include <assert.h>
#include <net/if.h>
#include <string.h>

#include "core/addr.h"
#include "core/clock.h"
#include "fairlead/slot.h"
#include "kernel/rows.h"
#include "kernel/tables.h"
#include "kernel/walk.h"
#include "model/reasons.h"
#include "model/service.h"

/* ------------------------------------------------------------- common parts */

static const char *const family_names[FL_FAMILIES] = { "ipv4", "ipv6" };

json_t *fl_decode_time(uint32_t boot_s)
{
	char text[FL_TIME_TEXT];

	if (boot_s == 0)
		return json_null();
	return json_string(fl_time_format_s(fl_clock_boot_to_real_s(boot_s), text));
}

static json_t *decode_socket(const struct fl_ip *addr, __be16 port)
{
	char text[FL_SOCKET_TEXT];

	return json_string(fl_socket_format(addr, ntohs(port), text));
}

static json_t *decode_family(uint8_t family)
{
	return family < FL_FAMILIES ? json_string(family_names[family]) : json_null();
}

/* Names come from outside: what is no UTF-8 reads null. */
static json_t *text_or_null(const char *text)
{
	json_t *value = json_string(text);

	return value ? value : json_null();
}

json_t *fl_decode_service(const struct fl_maps *maps, uint32_t id)
{
	char name[FL_NAME_MAX + 1];

	if (id == 0 || id > maps->limits.services || !maps->services[id].in_use)
		return json_null();
	return text_or_null(fl_name_row_text(&maps->names[id], name));
}

json_t *fl_decode_endpoint(const struct fl_maps *maps, uint32_t id)
{
	const struct fl_endpoint_row *row;

	if (id == 0 || id > maps->limits.endpoints || maps->endpoints[id].service == 0)
		return json_null();
	row = &maps->endpoints[id];
	return decode_socket(&row->addr, row->port);
}

static json_t *decode_flow(const struct fl_flow *flow)
{
	return json_pack("{ss so so}", "protocol", fl_proto_name(flow->proto), "source",
		decode_socket(&flow->saddr, flow->sport), "destination",
		decode_socket(&flow->daddr, flow->dport));
}

/* Sum of a u64 at an offset over all CPUs. */
static json_t *decode_sum(const struct fl_maps *maps, enum fl_map map, const void *value, size_t at)
{
	size_t step = (maps->shape[map].value_size + 7) & ~7u;
	uint64_t sum = 0, part;

	for (unsigned cpu = 0; cpu < maps->cpus; cpu++) {
		memcpy(&part, (const char *)value + cpu * step + at, sizeof(part));
		sum += part;
	}
	return json_integer((json_int_t)sum);
}

/* ------------------------------------------------------------------ the maps */

typedef json_t *key_decoder(const void *key);
typedef json_t *value_decoder(const struct fl_maps *maps, const void *key, const void *value);

static json_t *index_key(const void *key)
{
	return json_integer(*(const uint32_t *)key);
}

static json_t *flow_key(const void *key)
{
	return decode_flow(key);
}

static json_t *frontend_key(const void *key)
{
	struct fl_frontend frontend = fl_frontend_from_row(key, &(struct fl_frontend_row){ 0 });
	char text[FL_SOCKET_TEXT];

	return json_string(fl_frontend_format(&frontend, text));
}

static json_t *reason_key(const void *key)
{
	uint32_t index = *(const uint32_t *)key;
	uint32_t path = index / FL_REASONS_MAX, reason = index % FL_REASONS_MAX;

	return json_pack("{ss* so}", "path", fl_path_name(path), "reason",
		fl_reason_name(reason) ? json_string(fl_reason_name(reason))
				       : json_integer(reason));
}

static json_t *interface_key(const void *key)
{
	char name[IF_NAMESIZE];
	uint32_t index = *(const uint32_t *)key;

	return if_indextoname(index, name) ? text_or_null(name) : json_integer(index);
}

/* "192.0.2.0/24": an IPv4 prefix counts 96 bits more in the map. */
static json_t *prefix_key(const void *key)
{
	const struct fl_prefix_key *prefix = key;
	unsigned mapped = fl_ip_family(&prefix->addr) == FL_IPV4 && prefix->bits >= 96 ? 96 : 0;
	char text[FL_IP_TEXT];

	return json_sprintf("%s/%u", fl_ip_format(&prefix->addr, text), prefix->bits - mapped);
}

static json_t *address_key(const void *key)
{
	char text[FL_IP_TEXT];

	return json_string(fl_ip_format(key, text));
}

static json_t *frontend_value(const struct fl_maps *maps, const void *key, const void *value)
{
	const struct fl_frontend_row *row = value;

	(void)key;
	return json_pack("{so sI sI}", "service", fl_decode_service(maps, row->service),
		"service_id", (json_int_t)row->service, "frontend_id", (json_int_t)row->frontend);
}

static json_t *decode_region(fl_region region)
{
	if (region == 0)
		return json_null();
	return json_pack("{sI sI sI}", "base", (json_int_t)FL_REGION_BASE(region), "size",
		(json_int_t)fl_table_size(region), "generation", (json_int_t)FL_REGION_GEN(region));
}

static json_t *decode_regions(const fl_region *regions)
{
	return json_pack("{so so}", family_names[FL_IPV4], decode_region(regions[FL_IPV4]),
		family_names[FL_IPV6], decode_region(regions[FL_IPV6]));
}

static const char *udp_name(uint8_t udp)
{
	static const char *const names[] = { "keep", "move", "quic" };

	return udp < sizeof(names) / sizeof(names[0]) ? names[udp] : "unknown";
}

static json_t *service_value(const struct fl_maps *maps, const void *key, const void *value)
{
	const struct fl_service_row *row = value;

	return json_pack("{so sb ss ss so so}", "name",
		fl_decode_service(maps, *(const uint32_t *)key), "in_use", row->in_use, "forward",
		row->forward < FL_FORWARDS ? fl_forward_name(row->forward) : "unknown", "udp",
		udp_name(row->udp), "tables", decode_regions(row->region), "old_tables",
		decode_regions(row->old_region));
}

static json_t *name_value(const struct fl_maps *maps, const void *key, const void *value)
{
	char name[FL_NAME_MAX + 1];

	(void)maps;
	(void)key;
	return text_or_null(fl_name_row_text(value, name));
}

static json_t *slot_value(const struct fl_maps *maps, const void *key, const void *value)
{
	const struct fl_walk_slot *at = key;
	fl_slot slot = *(const fl_slot *)value;
	uint32_t now_s = fl_clock_boot_s();
	bool moving = fl_slot_is_moving(slot);

	return json_pack("{so so sI sI sI sb sb so so}", "service",
		fl_decode_service(maps, at->service), "family", decode_family((uint8_t)at->family),
		"slot", (json_int_t)at->slot, "now", (json_int_t)fl_slot_now(slot), "before",
		(json_int_t)fl_slot_before(slot), "moving", moving, "held",
		fl_slot_is_held(slot) != 0, "since",
		moving ? fl_decode_time(now_s - (uint32_t)fl_slot_age(slot, now_s)) : json_null(),
		"endpoint", fl_decode_endpoint(maps, fl_slot_now(slot)));
}

static json_t *endpoint_value(const struct fl_maps *maps, const void *key, const void *value)
{
	const struct fl_endpoint_row *row = value;

	(void)key;
	return json_pack("{so so sI ss so sI}", "address", decode_socket(&row->addr, row->port),
		"service", fl_decode_service(maps, row->service), "service_id",
		(json_int_t)row->service, "state",
		row->state <= FL_MAINTENANCE ? fl_state_name(row->state) : "unknown", "since",
		fl_decode_time(row->since), "nexthop", (json_int_t)row->nexthop);
}

static json_t *decode_mac(const uint8_t *mac)
{
	return json_sprintf(
		"%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static json_t *nexthop_value(const struct fl_maps *maps, const void *key, const void *value)
{
	const struct fl_nexthop_row *row = value;
	char text[FL_IP_TEXT];

	(void)maps;
	(void)key;
	return json_pack("{so so so ss si sb}", "interface", interface_key(&row->ifindex),
		"destination_mac", decode_mac(row->dmac), "source_mac", decode_mac(row->smac),
		"source", fl_ip_format(&row->src, text), "mtu", row->mtu, "local",
		row->flags & FL_NEXTHOP_LOCAL);
}

static json_t *decode_seen(uint8_t flags)
{
	static const char *const names[] = { "syn", "ack", "fin", "rst" };
	json_t *list = json_array();

	for (int bit = 0; list && bit < 4; bit++)
		if (flags >> bit & 1)
			json_array_append_new(list, json_string(names[bit]));
	return list;
}

static json_t *nat_value(const struct fl_maps *maps, const void *key, const void *value)
{
	const struct fl_nat_entry *entry = value;

	(void)key;
	return json_pack("{so ss so so so so}", "to", decode_flow(&entry->to), "direction",
		entry->dir & FL_NAT_REPLY ? "reply" : "request", "service",
		fl_decode_service(maps, entry->service), "endpoint",
		fl_decode_endpoint(maps, entry->endpoint), "seen", fl_decode_time(entry->seen),
		"flags", decode_seen(entry->flags));
}

static json_t *nat_used_value(const struct fl_maps *maps, const void *key, const void *value)
{
	const struct fl_nat_used_row *row = value;

	return json_pack("{so sI sI}", "endpoint", fl_decode_endpoint(maps, *(const uint32_t *)key),
		"tcp", (json_int_t)row->tcp, "udp", (json_int_t)row->udp);
}

static json_t *pin_value(const struct fl_maps *maps, const void *key, const void *value)
{
	const struct fl_pin *pin = value;

	(void)key;
	return json_pack("{so so so sI sb sb sb so}", "endpoint",
		fl_decode_endpoint(maps, pin->endpoint), "service",
		fl_decode_service(maps, pin->service), "seen", fl_decode_time(pin->seen), "hash",
		(json_int_t)pin->hash, "proven", pin->proven, "closing", pin->closing, "old",
		pin->old, "family", decode_family(pin->family));
}

static json_t *pressure_value(const struct fl_maps *maps, const void *key, const void *value)
{
	const struct fl_pressure_row *row = value;

	(void)maps;
	(void)key;
	return json_pack("{so sI sI so sI sI sI}", "window",
		fl_decode_time(row->window * FL_PRESSURE_WINDOW_S), "openings",
		(json_int_t)row->openings, "openings_last", (json_int_t)row->openings_last,
		"failed", fl_decode_time(row->failed), "old_pins", (json_int_t)row->old_pins,
		"refused", (json_int_t)row->refused, "postponed", (json_int_t)row->postponed);
}

static json_t *reason_value(const struct fl_maps *maps, const void *key, const void *value)
{
	(void)key;
	return decode_sum(maps, FL_MAP_reasons, value, 0);
}

static json_t *frontend_stats_value(const struct fl_maps *maps, const void *key, const void *value)
{
#define SUM(member)                                                                                \
	decode_sum(maps, FL_MAP_frontend_stats, value, offsetof(struct fl_frontend_stats, member))
	(void)key;
	return json_pack("{so so so so so}", "packets", SUM(packets), "bytes", SUM(bytes),
		"new_flows", SUM(new_flows), "reply_packets", SUM(reply_packets), "reply_bytes",
		SUM(reply_bytes));
#undef SUM
}

static json_t *endpoint_stats_value(const struct fl_maps *maps, const void *key, const void *value)
{
#define SUM(member)                                                                                \
	decode_sum(maps, FL_MAP_endpoint_stats, value, offsetof(struct fl_endpoint_stats, member))
	return json_pack("{so so so so}", "endpoint",
		fl_decode_endpoint(maps, *(const uint32_t *)key), "packets", SUM(packets), "bytes",
		SUM(bytes), "new_flows", SUM(new_flows));
#undef SUM
}

static json_t *interface_value(const struct fl_maps *maps, const void *key, const void *value)
{
	(void)maps;
	(void)key;
	return json_integer(*(const uint32_t *)value);
}

static json_t *address_value(const struct fl_maps *maps, const void *key, const void *value)
{
	uint32_t bits = *(const uint32_t *)value;

	(void)maps;
	(void)key;
	return json_pack(
		"{sb sb}", "local", bits & FL_ADDRESS_LOCAL, "service", bits & FL_ADDRESS_SERVICE);
}

/* All that matters is that it is there. */
static json_t *present_value(const struct fl_maps *maps, const void *key, const void *value)
{
	(void)maps;
	(void)key;
	(void)value;
	return json_true();
}

/* The kernel shows nothing of a timer. */
static json_t *timer_value(const struct fl_maps *maps, const void *key, const void *value)
{
	(void)maps;
	(void)key;
	(void)value;
	return json_null();
}

static json_t *meta_value(const struct fl_maps *maps, const void *key, const void *value)
{
	const struct fl_meta_row *row = value;
	char text[FL_TIME_TEXT];

	(void)maps;
	(void)key;
	return json_pack("{sI sI s{sI sI sI sI} sI so sI}", "abi", (json_int_t)row->abi,
		"hash_seed", (json_int_t)row->hash_seed, "limits", "services",
		(json_int_t)row->services, "endpoints", (json_int_t)row->endpoints, "slots",
		(json_int_t)row->slots, "flows", (json_int_t)row->flows, "generation",
		(json_int_t)row->generation, "applied",
		row->applied_at ? json_string(fl_time_format_s(row->applied_at, text))
				: json_null(),
		"frontends_epoch", (json_int_t)row->frontends_epoch);
}

static json_t *answers_value(const struct fl_maps *maps, const void *key, const void *value)
{
	const struct fl_answers *row = value;

	(void)maps, (void)key;
	return json_pack("{sI sI sI sI}", "openings", (json_int_t)row->openings, "answered",
		(json_int_t)row->answered, "refused", (json_int_t)row->refused, "udp_refused",
		(json_int_t)row->udp_refused);
}

static const struct {
	key_decoder *key;
	value_decoder *value;
} decoders[FL_MAP_COUNT] = {
	[FL_MAP_frontends] = { frontend_key, frontend_value },
	[FL_MAP_vips] = { address_key, frontend_value },
	[FL_MAP_services] = { index_key, service_value },
	[FL_MAP_names] = { index_key, name_value },
	[FL_MAP_slots] = { index_key, slot_value },
	[FL_MAP_endpoints] = { index_key, endpoint_value },
	[FL_MAP_nexthops] = { index_key, nexthop_value },
	[FL_MAP_nat] = { flow_key, nat_value },
	[FL_MAP_nat_used] = { index_key, nat_used_value },
	[FL_MAP_answers] = { index_key, answers_value },
	[FL_MAP_pins] = { flow_key, pin_value },
	[FL_MAP_opening] = { flow_key, pin_value },
	[FL_MAP_pressure] = { index_key, pressure_value },
	[FL_MAP_reasons] = { reason_key, reason_value },
	[FL_MAP_frontend_stats] = { index_key, frontend_stats_value },
	[FL_MAP_endpoint_stats] = { index_key, endpoint_stats_value },
	[FL_MAP_tx_ports] = { interface_key, interface_value },
	[FL_MAP_timers] = { index_key, timer_value },
	[FL_MAP_balancers] = { prefix_key, present_value },
	[FL_MAP_addresses] = { address_key, address_value },
	[FL_MAP_meta] = { index_key, meta_value },
};

json_t *fl_decode_key(const struct fl_maps *maps, enum fl_map map, const void *key)
{
	assert(decoders[map].key && decoders[map].value); /* a new map needs a row above */
	(void)maps;
	return decoders[map].key(key);
}

json_t *fl_decode_value(
	const struct fl_maps *maps, enum fl_map map, const void *key, const void *value)
{
	return decoders[map].value(maps, key, value);
}
