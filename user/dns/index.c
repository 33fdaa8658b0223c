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

static const char *name_of(const struct fl_snapshot *snapshot, const struct fl_dns_index_row *row)
{
	return snapshot->services[row->service - 1]->name + row->offset;
}

/* The row of this name and kind, or the free one where it belongs. */
static struct fl_dns_index_row *find_row(const struct fl_dns_index *index,
	const struct fl_snapshot *snapshot, uint32_t hash, const char *name, bool is_above)
{
	for (size_t at = hash & (index->room - 1);; at = (at + 1) & (index->room - 1)) {
		struct fl_dns_index_row *row = &index->rows[at];

		if (!row->service || (row->hash == hash && !row->offset == !is_above &&
					     strcasecmp(name_of(snapshot, row), name) == 0))
			return row;
	}
}

/* The first of a name stays. */
static void enter(struct fl_dns_index *index, const struct fl_snapshot *snapshot, size_t service,
	size_t offset, uint64_t seed)
{
	const char *name = snapshot->services[service]->name + offset;
	uint32_t hash = hash_name(name, seed);
	struct fl_dns_index_row *row = find_row(index, snapshot, hash, name, offset != 0);

	if (!row->service)
		*row = (struct fl_dns_index_row){ hash, (uint32_t)service + 1, (uint32_t)offset };
}

static void enter_all(struct fl_dns_index *index, const struct fl_snapshot *snapshot, uint64_t seed)
{
	for (size_t i = 0; i < snapshot->service_count; i++) {
		const char *name = snapshot->services[i]->name;

		enter(index, snapshot, i, 0, seed);
		for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.'))
			enter(index, snapshot, i, (size_t)(dot + 1 - name), seed);
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

int fl_dns_index_follow(
	struct fl_dns_index *index, const struct fl_snapshot *snapshot, uint64_t seed)
{
	size_t names, room = 16;

	if (index->valid && index->generation == snapshot->generation)
		return 0;
	names = count_names(snapshot);
	while (room < 2 * names)
		room *= 2;
	fl_dns_index_done(index);
	index->rows = calloc(room, sizeof(*index->rows));
	if (!index->rows)
		return -ENOMEM;
	index->room = room;
	enter_all(index, snapshot, seed);
	index->generation = snapshot->generation;
	index->valid = true;
	return 0;
}

void fl_dns_index_done(struct fl_dns_index *index)
{
	free(index->rows);
	*index = (struct fl_dns_index){ 0 };
}

const struct fl_service *fl_dns_index_find(const struct fl_dns_index *index,
	const struct fl_snapshot *snapshot, uint64_t seed, const char *name, bool *ret_above)
{
	uint32_t hash = hash_name(name, seed);
	const struct fl_dns_index_row *row = find_row(index, snapshot, hash, name, false);

	*ret_above = find_row(index, snapshot, hash, name, true)->service;
	return row->service ? snapshot->services[row->service - 1] : NULL;
}
