// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * The edge programs from their own source. Only this file sees bpf/lib; what the
 * model shares with it are the headers of include/fairlead.
 */
#include <string.h>

#include "fairlead/abi.h"

/* Constants of a program are read-only; here the input chooses them. A declaration
 * with a section before the definition decides where it lies. */
extern const volatile struct fl_edge_conf fl_conf __attribute__((section(".data.fl_conf")));

#include "../../bpf/xdp_edge.bpf.c"

#include "edge_native.h"
#include "native.h"

#define ARRAY(name, rows)                                                                          \
	native_map_init(&name, NATIVE_ARRAY, sizeof(*name.key), sizeof(*name.value), rows)
#define NOTES(name, rows)                                                                          \
	native_map_init(&name, NATIVE_NOTES, sizeof(*name.key), sizeof(*name.value), rows)
#define HASH(name, rows)                                                                           \
	native_map_init(&name, NATIVE_HASH, sizeof(*name.key), sizeof(*name.value), rows)

#define SLOTS_PER_SERVICE (2 * WORLD_SLOTS)
#define OLD_BASE          (WORLD_SERVICES * SLOTS_PER_SERVICE)
#define SLOTS             (OLD_BASE + 2 * WORLD_OLD_SLOTS)
#define NAT_ENTRIES       256

static struct nat_table nat_tables[2];

void edge_native_open(void)
{
	uint32_t i;

	HASH(fl_frontends, 128);
	HASH(fl_vips, 32);
	ARRAY(fl_services, WORLD_SERVICES);
	ARRAY(fl_slots, SLOTS);
	ARRAY(fl_endpoints, WORLD_ENDPOINTS);
	ARRAY(fl_nexthops, WORLD_HOPS);
	ARRAY(fl_meta, 1);
	HASH(fl_tx_ports, 4);
	ARRAY(fl_nat_used, WORLD_ENDPOINTS);
	HASH(fl_answers, WORLD_ENDPOINTS);
	HASH(fl_pins, 256);
	HASH(fl_opening, 256);
	ARRAY(fl_pressure, 1);
	ARRAY(fl_timers, 1);
	ARRAY(fl_reasons, FL_PATHS * FL_REASONS_MAX);
	ARRAY(fl_frontend_stats, 128);
	ARRAY(fl_endpoint_stats, WORLD_ENDPOINTS);
	ARRAY(frontend_memos, 1);
	NOTES(packet_clocks, 1);
	NOTES(nat_hints, 1);
	NOTES(nat_icmps, 1);
	native_map_init(&fl_nat, NATIVE_OUTER, sizeof(__u32), sizeof(void *), FL_NAT_GENERATIONS);
	for (i = 0; i < 2; i++) {
		void *table = &nat_tables[i];

		native_map_init(table, NATIVE_HASH, sizeof(struct fl_flow),
			sizeof(struct fl_nat_entry), NAT_ENTRIES);
	}
}

static void put(void *map, __u32 index, const void *value)
{
	bpf_map_update_elem(map, &index, value, BPF_ANY);
}

static void fill_frontends(const struct world *w, enum fl_family family)
{
	struct fl_frontend_row row;
	struct fl_ip ip;
	uint32_t i;

	for (i = 0; i < world_frontend_count; i++) {
		const struct world_frontend *f = &world_frontends[i];
		struct fl_frontend_key key = {
			.addr = world_ip(family, WORLD_NET_FRONTEND, f->address),
			.port = bpf_htons(f->port),
			.proto = f->proto,
		};

		row = (struct fl_frontend_row){ world_frontend_service(w, f), 1 + i };
		if (row.service)
			bpf_map_update_elem(&fl_frontends, &key, &row, BPF_ANY);
		else
			bpf_map_delete_elem(&fl_frontends, &key);
	}
	for (i = 1; i <= WORLD_ADDRESSES; i++) {
		ip = world_ip(family, WORLD_NET_FRONTEND, i);
		row = (struct fl_frontend_row){ world_address_owner(w, i), 100 + i };
		bpf_map_update_elem(&fl_vips, &ip, &row, BPF_ANY);
	}
}

void edge_native_move(const struct world *w)
{
	__u32 zero = 0;
	struct fl_meta_row *meta = bpf_map_lookup_elem(&fl_meta, &zero);

	meta->frontends_epoch++; /* odd while rows change */
	fill_frontends(w, FL_IPV4);
	fill_frontends(w, FL_IPV6);
	meta->frontends_epoch++;
}

static void *newest;

static void put_nat_tables(uint32_t first)
{
	uint32_t i;

	for (i = 0; i < 2; i++) {
		void *table = &nat_tables[first ^ i];

		bpf_map_update_elem(&fl_nat, &i, &table, 0);
	}
	newest = &nat_tables[first];
}

void edge_native_turn(void)
{
	put_nat_tables(newest == &nat_tables[0]);
}

static uint32_t base_of(uint32_t service, enum fl_family family)
{
	return service * SLOTS_PER_SERVICE + family * WORLD_SLOTS;
}

