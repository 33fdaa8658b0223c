/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/tables.h"

#include <errno.h>
#include <stdlib.h>

#include "balance/maglev.h"
#include "balance/regions.h"
#include "balance/settle.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "fairlead/slot.h"

static const uint32_t sizes[FL_SIZE_CLASSES] = FL_SIZES;
#define SIZE_MAX_SLOTS 65537

/* What is known of one table beside its row. */
struct table {
	bool moves; /* slots may be marked, or an old table is there */
	bool waits; /* another size is wished for */
};

struct fl_tables {
	struct fl_maps *maps;
	struct fl_regions *regions;
	struct table (*by_service)[FL_FAMILIES];
	unsigned moving;                 /* how many tables move */
	uint32_t wanted[SIZE_MAX_SLOTS]; /**< ids of the table being built */
};

static int class_of(uint32_t size)
{
	for (int class = 0; class < FL_SIZE_CLASSES; class ++)
		if (sizes[class] == size)
			return class;
	return -1;
}

uint32_t fl_table_size(fl_region region)
{
	int class = FL_REGION_CLASS(region);

	return class < 0 || class >= FL_SIZE_CLASSES ? 0 : sizes[class];
}

static void set_moves(struct fl_tables *tables, uint32_t service, enum fl_family family, bool moves)
{
	struct table *table = &tables->by_service[service][family];

	tables->moving += (unsigned)moves - (unsigned)table->moves;
	table->moves = moves;
}

static fl_region *region_cell(struct fl_tables *tables, uint32_t service, enum fl_family family)
{
	return &tables->maps->services[service].region[family];
}

/* -------------------------------------------------------------------- adopt */

static int adopt_region(
	struct fl_tables *tables, uint32_t service, fl_region region, struct fl_failure *failure)
{
	int r;

	if (region == 0)
		return 0;
	if (fl_table_size(region) == 0)
		return fl_fail(failure, -EPROTO, "the pinned row of service %u names no table size",
			service);
	r = fl_regions_adopt(tables->regions, FL_REGION_BASE(region), fl_table_size(region));
	if (r == -ENOMEM)
		return fl_fail(failure, r, "out of memory");
	if (r < 0)
		return fl_fail(failure, -EPROTO,
			"the slot table of service %u in the pinned maps %s", service,
			r == -EEXIST ? "overlaps another one" : "lies outside of the map");
	return 0;
}

/* Killed between the two stores of a change of size: it has not happened. */
static void undo_half_resize(struct fl_service_row *row, int family)
{
	if (row->old_region[family] == row->region[family])
		__atomic_store_n(&row->old_region[family], 0, __ATOMIC_RELEASE);
}

static int adopt_table(
	struct fl_tables *tables, uint32_t service, int family, struct fl_failure *failure)
{
	struct fl_service_row *row = &tables->maps->services[service];
	int r;

	if (row->region[family] == 0 && row->old_region[family] == 0)
		return 0;
	undo_half_resize(row, family);
	/* Whether slots move shows when the settler looks at them. */
	set_moves(tables, service, (enum fl_family)family, row->forward != FL_NAT);
	r = adopt_region(tables, service, row->region[family], failure);
	return r < 0 ? r : adopt_region(tables, service, row->old_region[family], failure);
}

static int adopt_all(struct fl_tables *tables, struct fl_failure *failure)
{
	int r = 0;

	for (uint32_t id = 1; id <= tables->maps->limits.services; id++)
		for (int family = 0; family < FL_FAMILIES && r == 0; family++)
			if (tables->maps->services[id].in_use)
				r = adopt_table(tables, id, family, failure);
	return r;
}

int fl_tables_new(struct fl_maps *maps, struct fl_failure *failure, struct fl_tables **ret)
{
	struct fl_tables *tables = calloc(1, sizeof(*tables));
	int r;

	if (!tables)
		return fl_fail(failure, -ENOMEM, "out of memory");
	tables->maps = maps;
	tables->regions = fl_regions_new(maps->limits.slots);
	tables->by_service = calloc(maps->limits.services + 1ull, sizeof(*tables->by_service));
	r = tables->regions && tables->by_service ? adopt_all(tables, failure)
						  : fl_fail(failure, -ENOMEM, "out of memory");
	if (r < 0) {
		fl_tables_free(tables);
		return r;
	}
	*ret = tables;
	return 0;
}

void fl_tables_free(struct fl_tables *tables)
{
	if (!tables)
		return;
	fl_regions_free(tables->regions);
	free(tables->by_service);
	free(tables);
}

/* -------------------------------------------------------------------- build */

