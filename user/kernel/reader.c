/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "fairlead/slot.h"
#include "kernel/decode.h"
#include "kernel/tables.h"
#include "kernel/walk.h"
#include "kernel/nat.h"

/* ----------------------------------------------------------------- counters */

/* Add the u64 words of one per-CPU row up. `ret` holds value_size bytes. */
static int sum_row(const struct fl_maps *maps, enum fl_map map, uint32_t row, uint64_t *ret)
{
	size_t words = maps->shape[map].value_size / sizeof(uint64_t);
	_cleanup_free_ uint64_t *values = calloc(maps->cpus * words, sizeof(*values));

	if (!values)
		return -ENOMEM;
	if (bpf_map_lookup_elem(maps->fd[map], &row, values) < 0)
		return -errno;
	memset(ret, 0, words * sizeof(*ret));
	for (size_t i = 0; i < maps->cpus * words; i++)
		ret[i % words] += values[i];
	return 0;
}

int fl_read_reasons(const struct fl_maps *maps, enum fl_path path, uint64_t *ret)
{
	uint64_t counters[FL_REASON_COUNT];

	for (uint32_t reason = 0; reason < FL_REASON_COUNT; reason++) {
		int r = sum_row(
			maps, FL_MAP_reasons, path * FL_REASONS_MAX + reason, &counters[reason]);

		if (r < 0)
			return r;
	}
	memcpy(ret, counters, sizeof(counters));
	return 0;
}

int fl_read_frontend(const struct fl_maps *maps, uint32_t frontend, struct fl_frontend_stats *ret)
{
	return sum_row(maps, FL_MAP_frontend_stats, frontend, (uint64_t *)ret);
}

int fl_read_endpoint(const struct fl_maps *maps, uint32_t endpoint, struct fl_endpoint_stats *ret)
{
	return sum_row(maps, FL_MAP_endpoint_stats, endpoint, (uint64_t *)ret);
}

int fl_read_answers(const struct fl_maps *maps, uint32_t endpoint, struct fl_answers *ret)
{
	if (bpf_map_lookup_elem(maps->fd[FL_MAP_answers], &endpoint, ret) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	*ret = (struct fl_answers){ 0 };
	return 0;
}

int fl_read_connections(const struct fl_maps *maps, uint32_t endpoint, uint64_t *ret)
{
	if (endpoint > maps->limits.endpoints)
		return -ERANGE;
	*ret = fl_nat_flows(maps, endpoint);
	return 0;
}

bool fl_read_pressure(const struct fl_maps *maps, struct fl_pressure *ret)
{
	if (!maps || !maps->pressure)
		return false;
	*ret = (struct fl_pressure){
		.is_high = fl_pressure_is_high(
			maps->pressure, fl_clock_boot_s(), fl_maps_opening_limit(maps)),
		.refused = maps->pressure->refused,
		.postponed = maps->pressure->postponed,
	};
	return true;
}

static int count_row(void *context, const void *key, const void *value)
{
	(void)key;
	(void)value;
	++*(uint64_t *)context;
	return 0;
}

int fl_read_entries(const struct fl_maps *maps, enum fl_map map, uint64_t *ret)
{
	uint64_t count = 0;
	int r = fl_walk(maps, map, count_row, &count);

	if (r == 0)
		*ret = count;
	return r;
}

void fl_read_slots(const struct fl_maps *maps, fl_region region, struct fl_slot_counts *ret_add)
{
	uint32_t base = FL_REGION_BASE(region), size = fl_table_size(region);

	for (uint32_t i = base; i < base + size && i < maps->limits.slots; i++) {
		fl_slot slot = __atomic_load_n(&maps->slots[i], __ATOMIC_RELAXED);

		if (!fl_slot_is_moving(slot))
			ret_add->settled++;
		else if (fl_slot_is_held(slot))
			ret_add->held++;
		else
			ret_add->moving++;
	}
}

/* --------------------------------------------------------------------- maps */

static uint64_t max_entries(const struct fl_maps *maps, enum fl_map map)
{
	uint64_t sum = 0;

	if (map != FL_MAP_nat)
		return maps->shape[map].max_entries;
	for (int i = 0; i < FL_NAT_GENERATIONS; i++)
		sum += maps->nat_size[i];
	return sum;
}

static json_t *list_map(const struct fl_maps *maps, enum fl_map map)
{
	const char *type = libbpf_bpf_map_type_str(maps->shape[map].type);
	uint64_t entries = 0;
	json_t *count = fl_read_entries(maps, map, &entries) < 0
				? json_null()
				: json_integer((json_int_t)entries);

	return json_pack("{ss ss* sI so}", "name", fl_map_name(map), "type", type, "max_entries",
		(json_int_t)max_entries(maps, map), "entries", count);
}

json_t *fl_read_map_list(const struct fl_maps *maps)
{
	json_t *list = json_array();

	for (int map = 0; map < FL_MAP_COUNT && list; map++)
		if (json_array_append_new(list, list_map(maps, map)) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

struct dump {
	const struct fl_maps *maps;
	enum fl_map map;
	fl_read_row_fn *each;
	void *context;
};

static int dump_row(void *context, const void *key, const void *value)
{
	const struct dump *dump = context;
	json_t *row = json_pack("{so so}", "key", fl_decode_key(dump->maps, dump->map, key),
		"value", fl_decode_value(dump->maps, dump->map, key, value));

	return row ? dump->each(dump->context, row) : -ENOMEM;
}

int fl_read_map_rows(
	const struct fl_maps *maps, const char *name, fl_read_row_fn *each, void *context)
{
	struct dump dump = { .maps = maps, .each = each, .context = context };

	for (int map = 0; map < FL_MAP_COUNT; map++) {
		dump.map = map;
		if (strcmp(fl_map_name(map), name) == 0)
			return fl_walk(maps, map, dump_row, &dump);
	}
	return -ENOENT;
}

static int append_row(void *context, json_t *row)
{
	return json_array_append_new(context, row) < 0 ? -ENOMEM : 0;
}

int fl_read_map_dump(const struct fl_maps *maps, const char *name, json_t **ret)
{
	json_t *rows = json_array();
	int r = rows ? fl_read_map_rows(maps, name, append_row, rows) : -ENOMEM;

	if (r < 0) {
		json_decref(rows);
		return r;
	}
	*ret = rows;
	return 0;
}