static void make_slots(const struct world *w, uint32_t service, enum fl_family family, fl_slot *ret)
{
	uint32_t i;

	for (i = 0; i < WORLD_SLOTS; i++) {
		struct world_slot slot = world_slot(w, service, family, i);
		fl_slot *value = &ret[base_of(service, family) + i];

		*value = slot.moving ? fl_slot_moving(slot.now, slot.before, 1)
				     : fl_slot_settled(slot.now);
		if (slot.old)
			*value |= FL_SLOT_OLD;
	}
	for (i = 0; world_services[service].has_old && i < WORLD_OLD_SLOTS; i++)
		ret[OLD_BASE + family * WORLD_OLD_SLOTS + i] =
			fl_slot_settled(world_old_before(w, service, family, i));
}

/** Write all tables. They are made once for each shuffle. */
static void fill_slots(const struct world *w)
{
	static fl_slot made[WORLD_SHUFFLES][SLOTS];
	static bool is_made[WORLD_SHUFFLES];
	fl_slot *slots = made[w->shuffle];
	__u32 id;

	for (id = 1; !is_made[w->shuffle] && id < WORLD_SERVICES; id++) {
		if (!world_services[id].has_table)
			continue;
		make_slots(w, id, FL_IPV4, slots);
		make_slots(w, id, FL_IPV6, slots);
	}
	is_made[w->shuffle] = true;
	id = 0;
	memcpy(bpf_map_lookup_elem(&fl_slots, &id), slots, sizeof(made[0]));
}

static void fill_service(uint32_t id)
{
	const struct world_service *s = &world_services[id];
	struct fl_service_row row = { .forward = s->forward, .udp = s->udp, .in_use = s->in_use };
	int family;

	for (family = 0; family < FL_FAMILIES; family++) {
		if (s->has_table)
			row.region[family] = FL_REGION(base_of(id, family), 0, 1);
		if (s->has_old)
			row.old_region[family] =
				FL_REGION(OLD_BASE + family * WORLD_OLD_SLOTS, 1, 2);
	}
	put(&fl_services, id, &row);
}

static void fill_hop(uint32_t id)
{
	const struct world_hop *h = &world_hops[id];
	struct fl_nexthop_row row = { .ifindex = h->ifindex,
		.src = world_ip(h->family, WORLD_NET_NODE, id),
		.mtu = h->mtu,
		.flags = h->local ? FL_NEXTHOP_LOCAL : 0 };

	world_macs(id, row.dmac, row.smac);
	put(&fl_nexthops, id, &row);
}

static void fill_endpoint(const struct world *w, uint32_t id)
{
	const struct world_endpoint *e = &world_endpoints[id];
	struct fl_endpoint_row row = { .addr = world_ip(e->family, WORLD_NET_ENDPOINT, e->number),
		.port = bpf_htons(e->port),
		.family = e->family,
		.state = w->state[id],
		.nexthop = e->hop,
		.service = e->service };

	if (e->number)
		put(&fl_endpoints, id, &row);
}

void edge_native_change(const struct world *w)
{
	uint32_t id;

	fill_slots(w);
	for (id = 1; id < WORLD_ENDPOINTS; id++)
		fill_endpoint(w, id);
}

void edge_native_fill(const struct world *w)
{
	static const __u32 interfaces[] = { WORLD_INGRESS, WORLD_EGRESS };
	uint32_t i;

	native_constant_set(&fl_conf, &w->conf, sizeof(fl_conf));
	put_nat_tables(0);
	native_map_limit(&fl_pins, w->pin_room);
	native_map_limit(&fl_opening, w->opening_room);
	i = 0;
	((struct fl_pressure_row *)bpf_map_lookup_elem(&fl_pressure, &i))->old_pins = w->old_pins;
	edge_native_move(w);
	for (i = 1; i < WORLD_SERVICES; i++)
		fill_service(i);
	for (i = 1; i < WORLD_HOPS; i++)
		if (world_hops[i].ifindex)
			fill_hop(i);
	for (i = 0; i < 2; i++)
		bpf_map_update_elem(&fl_tx_ports, &interfaces[i], &interfaces[i], BPF_ANY);
	edge_native_change(w);
}

const __u64 *edge_native_reasons(void)
{
	__u32 row = FL_PATH_EDGE * FL_REASONS_MAX;

	return bpf_map_lookup_elem(&fl_reasons, &row);
}

struct fl_frontend_stats *edge_native_frontend_stats(uint32_t frontend)
{
	return bpf_map_lookup_elem(&fl_frontend_stats, &frontend);
}

struct fl_endpoint_stats *edge_native_endpoint_stats(uint32_t endpoint)
{
	return bpf_map_lookup_elem(&fl_endpoint_stats, &endpoint);
}

struct fl_answers edge_native_answers(uint32_t endpoint)
{
	const struct fl_answers *row = bpf_map_lookup_elem(&fl_answers, &endpoint);

	return row ? *row : (struct fl_answers){ 0 };
}

const struct fl_pressure_row *edge_native_pressure(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&fl_pressure, &zero);
}

const fl_slot *edge_native_slot(uint32_t service, enum fl_family family, uint32_t index)
{
	index += base_of(service, family);
	return bpf_map_lookup_elem(&fl_slots, &index);
}

const struct fl_nat_entry *edge_native_nat(const struct fl_flow *key)
{
	return nat_find(key);
}
