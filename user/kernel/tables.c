/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/tables.h"

#include <errno.h>
#include <stdlib.h>

#include "balance/maglev.h"
#include "balance/regions.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "fairlead/slot.h"

static const uint32_t sizes[FL_SIZE_CLASSES] = FL_SIZES;
#define SIZE_MAX_SLOTS 65537

struct fl_tables {
	struct fl_maps *maps;
	struct fl_regions *regions;
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

static int adopt_all(struct fl_tables *tables, struct fl_failure *failure)
{
	int r = 0;

	for (uint32_t id = 1; id <= tables->maps->limits.services; id++) {
		const struct fl_service_row *row = &tables->maps->services[id];

		for (int family = 0; family < FL_FAMILIES && row->in_use && r == 0; family++) {
			r = adopt_region(tables, id, row->region[family], failure);
			if (r == 0)
				r = adopt_region(tables, id, row->old_region[family], failure);
		}
	}
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
	r = tables->regions ? adopt_all(tables, failure)
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
	free(tables);
}

/* -------------------------------------------------------------------- build */

static bool takes_new_flows(
	const struct fl_service *service, enum fl_family family, const struct fl_endpoint *endpoint)
{
	return endpoint->state == FL_UP && endpoint->weight > 0 &&
	       fl_service_uses(service, family, endpoint);
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
				.weight = endpoint->weight,
				.id = endpoint->id,
			};
	}
	if (count >= size)
		return -ENOSPC;
	return fl_maglev_build(entries, count, size, tables->wanted);
}

/* -------------------------------------------------------------------- write */

/* Write what differs. In a table that is not in use yet nothing moves. */
static void fill(struct fl_tables *tables, uint32_t base, uint32_t size, bool in_use,
	struct fl_writes *writes)
{
	fl_slot *slots = tables->maps->slots + base;

	for (uint32_t i = 0; i < size; i++) {
		fl_slot wanted = fl_slot_settled(tables->wanted[i]);
		fl_slot found = slots[i];

		if (found == wanted)
			continue;
		__atomic_store_n(&slots[i], wanted, __ATOMIC_RELAXED);
		writes->slots++;
		if (in_use && fl_slot_now(found) != fl_slot_now(wanted))
			writes->slots_moved++;
	}
}

static int edit_in_place(struct fl_tables *tables, const struct fl_service *service,
	enum fl_family family, fl_region region, struct fl_writes *writes)
{
	uint32_t size = fl_table_size(region);
	int r = build(tables, service, family, size);

	if (r == 0)
		r = fl_maps_reach(tables->maps, FL_MAP_slots, FL_REGION_BASE(region) + size);
	if (r == 0)
		fill(tables, FL_REGION_BASE(region), size, true, writes);
	return r;
}

/* The new table is complete before a packet can find it. */
static int swing(struct fl_tables *tables, const struct fl_service *service, enum fl_family family,
	uint32_t size, uint32_t now_s, struct fl_writes *writes)
{
	fl_region *cell = region_cell(tables, service->id, family);
	fl_region old = *cell;
	uint32_t base;
	int r = build(tables, service, family, size);

	if (r == 0)
		r = fl_regions_take(tables->regions, size, &base);
	if (r < 0)
		return r;
	r = fl_maps_reach(tables->maps, FL_MAP_slots, base + size);
	if (r < 0) {
		fl_regions_give(tables->regions, base, now_s);
		return r;
	}
	fill(tables, base, size, false, writes);
	__atomic_store_n(
		cell, FL_REGION(base, class_of(size), FL_REGION_GEN(old) + 1), __ATOMIC_RELEASE);
	writes->services++;
	if (fl_table_size(old))
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

int fl_tables_put(struct fl_tables *tables, const struct fl_service *service, enum fl_family family,
	uint32_t now_s, struct fl_writes *writes, struct fl_failure *failure)
{
	uint32_t size = fl_service_table_size(service, family);
	fl_region region = *region_cell(tables, service->id, family);
	int r;

	if (size == 0) {
		fl_tables_drop(tables, service->id, family, now_s, writes);
		return 0;
	}
	if (fl_table_size(region) == size)
		r = edit_in_place(tables, service, family, region, writes);
	else
		r = swing(tables, service, family, size, now_s, writes);
	if (r == -ENOSPC && fl_table_size(region) && fl_table_size(region) != size)
		r = edit_in_place(tables, service, family, region, writes);
	return r < 0 ? explain_put(failure, r, tables, service, size) : 0;
}

void fl_tables_drop(struct fl_tables *tables, uint32_t service, enum fl_family family,
	uint32_t now_s, struct fl_writes *writes)
{
	fl_region *cell = region_cell(tables, service, family);
	fl_region old = *cell;

	if (old == 0)
		return;
	__atomic_store_n(cell, 0, __ATOMIC_RELEASE);
	writes->services++;
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