static bool takes_new_flows(
	const struct fl_service *service, enum fl_family family, const struct fl_endpoint *endpoint)
{
	return fl_endpoint_takes_flows(endpoint) && fl_service_uses(service, family, endpoint);
}

/* Fill tables->wanted. @return 0, -ENOMEM, -ENOSPC (more endpoints than slots) */
static int build(struct fl_tables *tables, const struct fl_service *service, enum fl_family family,
	uint32_t size)
{
	_cleanup_free_ struct fl_maglev_entry *entries =
		calloc(service->endpoint_count + 1, sizeof(*entries));
	size_t count = 0;

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < service->endpoint_count; i++) {
		const struct fl_endpoint *endpoint = &service->endpoints[i];

		if (takes_new_flows(service, family, endpoint))
			entries[count++] = (struct fl_maglev_entry){
				.addr = endpoint->addr,
				.port = endpoint->port,
				.weight = fl_endpoint_share(endpoint),
				.id = endpoint->id,
			};
	}
	if (count >= size)
		return -ENOSPC;
	return fl_maglev_build(entries, count, size, tables->wanted);
}

/* -------------------------------------------------------------------- write */

/* Write a table that no packet can find yet. */
static void fill_unused(struct fl_tables *tables, uint32_t base, uint32_t size, bool resized,
	uint32_t now_s, struct fl_writes *writes)
{
	fl_slot *slots = tables->maps->slots + base;

	for (uint32_t i = 0; i < size; i++) {
		fl_slot wanted = resized ? fl_slot_resized(tables->wanted[i], now_s)
					 : fl_slot_settled(tables->wanted[i]);

		if (slots[i] == wanted)
			continue;
		slots[i] = wanted;
		writes->slots++;
	}
}

/* Write a slot that packets read; those of nat write none. @return whether it was another */
static bool change_slot(fl_slot *cell, uint32_t now, bool settled, uint32_t now_s)
{
	fl_slot wanted = fl_slot_settled(now);

	if (!settled)
		return fl_settle_change(cell, now, now_s);
	if (__atomic_load_n(cell, __ATOMIC_RELAXED) == wanted)
		return false;
	__atomic_store_n(cell, wanted, __ATOMIC_RELAXED);
	return true;
}

static int edit_in_place(struct fl_tables *tables, const struct fl_service *service,
	enum fl_family family, uint32_t now_s, struct fl_writes *writes)
{
	fl_region region = *region_cell(tables, service->id, family);
	uint32_t base = FL_REGION_BASE(region), size = fl_table_size(region);
	bool settled = service->forward == FL_NAT;
	int r = build(tables, service, family, size);

	if (r == 0)
		r = fl_maps_reach(tables->maps, FL_MAP_slots, base + size);
	for (uint32_t i = 0; i < size && r == 0; i++) {
		fl_slot *cell = &tables->maps->slots[base + i];
		bool moved = fl_slot_now(*cell) != tables->wanted[i];

		if (!change_slot(cell, tables->wanted[i], settled, now_s))
			continue;
		writes->slots++;
		writes->slots_moved += moved;
		if (!settled)
			set_moves(tables, service->id, family, true);
	}
	return r;
}

/* A place for `size` slots, at hand for writing. @return 0, -ENOSPC, -ENOMEM */
static int take(struct fl_tables *tables, uint32_t size, uint32_t now_s, uint32_t *ret_base)
{
	int r = fl_regions_take(tables->regions, size, ret_base);

	if (r < 0)
		return r;
	r = fl_maps_reach(tables->maps, FL_MAP_slots, *ret_base + size);
	if (r < 0)
		fl_regions_give(tables->regions, *ret_base, now_s);
	return r;
}

static void store_region(fl_region *cell, fl_region region, struct fl_writes *writes)
{
	if (*cell == region)
		return;
	__atomic_store_n(cell, region, __ATOMIC_RELEASE);
	writes->services++;
}

/* The new table is complete before a packet can find it. One whose flows need the
 * old table gets its place beside it: packets read the new place first. */
static int swing(struct fl_tables *tables, const struct fl_service *service, enum fl_family family,
	uint32_t size, uint32_t now_s, struct fl_writes *writes)
{
	struct fl_service_row *row = &tables->maps->services[service->id];
	fl_region old = row->region[family];
	bool resized = fl_table_size(old) && service->forward != FL_NAT;
	uint32_t base;
	int r = take(tables, size, now_s, &base);

	if (r < 0)
		return r;
	r = build(tables, service, family, size);
	if (r < 0) {
		fl_regions_give(tables->regions, base, now_s);
		return r;
	}
	fill_unused(tables, base, size, resized, now_s, writes);
	if (resized) {
		store_region(&row->old_region[family], old, writes);
		set_moves(tables, service->id, family, true);
	}
	store_region(&row->region[family], FL_REGION(base, class_of(size), FL_REGION_GEN(old) + 1),
		writes);
	if (fl_table_size(old) && !resized)
		fl_regions_give(tables->regions, FL_REGION_BASE(old), now_s);
	return 0;
}

