/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/pools.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "balance/regions.h"
#include "core/log.h"
#include "core/text.h"

struct fl_pools {
	struct fl_node_maps *maps;
	uint32_t services; /**< highest number of one */
	struct fl_regions *regions;
	bool (*waits)[FL_FAMILIES]; /**< by service */
	uint32_t waiting;           /**< how many do */
	bool said;                  /**< that there is no room */
	uint64_t written;
	char *name, *zone; /**< of this node; NULL = not known */
};

static __u64 *cell_of(struct fl_pools *pools, uint32_t service, int family)
{
	return &pools->maps->services[service].pool[family];
}

static uint32_t rows_at(const struct fl_pools *pools, __u64 at)
{
	return fl_pool_rows(&pools->maps->pools[at].head);
}

/* -------------------------------------------------------------------- adopt */

/* Row 0 means that there is no pool. */
static int begin_regions(struct fl_pools *pools)
{
	uint32_t none;

	fl_regions_free(pools->regions);
	pools->regions = fl_regions_new(pools->maps->shape[FL_NODE_MAP_pools].max_entries);
	return pools->regions ? fl_regions_take(pools->regions, 1, &none) : -ENOMEM;
}

static int adopt_pool(struct fl_pools *pools, __u64 at)
{
	uint32_t rows;

	if (at == 0)
		return 0;
	if (at >= pools->maps->shape[FL_NODE_MAP_pools].max_entries)
		return -ERANGE;
	rows = rows_at(pools, at);
	return rows ? fl_regions_adopt(pools->regions, (uint32_t)at, rows) : -ERANGE;
}

static int adopt_all(struct fl_pools *pools)
{
	int r = begin_regions(pools);

	for (uint32_t id = 1; id <= pools->services; id++)
		for (int family = 0; family < FL_FAMILIES && r == 0; family++)
			r = adopt_pool(pools, *cell_of(pools, id, family));
	return r;
}

static int forget_all(struct fl_pools *pools)
{
	fl_log(FL_LOG_WARNING, "node",
		"the pinned pools are damaged: connections are spread by slots until they are "
		"written again");
	for (uint32_t id = 0; id <= pools->services; id++)
		for (int family = 0; family < FL_FAMILIES; family++)
			__atomic_store_n(cell_of(pools, id, family), 0, __ATOMIC_RELEASE);
	return begin_regions(pools);
}

int fl_pools_new(
	struct fl_node_maps *maps, const struct fl_place_of_node *here, struct fl_pools **ret)
{
	struct fl_pools *pools = calloc(1, sizeof(*pools));
	int r;

	if (!pools)
		return -ENOMEM;
	pools->maps = maps;
	pools->services = maps->shape[FL_NODE_MAP_node_services].max_entries - 1;
	pools->waits = calloc(pools->services + 1ull, sizeof(*pools->waits));
	r = pools->waits ? fl_pools_move(pools, here) : -ENOMEM;
	if (r >= 0)
		r = adopt_all(pools);
	if (r < 0 && r != -ENOMEM)
		r = forget_all(pools);
	if (r < 0) {
		fl_pools_free(pools);
		return r;
	}
	*ret = pools;
	return 0;
}

void fl_pools_free(struct fl_pools *pools)
{
	if (!pools)
		return;
	fl_regions_free(pools->regions);
	free(pools->waits);
	free(pools->name);
	free(pools->zone);
	free(pools);
}

int fl_pools_move(struct fl_pools *pools, const struct fl_place_of_node *here)
{
	char *name, *zone;

	if (fl_text_is_same(pools->name, here->name) && fl_text_is_same(pools->zone, here->zone))
		return 0;
	name = here->name ? strdup(here->name) : NULL;
	zone = here->zone ? strdup(here->zone) : NULL;
	if ((here->name && !name) || (here->zone && !zone)) {
		free(name);
		free(zone);
		return -ENOMEM;
	}
	free(pools->name);
	free(pools->zone);
	pools->name = name;
	pools->zone = zone;
	return 1;
}

/* -------------------------------------------------------------------- write */

static void swing(struct fl_pools *pools, uint32_t service, int family, __u64 to, uint32_t now_s)
{
	__u64 *cell = cell_of(pools, service, family), old = *cell;

	__atomic_store_n(cell, to, __ATOMIC_RELEASE);
	if (old)
		fl_regions_give(pools->regions, (uint32_t)old, now_s);
}

