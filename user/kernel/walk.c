/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/walk.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "kernel/tables.h"

#define BATCH 1024

static bool is_empty(const void *row, size_t size)
{
	const unsigned char *bytes = row;

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* ------------------------------------------------------------------- arrays */

static const void *mapped_rows(const struct fl_maps *maps, enum fl_map map)
{
	switch (map) {
	case FL_MAP_services:
		return maps->services;
	case FL_MAP_names:
		return maps->names;
	case FL_MAP_endpoints:
		return maps->endpoints;
	case FL_MAP_nexthops:
		return maps->nexthops;
	case FL_MAP_nat_used:
		return maps->nat_used;
	case FL_MAP_meta:
		return maps->meta;
	default:
		return NULL;
	}
}

static int walk_mapped(const struct fl_maps *maps, enum fl_map map, const char *rows,
	fl_walk_fn *each, void *context)
{
	size_t size = maps->shape[map].value_size;
	int r = 0;

	for (uint32_t i = 0; i < maps->shape[map].max_entries && r == 0; i++)
		if (!is_empty(rows + i * size, size))
			r = each(context, &i, rows + i * size);
	return r;
}

/* Row by row, by system call. */
static int walk_array(
	const struct fl_maps *maps, enum fl_map map, size_t size, fl_walk_fn *each, void *context)
{
	_cleanup_free_ void *row = calloc(1, size);
	int r = 0;

	if (!row)
		return -ENOMEM;
	for (uint32_t i = 0; i < maps->shape[map].max_entries && r == 0; i++) {
		if (bpf_map_lookup_elem(maps->fd[map], &i, row) < 0)
			return -errno;
		if (maps->shape[map].max_entries == 1 || !is_empty(row, size))
			r = each(context, &i, row);
	}
	return r;
}

static int walk_table(const struct fl_maps *maps, struct fl_walk_slot at, fl_region region,
	fl_walk_fn *each, void *context)
{
	uint32_t size = fl_table_size(region);
	int r = 0;

	for (at.slot = 0; at.slot < size && r == 0; at.slot++) {
		fl_slot slot;

		at.index = FL_REGION_BASE(region) + at.slot;
		if (at.index >= maps->limits.slots)
			break;
		slot = __atomic_load_n(&maps->slots[at.index], __ATOMIC_RELAXED);
		r = each(context, &at, &slot);
	}
	return r;
}

static int walk_slots(const struct fl_maps *maps, fl_walk_fn *each, void *context)
{
	int r = 0;

	for (uint32_t id = 1; id <= maps->limits.services && r == 0; id++) {
		const struct fl_service_row *row = &maps->services[id];

		for (uint32_t family = 0; family < FL_FAMILIES && r == 0; family++)
			r = walk_table(maps,
				(struct fl_walk_slot){ .service = id, .family = family },
				row->region[family], each, context);
	}
	return r;
}

/* ------------------------------------------------------------------- hashes */

struct batch {
	char *keys, *values;
	uint32_t room;
	uint32_t key_size, value_size;
	uint64_t from, to; /* opaque positions; the kernel wants 4 bytes of a hash map */
	bool begun;
};

static void batch_done(struct batch *batch)
{
	free(batch->keys);
	free(batch->values);
}

static int batch_reserve(struct batch *batch, uint32_t room)
{
	char *keys = reallocarray(batch->keys, room, batch->key_size);
	char *values;

	if (!keys)
		return -ENOMEM;
	batch->keys = keys;
	values = reallocarray(batch->values, room, batch->value_size);
	if (!values)
		return -ENOMEM;
	batch->values = values;
	batch->room = room;
	return 0;
}

/* The next rows. @return 1 when there may be more, 0 after the last, -errno */
static int batch_next(struct batch *batch, int fd, uint32_t *ret_count)
{
	for (;;) {
		uint32_t count = batch->room;
		int r = bpf_map_lookup_batch(fd, batch->begun ? &batch->from : NULL, &batch->to,
			batch->keys, batch->values, &count, NULL);

		if (r < 0 && errno == ENOSPC) { /* one bucket holds more than there is room for */
			r = batch_reserve(batch, batch->room * 2);
			if (r < 0)
				return r;
			continue;
		}
		if (r < 0 && errno != ENOENT) /* which ends the last batch */
			return -errno;
		batch->from = batch->to;
		batch->begun = true;
		*ret_count = count;
		return r == 0;
	}
}

static int walk_hash(
	int fd, uint32_t key_size, uint32_t value_size, fl_walk_fn *each, void *context)
{
	struct batch batch = { .key_size = key_size, .value_size = value_size };
	int more = batch_reserve(&batch, BATCH);
	int r = more;

	for (more = 1; more > 0 && r == 0;) {
		uint32_t count = 0;

		more = batch_next(&batch, fd, &count);
		for (uint32_t i = 0; more >= 0 && i < count && r == 0; i++)
			r = each(context, batch.keys + (size_t)i * key_size,
				batch.values + (size_t)i * value_size);
	}
	batch_done(&batch);
	return more < 0 ? more : r;
}

static int walk_nat(const struct fl_maps *maps, fl_walk_fn *each, void *context)
{
	int r = 0;

	for (unsigned i = 0; i < FL_NAT_GENERATIONS && maps->nat_fd[i] >= 0 && r == 0; i++)
		r = walk_hash(maps->nat_fd[i], sizeof(struct fl_flow), sizeof(struct fl_nat_entry),
			each, context);
	return r;
}

/* Maps without batches: all of them are small. */
static int walk_keys(const struct fl_maps *maps, enum fl_map map, fl_walk_fn *each, void *context)
{
	const struct fl_map_shape *shape = &maps->shape[map];
	_cleanup_free_ void *key = calloc(1, shape->key_size);
	_cleanup_free_ void *value = calloc(1, (shape->value_size + 7) & ~7u);
	void *last = NULL;
	int fd = maps->fd[map], r = 0;

	if (!key || !value)
		return -ENOMEM;
	for (; r == 0 && bpf_map_get_next_key(fd, last, key) == 0; last = key)
		if (bpf_map_lookup_elem(fd, key, value) == 0)
			r = each(context, key, value);
	return r;
}

int fl_walk(const struct fl_maps *maps, enum fl_map map, fl_walk_fn *each, void *context)
{
	const struct fl_map_shape *shape = &maps->shape[map];
	const void *rows = mapped_rows(maps, map);

	if (map == FL_MAP_slots)
		return walk_slots(maps, each, context);
	if (map == FL_MAP_nat)
		return walk_nat(maps, each, context);
	if (rows)
		return walk_mapped(maps, map, rows, each, context);
	switch (shape->type) {
	case BPF_MAP_TYPE_ARRAY:
		return walk_array(maps, map, shape->value_size, each, context);
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return walk_array(
			maps, map, ((shape->value_size + 7) & ~7u) * maps->cpus, each, context);
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
		return walk_hash(maps->fd[map], shape->key_size, shape->value_size, each, context);
	default:
		return walk_keys(maps, map, each, context);
	}
}
