/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dns/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The name of a service from `offset` on: 0 is the service itself, others lie above it. */
struct fl_dns_index_row {
	uint32_t hash;
	uint32_t service; /* its place in the snapshot, from 1; 0 = the row is free */
	uint32_t offset;
};

/* FNV-1a over the lower case of ASCII, as DNS compares (RFC 4343). */
static uint32_t hash_name(const char *name, uint64_t seed)
{
	uint64_t hash = 0xcbf29ce484222325 ^ seed;

	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		hash = (hash ^ (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c)) * 0x100000001b3;
	}
	return (uint32_t)(hash ^ hash >> 32);
}

static const char *name_of(const struct fl_dns_index *index, const struct fl_dns_index_row *row)
{
	return index->snapshot->services[row->service - 1]->name + row->offset;
}

/* The row of this name and kind, or the free one where it belongs. */
static struct fl_dns_index_row *find_row(
	const struct fl_dns_index *index, uint32_t hash, const char *name, bool is_above)
{
	for (size_t at = hash & (index->room - 1);; at = (at + 1) & (index->room - 1)) {
		struct fl_dns_index_row *row = &index->rows[at];

		if (!row->service || (row->hash == hash && !row->offset == !is_above &&
					     strcasecmp(name_of(index, row), name) == 0))
			return row;
	}
}

/* The first of a name stays. */
static void enter(struct fl_dns_index *index, size_t service, size_t offset, uint64_t seed)
{
	const char *name = index->snapshot->services[service]->name + offset;
	uint32_t hash = hash_name(name, seed);
	struct fl_dns_index_row *row = find_row(index, hash, name, offset != 0);

	if (!row->service)
		*row = (struct fl_dns_index_row){ hash, (uint32_t)service + 1, (uint32_t)offset };
}

static void enter_all(struct fl_dns_index *index, uint64_t seed)
{
	for (size_t i = 0; i < index->snapshot->service_count; i++) {
		const char *name = index->snapshot->services[i]->name;

		enter(index, i, 0, seed);
		for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.'))
			enter(index, i, (size_t)(dot + 1 - name), seed);
	}
}

static size_t count_names(const struct fl_snapshot *snapshot)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->service_count; i++) {
		count++;
		for (const char *c = snapshot->services[i]->name; *c; c++)
			count += *c == '.';
	}
	return count;
}

static bool has_same_names(const struct fl_snapshot *a, const struct fl_snapshot *b)
{
	if (a->service_count != b->service_count)
		return false;
	for (size_t i = 0; i < a->service_count; i++)
		if (a->services[i] != b->services[i] &&
			strcmp(a->services[i]->name, b->services[i]->name) != 0)
			return false;
	return true;
}

static void keep(struct fl_dns_index *index, struct fl_snapshot *snapshot)
{
	fl_snapshot_ref(snapshot);
	fl_snapshot_unref(index->snapshot);
	index->snapshot = snapshot;
}

int fl_dns_index_follow(struct fl_dns_index *index, struct fl_snapshot *snapshot, uint64_t seed)
{
	size_t names, room = 16;

	if (index->snapshot == snapshot)
		return 0;
	if (index->snapshot && has_same_names(index->snapshot, snapshot)) {
		keep(index, snapshot);
		return 0;
	}
	names = count_names(snapshot);
	while (room < 2 * names)
		room *= 2;
	fl_dns_index_done(index);
	index->rows = calloc(room, sizeof(*index->rows));
	if (!index->rows)
		return -ENOMEM;
	index->room = room;
	keep(index, snapshot);
	enter_all(index, seed);
	return 0;
}

void fl_dns_index_done(struct fl_dns_index *index)
{
	free(index->rows);
	fl_snapshot_unref(index->snapshot);
	*index = (struct fl_dns_index){ 0 };
}

const struct fl_service *fl_dns_index_find(
	const struct fl_dns_index *index, uint64_t seed, const char *name, bool *ret_above)
{
	uint32_t hash = hash_name(name, seed);
	const struct fl_dns_index_row *row = find_row(index, hash, name, false);

	*ret_above = find_row(index, hash, name, true)->service;
	return row->service ? index->snapshot->services[row->service - 1] : NULL;
}