static bool is_there(struct fl_pools *pools, __u64 at, const struct fl_pool *pool)
{
	return at && rows_at(pools, at) == pool->count &&
	       memcmp(&pools->maps->pools[at], pool->rows,
		       pool->count * sizeof(union fl_pool_row)) == 0;
}

static void set_waits(struct fl_pools *pools, uint32_t service, int family, bool waits)
{
	bool *cell = &pools->waits[service][family];

	pools->waiting += (uint32_t)waits - (uint32_t)*cell;
	*cell = waits;
	if (pools->waiting == 0)
		pools->said = false;
}

static void say_full(struct fl_pools *pools, const struct fl_service *service)
{
	if (pools->said)
		return;
	pools->said = true;
	fl_log(FL_LOG_WARNING, "node",
		"no room for all pools: connections to some services are spread by slots",
		FL_STR("service", service->name),
		FL_STR("hint", "raise limits.endpoints or limits.services (needs fairleadd "
			       "--detach and a restart)"));
}

/* @return 1 = written, 0 = it is there already, -ENOSPC, -ENOMEM */
static int write_pool(struct fl_pools *pools, uint32_t service, int family,
	const struct fl_pool *pool, uint32_t now_s)
{
	uint32_t base;
	int r;

	if (is_there(pools, *cell_of(pools, service, family), pool))
		return 0;
	r = fl_regions_take(pools->regions, pool->count, &base);
	if (r < 0)
		return r;
	memcpy(&pools->maps->pools[base], pool->rows, pool->count * sizeof(union fl_pool_row));
	swing(pools, service, family, base, now_s);
	pools->written++;
	return 1;
}

int fl_pools_put(struct fl_pools *pools, const struct fl_service *service, enum fl_family family,
	uint32_t now_s)
{
	const struct fl_place_of_node here = { pools->name, pools->zone };
	struct fl_pool pool = { 0 };
	int r = fl_pool_make(service, family, &here, &pool);

	if (r == 0)
		r = write_pool(pools, service->id, family, &pool, now_s);
	fl_pool_done(&pool);
	if (r == -ENOSPC) {
		/* What is there names endpoints that may be gone, and lacks new ones. */
		say_full(pools, service);
		swing(pools, service->id, family, 0, now_s);
	}
	set_waits(pools, service->id, family, r == -ENOSPC);
	return r == -ENOSPC ? 0 : r;
}

void fl_pools_drop(struct fl_pools *pools, uint32_t service, enum fl_family family, uint32_t now_s)
{
	if (*cell_of(pools, service, family))
		swing(pools, service, family, 0, now_s);
	set_waits(pools, service, family, false);
}

bool fl_pools_has_connections(const struct fl_pools *pools, uint32_t endpoint)
{
	return __atomic_load_n(&pools->maps->live[endpoint].open, __ATOMIC_RELAXED) != 0;
}

void fl_pools_forget_live(struct fl_pools *pools, uint32_t endpoint)
{
	memset(&pools->maps->live[endpoint], 0, sizeof(pools->maps->live[endpoint]));
	bpf_map_delete_elem(pools->maps->fd[FL_NODE_MAP_histograms], &endpoint);
}

/* --------------------------------------------------------------------- rest */

static void retry(struct fl_pools *pools, const struct fl_service *service, uint32_t now_s)
{
	for (int family = 0; family < FL_FAMILIES; family++)
		if (pools->waits[service->id][family])
			fl_pools_put(pools, service, (enum fl_family)family, now_s);
}

void fl_pools_tick(struct fl_pools *pools, const struct fl_snapshot *snapshot, uint32_t now_s)
{
	uint32_t in_use = fl_regions_in_use(pools->regions);

	fl_regions_rest(pools->regions, now_s);
	if (!snapshot || fl_regions_in_use(pools->regions) == in_use)
		return;
	for (size_t i = 0; pools->waiting && i < snapshot->service_count; i++)
		retry(pools, snapshot->services[i], now_s);
}

uint64_t fl_pools_written(const struct fl_pools *pools)
{
	return pools->written;
}

uint32_t fl_pools_waiting(const struct fl_pools *pools)
{
	return pools->waiting;
}
