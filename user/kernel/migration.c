/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/migration.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "kernel/bpffs.h"
#include "kernel/object.h"
#include "kernel/tables.h"
#include "kernel/walk.h"

struct fl_migration {
	char *bpffs;
	struct fl_maps old;
	/* As they were copied; NULL after a resume. */
	struct fl_nat_used_row *nat_used;
	fl_slot *slots;
	uint32_t row_count, slot_count;
};

void fl_migration_free(struct fl_migration *migration)
{
	if (!migration)
		return;
	fl_maps_close(&migration->old);
	free(migration->nat_used);
	free(migration->slots);
	free(migration->bpffs);
	free(migration);
}

static struct fl_migration *migration_new(const char *bpffs)
{
	struct fl_migration *migration = calloc(1, sizeof(*migration));

	if (!migration)
		return NULL;
	migration->bpffs = strdup(bpffs);
	if (!migration->bpffs) {
		free(migration);
		return NULL;
	}
	return migration;
}

/* ------------------------------------------------------------------------ fits */

static uint32_t highest_service(const struct fl_maps *maps)
{
	uint32_t id = maps->limits.services;

	while (id > 0 && !maps->services[id].in_use)
		id--;
	return id;
}

static uint32_t highest_endpoint(const struct fl_maps *maps)
{
	uint32_t id = maps->limits.endpoints;

	while (id > 0 && !maps->endpoints[id].service)
		id--;
	return id;
}

static uint32_t end_of(fl_region region)
{
	uint32_t size = fl_table_size(region);

	return size ? FL_REGION_BASE(region) + size : 0;
}

static uint32_t highest_slot(const struct fl_maps *maps)
{
	uint32_t end = 0;

	for (uint32_t id = 1; id <= maps->limits.services; id++)
		for (int family = 0; family < FL_FAMILIES; family++) {
			uint32_t now = end_of(maps->services[id].region[family]);
			uint32_t before = end_of(maps->services[id].old_region[family]);

			end = now > end ? now : end;
			end = before > end ? before : end;
		}
	return end;
}

/* Numbers are what slots, pins and flows hold: they cannot be given anew. */
static int check_fit(
	const struct fl_maps *old, const struct fl_limits *limits, struct fl_failure *failure)
{
	const struct {
		const char *name;
		uint32_t highest, limit;
	} rows[] = {
		{ "services", highest_service(old), limits->services },
		{ "endpoints", highest_endpoint(old), limits->endpoints },
		{ "slots", highest_slot(old), limits->slots },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].highest > rows[i].limit)
			return fl_fail(failure, -EPROTO,
				"limits.%s is %u, but the pinned maps use numbers up to %u",
				rows[i].name, rows[i].limit, rows[i].highest);
	return 0;
}

/* ------------------------------------------------------------------------ copy */

static int put(void *context, const void *key, const void *value)
{
	const int *fd = context;

	if (bpf_map_update_elem(*fd, key, value, BPF_ANY) == 0)
		return 0;
	/* An interface that packets left by may be gone. */
	return errno == ENODEV || errno == EINVAL ? 0 : -errno;
}

static int put_new(void *context, const void *key, const void *value)
{
	const int *fd = context;

	if (bpf_map_update_elem(*fd, key, value, BPF_NOEXIST) == 0)
		return 0;
	/* It is there already, or there is no room: as for any pin, it is made do without. */
	return errno == EEXIST || errno == E2BIG ? 0 : -errno;
}

/* Row by row. Not `meta`, which is new; not `nat`, whose tables are shared; not the timer,
 * which is armed anew; not what is remembered, see below. */