static int explain_put(struct fl_failure *failure, int code, const struct fl_tables *tables,
	const struct fl_service *service, uint32_t size)
{
	if (code != -ENOSPC)
		return fl_fail(failure, code, "cannot build the slot table of %s: %s",
			service->name, fl_log_errno(code));
	fl_fail(failure, code, "no room for the %u slots of %s: %u of %u are in use", size,
		service->name, fl_regions_in_use(tables->regions), tables->maps->limits.slots);
	fl_fail_hint(failure,
		"raise `limits.slots` (needs fairleadd --detach and a restart), or set a "
		"smaller `slots:` for large services");
	return code;
}

/* Change the size if that can be done now; else the old size does for a while. */
static int put(struct fl_tables *tables, const struct fl_service *service, enum fl_family family,
	uint32_t size, uint32_t now_s, struct fl_writes *writes)
{
	struct fl_service_row *row = &tables->maps->services[service->id];
	uint32_t have = fl_table_size(row->region[family]);
	struct table *table = &tables->by_service[service->id][family];
	int r = -ENOSPC;

	if (service->forward == FL_NAT)
		fl_tables_drop_old(tables, service->id, family, now_s, writes);
	if (have != size && row->old_region[family] == 0)
		r = swing(tables, service, family, size, now_s, writes);
	table->waits = have != size && r == -ENOSPC;
	if (have && r == -ENOSPC)
		r = edit_in_place(tables, service, family, now_s, writes);
	return r;
}

int fl_tables_put(struct fl_tables *tables, const struct fl_service *service, enum fl_family family,
	uint32_t now_s, struct fl_writes *writes, struct fl_failure *failure)
{
	uint32_t size = fl_service_table_size(service, family);
	int r;

	if (size == 0) {
		fl_tables_drop(tables, service->id, family, now_s, writes);
		return 0;
	}
	r = put(tables, service, family, size, now_s, writes);
	if (r == 0 && service->forward == FL_NAT)
		set_moves(tables, service->id, family, false);
	return r < 0 ? explain_put(failure, r, tables, service, size) : 0;
}

bool fl_tables_wait(const struct fl_tables *tables, uint32_t service, enum fl_family family)
{
	return tables->by_service[service][family].waits;
}

void fl_tables_retry(struct fl_tables *tables, const struct fl_service *service,
	enum fl_family family, uint32_t now_s, struct fl_writes *writes)
{
	uint32_t size = fl_service_table_size(service, family);
	struct table *table = &tables->by_service[service->id][family];

	if (!table->waits || tables->maps->services[service->id].old_region[family])
		return;
	table->waits = swing(tables, service, family, size, now_s, writes) == -ENOSPC;
}

void fl_tables_drop(struct fl_tables *tables, uint32_t service, enum fl_family family,
	uint32_t now_s, struct fl_writes *writes)
{
	fl_region *cell = region_cell(tables, service, family);
	fl_region old = *cell;

	store_region(cell, 0, writes);
	if (fl_table_size(old))
		fl_regions_give(tables->regions, FL_REGION_BASE(old), now_s);
	fl_tables_drop_old(tables, service, family, now_s, writes);
	fl_tables_come_to_rest(tables, service, family);
	tables->by_service[service][family].waits = false;
}

/* --------------------------------------------------------------------- rest */

bool fl_tables_move(const struct fl_tables *tables, uint32_t service, enum fl_family family)
{
	return tables->by_service[service][family].moves;
}

bool fl_tables_any_moves(const struct fl_tables *tables)
{
	return tables->moving > 0;
}

void fl_tables_come_to_rest(struct fl_tables *tables, uint32_t service, enum fl_family family)
{
	set_moves(tables, service, family, false);
}

void fl_tables_drop_old(struct fl_tables *tables, uint32_t service, enum fl_family family,
	uint32_t now_s, struct fl_writes *writes)
{
	fl_region *cell = &tables->maps->services[service].old_region[family];
	fl_region old = *cell;

	store_region(cell, 0, writes);
	if (fl_table_size(old))
		fl_regions_give(tables->regions, FL_REGION_BASE(old), now_s);
}

void fl_tables_rest(struct fl_tables *tables, uint32_t now_s)
{
	fl_regions_rest(tables->regions, now_s);
}

uint32_t fl_tables_slots_in_use(const struct fl_tables *tables)
{
	return fl_regions_in_use(tables->regions);
}
