/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/settler.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/slot.h"
#include "kernel/walk.h"

#define INTERVAL_MIN_S 3
#define INTERVAL_MAX_S 10

/* A set of slots or endpoints. */
struct bits {
	uint64_t *words;
};

struct fl_settler {
	struct fl_maps *maps;
	const struct fl_ids *ids;
	struct fl_tables *tables;
	struct fl_snapshot *snapshot;    /* NULL = none yet */
	const struct fl_service **by_id; /* its services, by number */
	struct bits endpoints;           /* found by the last sweep */
	struct bits found;               /* slots of which it found a pin */
	struct fl_settle_counts counts;
};

/* --------------------------------------------------------------------- bits */

static int bits_new(struct bits *bits, uint64_t count)
{
	bits->words = calloc(count / 64 + 1, sizeof(*bits->words));
	return bits->words ? 0 : -ENOMEM;
}

static void bits_done(struct bits *bits)
{
	free(bits->words);
	bits->words = NULL;
}

static void bits_set(struct bits *bits, uint32_t at)
{
	bits->words[at / 64] |= 1ull << at % 64;
}

static bool bits_has(const struct bits *bits, uint32_t at)
{
	return bits->words[at / 64] >> at % 64 & 1;
}

/* ------------------------------------------------------------- new and free */

struct fl_settler *fl_settler_new(
	struct fl_maps *maps, const struct fl_ids *ids, struct fl_tables *tables)
{
	struct fl_settler *settler = calloc(1, sizeof(*settler));

	if (!settler)
		return NULL;
	settler->maps = maps;
	settler->ids = ids;
	settler->tables = tables;
	settler->by_id = calloc(maps->limits.services + 1ull, sizeof(*settler->by_id));
	if (!settler->by_id) {
		fl_settler_free(settler);
		return NULL;
	}
	return settler;
}

void fl_settler_free(struct fl_settler *settler)
{
	if (!settler)
		return;
	fl_snapshot_unref(settler->snapshot);
	bits_done(&settler->endpoints);
	bits_done(&settler->found);
	free(settler->by_id);
	free(settler);
}

void fl_settler_follow(struct fl_settler *settler, struct fl_snapshot *snapshot)
{
	fl_snapshot_ref(snapshot);
	fl_snapshot_unref(settler->snapshot);
	settler->snapshot = snapshot;
	memset(settler->by_id, 0,
		(settler->maps->limits.services + 1ull) * sizeof(*settler->by_id));
	for (size_t i = 0; i < snapshot->service_count; i++)
		settler->by_id[snapshot->services[i]->id] = snapshot->services[i];
}

/* --------------------------------------------------------------------- times */

/* E: how long a pin of a silent flow is kept. */
static uint32_t keep_s(const struct fl_service *service, uint8_t proto)
{
	return proto == IPPROTO_UDP ? service->settle_udp_s : service->settle_tcp_s;
}

/* W: the longest silence among the frontends that use the table. */
static uint32_t silence_s(const struct fl_service *service, enum fl_family family)
{
	uint32_t longest = 0;

	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];
		uint32_t s = keep_s(service, frontend->proto);

		if (fl_ip_family(&frontend->addr) == family && s > longest)
			longest = s;
	}
	return longest;
}

uint32_t fl_settler_interval_s(const struct fl_settler *settler)
{
	uint32_t shortest = 2 * INTERVAL_MAX_S;

	for (size_t i = 0; settler->snapshot && i < settler->snapshot->service_count; i++) {
		const struct fl_service *service = settler->snapshot->services[i];

		for (int family = 0; family < FL_FAMILIES; family++) {
			uint32_t s = silence_s(service, (enum fl_family)family);

			if (fl_tables_move(settler->tables, service->id, (enum fl_family)family) &&
				s < shortest)
				shortest = s;
		}
	}
	return shortest / 2 < INTERVAL_MIN_S ? INTERVAL_MIN_S : shortest / 2;
}

/* ----------------------------------------------------------- tables that move */

/** A table on its way to rest. */
struct place {
	const struct fl_service *service;
	enum fl_family family;
	fl_slot *slots;
	uint32_t base;
	uint32_t size;
};

typedef void place_fn(struct fl_settler *settler, const struct place *place, uint32_t second,
	struct fl_writes *writes);