static bool is_copied(enum fl_map map)
{
	return map != FL_MAP_meta && map != FL_MAP_nat && map != FL_MAP_timers &&
	       map != FL_MAP_slots && map != FL_MAP_nat_used;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* What programs go on changing in place: the copy is of one moment, and kept, so that it
 * can be told later what was changed after it. */
static int copy_remembered(struct fl_migration *migration, struct fl_maps *new)
{
	const struct fl_maps *old = &migration->old;
	uint32_t slots = smaller(old->limits.slots, new->limits.slots);
	uint32_t rows = smaller(old->limits.endpoints, new->limits.endpoints) + 1;
	int r = fl_maps_reach(new, FL_MAP_slots, slots);

	if (r == 0)
		r = fl_maps_reach(new, FL_MAP_nat_used, rows);
	if (r < 0)
		return r;
	migration->slots = malloc(slots * sizeof(fl_slot));
	migration->nat_used = malloc(rows * sizeof(struct fl_nat_used_row));
	if (!migration->slots || !migration->nat_used)
		return -ENOMEM;
	memcpy(migration->slots, old->slots, slots * sizeof(fl_slot));
	memcpy(new->slots, migration->slots, slots * sizeof(fl_slot));
	memcpy(migration->nat_used, old->nat_used, rows * sizeof(struct fl_nat_used_row));
	memcpy(new->nat_used, migration->nat_used, rows * sizeof(struct fl_nat_used_row));
	migration->slot_count = slots;
	migration->row_count = rows;
	return 0;
}

static int copy_all(struct fl_migration *migration, struct fl_maps *new)
{
	int r = copy_remembered(migration, new);

	for (int map = 0; map < FL_MAP_COUNT && r == 0; map++)
		if (is_copied(map) && migration->old.fd[map] >= 0)
			r = fl_walk(&migration->old, map, put, &new->fd[map]);
	return r;
}

/* ----------------------------------------------------------------------- begin */

static struct fl_meta_row new_meta(const struct fl_maps *old, const struct fl_limits *limits)
{
	struct fl_meta_row meta = *old->meta;

	meta.abi = FL_ABI_VERSION;
	meta.services = limits->services;
	meta.endpoints = limits->endpoints;
	meta.slots = limits->slots;
	meta.flows = limits->flows;
	return meta;
}

/* Their pins stand beside the maps. */
static int share_nat_tables(const struct fl_maps *old, const char *dir)
{
	char name[32];
	int r = 0;

	for (unsigned i = 0; i < FL_NAT_GENERATIONS && old->nat_fd[i] >= 0 && r == 0; i++) {
		snprintf(name, sizeof(name), "nat_%u", old->nat_number[i]);
		r = fl_bpffs_pin(old->nat_fd[i], dir, name);
	}
	return r;
}

static int make_new(struct fl_migration *migration, struct bpf_object *object, const char *dir,
	const struct fl_limits *limits, struct fl_failure *failure)
{
	struct fl_meta_row meta = new_meta(&migration->old, limits);
	struct fl_maps new;
	int r = fl_object_make_maps_aside(object, migration->bpffs, &meta, failure);

	if (r < 0)
		return r;
	r = share_nat_tables(&migration->old, dir);
	if (r < 0)
		return fl_fail(failure, r, "cannot pin the tables of nat flows in %s: %s", dir,
			strerror(-r));
	r = fl_maps_open_at(&new, dir, true, failure);
	if (r < 0)
		return r;
	r = copy_all(migration, &new);
	fl_maps_close(&new);
	return r < 0 ? fl_fail(failure, r, "cannot copy the maps for other limits: %s",
			       strerror(-r))
		     : 0;
}

/* Two steps, between which a start that is killed leaves no `maps`: see restore(). */
static int swap(const char *bpffs, const char *fresh, struct fl_failure *failure)
{
	_cleanup_free_ char *final = NULL, *aside = NULL;

	if (asprintf(&final, "%s/maps", bpffs) < 0 || asprintf(&aside, "%s/maps_old", bpffs) < 0)
		return fl_fail(failure, -ENOMEM, "out of memory");
	if (rename(final, aside) == 0 && rename(fresh, final) == 0)
		return 0;
	return fl_fail(failure, -errno, "cannot let new maps take the place of %s: %s", final,
		strerror(errno));
}

int fl_migration_begin(struct bpf_object *object, const char *bpffs, const struct fl_limits *limits,
	struct fl_maps *old, struct fl_failure *failure, struct fl_migration **ret)
{
	_cleanup_free_ char *fresh = NULL;
	struct fl_migration *migration;
	int r = check_fit(old, limits, failure);

	if (r < 0)
		return r;
	migration = migration_new(bpffs);
	if (!migration || asprintf(&fresh, "%s/maps_new", bpffs) < 0) {
		fl_migration_free(migration);
		return fl_fail(failure, -ENOMEM, "out of memory");
	}
	migration->old = *old;
	r = make_new(migration, object, fresh, limits, failure);
	if (r == 0)
		r = swap(bpffs, fresh, failure);
	if (r < 0) {
		migration->old = (struct fl_maps){ 0 }; /* stays the caller's */
		fl_migration_free(migration);
		return r;
	}
	*old = (struct fl_maps){ 0 };
	*ret = migration;
	return 0;
}

/* ---------------------------------------------------------------------- resume */

int fl_migration_resume(const char *bpffs, struct fl_failure *failure, struct fl_migration **ret)
{
	_cleanup_free_ char *final = NULL, *aside = NULL;
	struct fl_migration *migration;
	int r;

	*ret = NULL;
	if (asprintf(&final, "%s/maps", bpffs) < 0 || asprintf(&aside, "%s/maps_old", bpffs) < 0)
		return fl_fail(failure, -ENOMEM, "out of memory");
	if (!fl_bpffs_is_there(aside))
		return 0;
	if (!fl_bpffs_is_there(final)) /* killed between the two steps of swap() */
		return rename(aside, final) == 0
			       ? 0
			       : fl_fail(failure, -errno, "cannot take %s back: %s", aside,
					 strerror(errno));
	migration = migration_new(bpffs);
	if (!migration)
		return fl_fail(failure, -ENOMEM, "out of memory");
	r = fl_maps_open_at(&migration->old, aside, true, failure);
	if (r < 0) {
		fl_migration_free(migration);
		return r;
	}
	*ret = migration;
	return 0;
}

/* ------------------------------------------------------------------ follow, end */

/* A packet that lost its pin wrote its second into the slot: unless the slot has been
 * written since, it still counts. */
static void carry_slots(const struct fl_migration *migration, struct fl_maps *maps)
{
	for (uint32_t i = 0; i < migration->slot_count; i++) {
		fl_slot had = migration->slots[i];
		const fl_slot last = __atomic_load_n(&migration->old.slots[i], __ATOMIC_RELAXED);

		if (last != had)
			__atomic_compare_exchange_n(&maps->slots[i], &had, last, false,
				__ATOMIC_RELAXED, __ATOMIC_RELAXED);
		migration->slots[i] = last;
	}
}

static void carry_count(uint32_t *cell, uint32_t *had, uint32_t last)
{
	if (last != *had)
		__atomic_fetch_add(cell, last - *had, __ATOMIC_RELAXED);
	*had = last;
}

/* Ports that the old programs took less those that they gave back, since last asked. */
static void carry_ports(struct fl_migration *migration, struct fl_maps *maps)
{
	for (uint32_t i = 1; i < migration->row_count; i++) {
		const struct fl_nat_used_row *last = &migration->old.nat_used[i];
		struct fl_nat_used_row *had = &migration->nat_used[i];

		carry_count(&maps->nat_used[i].tcp, &had->tcp, last->tcp);
		carry_count(&maps->nat_used[i].udp, &had->udp, last->udp);
	}
}

/* Of all endpoints, while they are counted. */
struct ports {
	struct fl_nat_used_row *rows; /* by endpoint */
	uint32_t count;
};

static int count_port(void *context, const void *key, const void *value)
{
	const struct fl_nat_entry *entry = value;
	const struct fl_flow *flow = key;
	struct ports *ports = context;

	if (entry->dir != FL_NAT_REPLY || entry->endpoint >= ports->count)
		return 0;
	if (flow->proto == IPPROTO_TCP)
		ports->rows[entry->endpoint].tcp++;
	else
		ports->rows[entry->endpoint].udp++;
	return 0;
}

/* Programs go on counting meanwhile, and what they gave back may not have been met. */
static void correct(uint32_t *cell, uint32_t had, uint32_t found)
{
	uint32_t now = __atomic_load_n(cell, __ATOMIC_RELAXED), right;

	if (found == had)
		return;
	do {
		right = now + found - had;
		right = (int32_t)right < 0 ? 0 : right;
	} while (!__atomic_compare_exchange_n(
		cell, &now, right, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

/* Nobody remembers what was copied, but each connection has one entry that owns a port. */
static int count_ports(struct fl_maps *maps)
{
	size_t count = maps->limits.endpoints + 1ull;
	_cleanup_free_ struct fl_nat_used_row *had = calloc(count, sizeof(*had));
	_cleanup_free_ struct fl_nat_used_row *found = calloc(count, sizeof(*found));
	struct ports ports = { found, (uint32_t)count };
	int r;

	if (!had || !found)
		return -ENOMEM;
	memcpy(had, maps->nat_used, count * sizeof(*had));
	r = fl_walk(maps, FL_MAP_nat, count_port, &ports);
	for (size_t i = 1; i < count && r == 0; i++) {
		correct(&maps->nat_used[i].tcp, had[i].tcp, found[i].tcp);
		correct(&maps->nat_used[i].udp, had[i].udp, found[i].udp);
	}
	return r;
}

int fl_migration_follow(struct fl_migration *migration, struct fl_maps *maps)
{
	int r = fl_walk(&migration->old, FL_MAP_pins, put_new, &maps->fd[FL_MAP_pins]);

	if (r == 0)
		r = fl_walk(&migration->old, FL_MAP_opening, put_new, &maps->fd[FL_MAP_opening]);
	if (migration->slots) {
		carry_slots(migration, maps);
		carry_ports(migration, maps);
	}
	return r;
}

int fl_migration_end(struct fl_migration *migration, struct fl_maps *maps)
{
	_cleanup_free_ char *aside = NULL;
	int r;

	if (!migration)
		return 0;
	r = fl_migration_follow(migration, maps);
	if (r == 0 && !migration->slots)
		r = count_ports(maps);
	if (r == 0 && asprintf(&aside, "%s/maps_old", migration->bpffs) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = fl_bpffs_remove_dir(aside);
	fl_migration_free(migration);
	return r;
}
