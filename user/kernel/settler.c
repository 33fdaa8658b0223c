/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/settler.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "balance/settle.h"
#include "fairlead/hash.h"
#include "fairlead/pin.h"
#include "fairlead/slot.h"
#include "kernel/walk.h"

#define INTERVAL_MIN_S 3
#define INTERVAL_MAX_S 10

struct fl_settler {
	struct fl_maps *maps;
	const struct fl_ids *ids;
	struct fl_tables *tables;
	struct fl_settle *settle;
	struct fl_snapshot *snapshot;    /* NULL = none yet */
	const struct fl_service **by_id; /* its services, by number */
	bool may_have_pins;              /* slots moved since the last sweep, or it left some */
	bool ticked;
	uint32_t swept_s; /* when the last sweep began; before it, the first tick */
	struct fl_settle_counts counts;
};

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
	/* Adopted tables may have pins, whatever their slots say. */
	settler->may_have_pins = fl_tables_any_moves(tables);
	settler->settle = fl_settle_new(maps->limits.slots, maps->limits.endpoints);
	settler->by_id = calloc(maps->limits.services + 1ull, sizeof(*settler->by_id));
	if (!settler->settle || !settler->by_id) {
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
	fl_settle_free(settler->settle);
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

static uint32_t interval_s(const struct fl_settler *settler)
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

bool fl_settler_sweep_is_due(const struct fl_settler *settler, bool any_resting, uint32_t now_s)
{
	if (!any_resting && !settler->may_have_pins && !fl_tables_any_moves(settler->tables))
		return false;
	return fl_settle_may_begin(settler->settle, now_s) &&
	       now_s - settler->swept_s >= interval_s(settler);
}

/* ------------------------------------------------------------------- tables */

static struct fl_slot_table table_of(
	const struct fl_settler *settler, const struct fl_service *service, enum fl_family family)
{
	fl_region region = settler->maps->services[service->id].region[family];

	return (struct fl_slot_table){
		.slots = settler->maps->slots + FL_REGION_BASE(region),
		.size = fl_table_size(region),
		.base = FL_REGION_BASE(region),
		.keep_tcp_s = keep_s(service, IPPROTO_TCP),
		.keep_udp_s = keep_s(service, IPPROTO_UDP),
		.silence_s = silence_s(service, family),
	};
}

typedef void table_fn(struct fl_settler *settler, const struct fl_service *service,
	enum fl_family family, uint32_t second, struct fl_writes *writes);

static void for_each_moving(
	struct fl_settler *settler, table_fn *each, uint32_t second, struct fl_writes *writes)
{
	for (size_t i = 0; settler->snapshot && i < settler->snapshot->service_count; i++) {
		const struct fl_service *service = settler->snapshot->services[i];

		for (int family = 0; family < FL_FAMILIES; family++)
			if (fl_tables_move(settler->tables, service->id, (enum fl_family)family))
				each(settler, service, (enum fl_family)family, second, writes);
	}
}

/* --------------------------------------------------------------------- hold */

static void hold_table(struct fl_settler *settler, const struct fl_service *service,
	enum fl_family family, uint32_t second, struct fl_writes *writes)
{
	struct fl_slot_table table = table_of(settler, service, family);
	struct fl_slot_tally tally = { 0 };

	fl_settle_hold(&table, second, &tally);
	writes->slots += tally.held;
	settler->counts.held += tally.held;
	if (tally.old == 0 && settler->maps->services[service->id].old_region[family]) {
		fl_tables_drop_old(settler->tables, service->id, family, second, writes);
		settler->counts.resized++;
	}
	if (tally.marked == 0)
		fl_tables_come_to_rest(settler->tables, service->id, family);
}

void fl_settler_tick(struct fl_settler *settler, uint32_t now_s, struct fl_writes *writes)
{
	if (!settler->ticked)
		settler->swept_s = now_s;
	settler->ticked = true;
	fl_settle_tick(settler->settle, now_s);
	for_each_moving(settler, hold_table, now_s, writes);
	settler->may_have_pins |= fl_tables_any_moves(settler->tables);
}

/* -------------------------------------------------------------------- sweep */

static void note_table(struct fl_settler *settler, fl_region region)
{
	uint32_t base = FL_REGION_BASE(region), size = fl_table_size(region);

	for (uint32_t i = base; i < base + size; i++) {
		fl_slot slot = __atomic_load_n(&settler->maps->slots[i], __ATOMIC_RELAXED);

		fl_settle_note(settler->settle, fl_slot_now(slot));
		fl_settle_note(settler->settle, fl_slot_before(slot));
	}
}

/** Services that numbers which rest belonged to, by number. */
struct owners {
	const struct fl_maps *maps;
	bool *has;
};

static void note_owner(void *context, uint32_t endpoint)
{
	const struct owners *owners = context;
	uint32_t service = owners->maps->endpoints[endpoint].service;

	if (service <= owners->maps->limits.services)
		owners->has[service] = true;
}

/* Only the slots of its own service can hold an endpoint, and only of those that rest
 * does anybody want to know. @return 0, -ENOMEM */
static int note_tables(struct fl_settler *settler)
{
	const struct fl_maps *maps = settler->maps;
	struct owners owners = { .maps = maps,
		.has = calloc(maps->limits.services + 1ull, sizeof(*owners.has)) };

	if (!owners.has)
		return -ENOMEM;
	fl_ids_for_resting(settler->ids, note_owner, &owners);
	for (uint32_t id = 1; id <= maps->limits.services; id++)
		for (int family = 0; family < FL_FAMILIES && owners.has[id]; family++) {
			note_table(settler, maps->services[id].region[family]);
			note_table(settler, maps->services[id].old_region[family]);
		}
	free(owners.has);
	return 0;
}

/* The walk over one of the two tables of pins. */
struct pins {
	struct fl_settler *settler;
	uint32_t begun_s; /* pins are judged by it too: a little too young is safe */
	enum fl_map map;
	uint64_t left;
	uint32_t old; /* of those: count against the half for old flows */
};

/* Whether anybody will look for this pin: its service has slots that may move. */
static bool has_table(const struct fl_settler *settler, const struct fl_pin *pin)
{
	const struct fl_service_row *row;

	if (pin->service > settler->maps->limits.services || pin->family >= FL_FAMILIES)
		return false;
	row = &settler->maps->services[pin->service];
	return row->in_use && row->forward != FL_NAT && fl_table_size(row->region[pin->family]);
}

/* Its endpoint has left, or is another's by now. */
static bool is_gone(const struct fl_settler *settler, const struct fl_pin *pin)
{
	return pin->endpoint > settler->maps->limits.endpoints ||
	       settler->maps->endpoints[pin->endpoint].service != pin->service ||
	       fl_ids_is_resting(settler->ids, pin->endpoint);
}

static bool is_free(const struct pins *pins, const struct fl_flow *flow, const struct fl_pin *pin)
{
	struct fl_settler *settler = pins->settler;
	const struct fl_service *service;
	struct fl_slot_table table;

	if (!has_table(settler, pin))
		return fl_settle_pin(settler->settle, NULL, pin, flow->proto, true, pins->begun_s);
	service = settler->by_id[pin->service];
	if (!service) { /* before the first snapshot: how long it is kept is not known */
		fl_settle_note(settler->settle, pin->endpoint);
		return false;
	}
	table = table_of(settler, service, pin->family);
	return fl_settle_pin(
		settler->settle, &table, pin, flow->proto, is_gone(settler, pin), pins->begun_s);
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
	const struct fl_flow *flow = key;
	const struct fl_pin *pin = value;
	struct pins *pins = context;

	if (is_free(pins, flow, pin) && free_pin(pins, flow))
		return 0;
	pins->left++;
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
	if (r < 0)
		return r;
	__atomic_store_n(&settler->maps->pressure->old_pins, pins.old, __ATOMIC_RELAXED);
	settler->may_have_pins = pins.left > 0;
	return 0;
}

static void settle_table(struct fl_settler *settler, const struct fl_service *service,
	enum fl_family family, uint32_t second, struct fl_writes *writes)
{
	struct fl_slot_table table = table_of(settler, service, family);
	struct fl_slot_tally tally = { 0 };

	(void)second;
	fl_settle_table(settler->settle, &table, &tally);
	writes->slots += tally.settled;
	settler->counts.settled += tally.settled;
}

int fl_settler_sweep(struct fl_settler *settler, uint32_t now_s, struct fl_writes *writes)
{
	int r = fl_settle_begin(settler->settle, now_s);

	settler->swept_s = now_s;
	if (r < 0)
		return r;
	r = note_tables(settler);
	if (r == 0)
		r = sweep_pins(settler, now_s);
	if (r < 0) {
		fl_settle_give_up(settler->settle);
		return r;
	}
	for_each_moving(settler, settle_table, now_s, writes);
	fl_settle_end(settler->settle);
	settler->counts.sweeps++;
	return 0;
}

bool fl_settler_found_unused(const struct fl_settler *settler, uint32_t endpoint)
{
	return fl_settle_is_unused(settler->settle, endpoint);
}

const struct fl_settle_counts *fl_settler_counts(const struct fl_settler *settler)
{
	return &settler->counts;
}