static void for_each_moving(
	struct fl_settler *settler, place_fn *each, uint32_t second, struct fl_writes *writes)
{
	for (size_t i = 0; settler->snapshot && i < settler->snapshot->service_count; i++) {
		const struct fl_service *service = settler->snapshot->services[i];

		for (int family = 0; family < FL_FAMILIES; family++) {
			fl_region region = settler->maps->services[service->id].region[family];
			struct place place = {
				.service = service,
				.family = (enum fl_family)family,
				.slots = settler->maps->slots + FL_REGION_BASE(region),
				.base = FL_REGION_BASE(region),
				.size = fl_table_size(region),
			};

			if (fl_tables_move(settler->tables, service->id, place.family))
				each(settler, &place, second, writes);
		}
	}
}

/* Swap, unless a packet postponed the slot meanwhile: then `*found` is what it is. */
static bool swap_slot(fl_slot *cell, fl_slot *found, fl_slot wanted, struct fl_writes *writes)
{
	if (!__atomic_compare_exchange_n(
		    cell, found, wanted, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return false;
	writes->slots++;
	return true;
}

static fl_slot hold_slot(struct fl_settler *settler, fl_slot *cell, uint32_t silence,
	uint32_t second, struct fl_writes *writes)
{
	fl_slot found = __atomic_load_n(cell, __ATOMIC_RELAXED);

	while (fl_slot_hold_is_due(found, silence, second)) {
		fl_slot held = fl_slot_held(found, second);

		if (!swap_slot(cell, &found, held, writes))
			continue;
		settler->counts.held++;
		return held;
	}
	return found;
}

static void hold_table(struct fl_settler *settler, const struct place *place, uint32_t second,
	struct fl_writes *writes)
{
	struct fl_service_row *row = &settler->maps->services[place->service->id];
	uint32_t silence = silence_s(place->service, place->family);
	uint32_t marked = 0, old = 0;

	for (uint32_t i = 0; i < place->size; i++) {
		fl_slot slot = hold_slot(settler, &place->slots[i], silence, second, writes);

		marked += fl_slot_is_moving(slot) != 0;
		old += fl_slot_is_old(slot) != 0;
	}
	if (old == 0 && row->old_region[place->family]) {
		fl_tables_drop_old(
			settler->tables, place->service->id, place->family, second, writes);
		settler->counts.resized++;
	}
	if (marked == 0)
		fl_tables_come_to_rest(settler->tables, place->service->id, place->family);
}

void fl_settler_hold(struct fl_settler *settler, uint32_t now_s, struct fl_writes *writes)
{
	for_each_moving(settler, hold_table, now_s, writes);
}

/* -------------------------------------------------------------------- sweep */

static void note_endpoint(struct fl_settler *settler, uint32_t id)
{
	if (id <= settler->maps->limits.endpoints)
		bits_set(&settler->endpoints, id);
}

static void note_table(struct fl_settler *settler, fl_region region)
{
	uint32_t base = FL_REGION_BASE(region), size = fl_table_size(region);

	for (uint32_t i = base; i < base + size; i++) {
		fl_slot slot = __atomic_load_n(&settler->maps->slots[i], __ATOMIC_RELAXED);

		note_endpoint(settler, fl_slot_now(slot));
		note_endpoint(settler, fl_slot_before(slot));
	}
}

static void note_tables(struct fl_settler *settler)
{
	for (uint32_t id = 1; id <= settler->maps->limits.services; id++)
		for (int family = 0; family < FL_FAMILIES; family++) {
			note_table(settler, settler->maps->services[id].region[family]);
			note_table(settler, settler->maps->services[id].old_region[family]);
		}
}

/* The walk over one of the two tables of pins. */
struct pins {
	struct fl_settler *settler;
	uint32_t begun_s; /* pins are judged by it too: a little too young is safe */
	enum fl_map map;
	uint32_t old; /* pins that count against the half for old flows */
};

/* Index of a pin's slot. @return false when it has none: nobody will look for it */
static bool find_slot(const struct fl_settler *settler, const struct fl_pin *pin, uint32_t *ret)
{
	const struct fl_service_row *row;
	fl_region region;

	if (pin->service > settler->maps->limits.services || pin->family >= FL_FAMILIES)
		return false;
	row = &settler->maps->services[pin->service];
	region = row->region[pin->family];
	if (!row->in_use || row->forward == FL_NAT || !fl_table_size(region))
		return false;
	*ret = FL_REGION_BASE(region) + fl_hash_slot(pin->hash, fl_table_size(region));
	return true;
}

static bool is_free(const struct pins *pins, const struct fl_flow *flow, const struct fl_pin *pin)
{
	const struct fl_settler *settler = pins->settler;
	const struct fl_service *service;
	uint32_t slot;

	if (fl_ids_is_resting(settler->ids, pin->endpoint) || !find_slot(settler, pin, &slot))
		return true;
	service = settler->by_id[pin->service];
	if (!service)
		return false;
	return fl_slot_frees_pin(__atomic_load_n(&settler->maps->slots[slot], __ATOMIC_RELAXED),
		pin, keep_s(service, flow->proto), pins->begun_s, pins->begun_s);
}

/* Look once more, right before: the flow may have spoken since the batch was read. */
static bool free_pin(const struct pins *pins, const struct fl_flow *flow)
{
	int fd = pins->settler->maps->fd[pins->map];
	struct fl_pin pin;

	if (bpf_map_lookup_elem(fd, flow, &pin) < 0)
		return true; /* gone by itself */
	if (!is_free(pins, flow, &pin))
		return false;
	bpf_map_delete_elem(fd, flow);
	pins->settler->counts.pins_freed++;
	return true;
}

static int sweep_pin(void *context, const void *key, const void *value)
{
	struct pins *pins = context;
	struct fl_settler *settler = pins->settler;
	const struct fl_flow *flow = key;
	const struct fl_pin *pin = value;
	uint32_t slot;

	if (find_slot(settler, pin, &slot))
		bits_set(&settler->found, slot);
	note_endpoint(settler, pin->endpoint);
	if (is_free(pins, flow, pin) && free_pin(pins, flow))
		return 0;
	pins->old += pin->old;
	return 0;
}

/* `opening` first: a pin that is promoted meanwhile is met in `pins` again. */
static int sweep_pins(struct fl_settler *settler, uint32_t now_s)
{
	struct pins pins = { .settler = settler, .begun_s = now_s, .map = FL_MAP_opening };
	int r = fl_walk(settler->maps, FL_MAP_opening, sweep_pin, &pins);

	if (r < 0)
		return r;
	pins.map = FL_MAP_pins;
	pins.old = 0;
	r = fl_walk(settler->maps, FL_MAP_pins, sweep_pin, &pins);
	if (r == 0)
		__atomic_store_n(&settler->maps->pressure->old_pins, pins.old, __ATOMIC_RELAXED);
	return r;
}

static void settle_table(struct fl_settler *settler, const struct place *place, uint32_t begun_s,
	struct fl_writes *writes)
{
	for (uint32_t i = 0; i < place->size; i++) {
		fl_slot found = __atomic_load_n(&place->slots[i], __ATOMIC_RELAXED);

		if (bits_has(&settler->found, place->base + i) ||
			!fl_slot_settle_is_due(found, begun_s))
			continue;
		settler->counts.settled += swap_slot(
			&place->slots[i], &found, fl_slot_settled(fl_slot_now(found)), writes);
	}
}

static int begin(struct fl_settler *settler)
{
	const struct fl_limits *limits = &settler->maps->limits;

	bits_done(&settler->endpoints);
	if (bits_new(&settler->endpoints, limits->endpoints) < 0 ||
		bits_new(&settler->found, limits->slots) < 0)
		return -ENOMEM;
	note_tables(settler);
	return 0;
}

int fl_settler_sweep(struct fl_settler *settler, uint32_t now_s, struct fl_writes *writes)
{
	int r = begin(settler);

	if (r == 0)
		r = sweep_pins(settler, now_s);
	if (r == 0) {
		for_each_moving(settler, settle_table, now_s, writes);
		settler->counts.sweeps++;
	} else {
		bits_done(&settler->endpoints);
	}
	bits_done(&settler->found);
	return r;
}

bool fl_settler_found_unused(const struct fl_settler *settler, uint32_t endpoint)
{
	return settler->endpoints.words && !bits_has(&settler->endpoints, endpoint);
}

const struct fl_settle_counts *fl_settler_counts(const struct fl_settler *settler)
{
	return &settler->counts;
}
