/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/ids.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A failed insert leaves the entry out of the table, and says so in the entry. */
#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>
#include <utlist.h>

/** What somebody is known by, as bytes: a name, or one of the two below. */
struct key {
	const void *bytes;
	size_t length;
};

struct frontend_key {
	struct fl_ip addr;
	uint16_t port;
	uint8_t proto;
	uint8_t pad;
};

struct endpoint_key {
	uint32_t service;
	struct fl_ip addr;
	uint16_t port;
	uint16_t pad;
};

struct entry {
	UT_hash_handle hh;
	uint32_t id;
	uint32_t released_s; /**< when it began to rest */
	bool resting;
	struct entry *prev, *next; /**< among those that rest */
	bool lost;                 /**< the hash table had no memory for it */
	struct entry *given;       /**< the one given before it in the same assignment */
	unsigned char key[];
};

/** Numbers of one kind. */
struct table {
	struct entry *by_key;
	struct entry **by_id; /**< [1 … limit]; NULL = free */
	uint32_t limit;
	uint32_t used;
	uint32_t lowest; /**< no lower number is free */
};

struct fl_ids {
	struct table services;
	struct table frontends;
	struct table endpoints;
	struct entry *resting; /**< of the endpoints; longest first */
};

static int table_init(struct table *table, uint32_t limit)
{
	table->by_id = calloc((size_t)limit + 1, sizeof(struct entry *));
	table->limit = limit;
	table->lowest = 1;
	return table->by_id ? 0 : -ENOMEM;
}

static struct entry *table_find(const struct table *table, struct key key)
{
	struct entry *entry;

	HASH_FIND(hh, table->by_key, key.bytes, key.length, entry);
	return entry;
}

/** By a number that is in use. */
static struct entry *table_at(const struct table *table, uint32_t id)
{
	assert(id > 0 && id <= table->limit);
	assert(table->by_id[id]);
	return table->by_id[id];
}

/** @return the new entry, NULL when out of memory */
static struct entry *table_put(struct table *table, uint32_t id, struct key key)
{
	struct entry *entry = calloc(1, sizeof(*entry) + key.length);

	if (!entry)
		return NULL;
	entry->id = id;
	memcpy(entry->key, key.bytes, key.length);
	HASH_ADD_KEYPTR(hh, table->by_key, entry->key, key.length, entry);
	if (entry->lost) {
		free(entry);
		return NULL;
	}
	table->by_id[id] = entry;
	table->used++;
	return entry;
}

static void table_drop(struct table *table, struct entry *entry)
{
	HASH_DELETE(hh, table->by_key, entry);
	table->by_id[entry->id] = NULL;
	table->used--;
	if (entry->id < table->lowest)
		table->lowest = entry->id;
	free(entry);
}

static void table_done(struct table *table)
{
	struct entry *entry, *next;

	HASH_ITER(hh, table->by_key, entry, next)
		table_drop(table, entry);
	free(table->by_id);
}

static int table_adopt(struct table *table, uint32_t id, struct key key)
{
	if (id == 0 || id > table->limit)
		return -ERANGE;
	if (table->by_id[id] || table_find(table, key))
		return -EEXIST;
	return table_put(table, id, key) ? 0 : -ENOMEM;
}

static struct key key_of_name(const char *name)
{
	return (struct key){ name, strlen(name) };
}

static struct frontend_key frontend_key(const struct fl_frontend *frontend)
{
	return (struct frontend_key){
		.addr = frontend->addr, .port = frontend->port, .proto = frontend->proto
	};
}

static struct endpoint_key endpoint_key(uint32_t service, const struct fl_ip *addr, uint16_t port)
{
	return (struct endpoint_key){ .service = service, .addr = *addr, .port = port };
}

struct fl_ids *fl_ids_new(uint32_t services, uint32_t frontends, uint32_t endpoints)
{
	struct fl_ids *ids = calloc(1, sizeof(*ids));

	if (!ids)
		return NULL;
	if (table_init(&ids->services, services) < 0 ||
		table_init(&ids->frontends, frontends) < 0 ||
		table_init(&ids->endpoints, endpoints) < 0) {
		fl_ids_free(ids);
		return NULL;
	}
	return ids;
}

void fl_ids_free(struct fl_ids *ids)
{
	if (!ids)
		return;
	table_done(&ids->services);
	table_done(&ids->frontends);
	table_done(&ids->endpoints);
	free(ids);
}

int fl_ids_adopt_service(struct fl_ids *ids, uint32_t id, const char *name)
{
	return table_adopt(&ids->services, id, key_of_name(name));
}

int fl_ids_adopt_frontend(struct fl_ids *ids, uint32_t id, const struct fl_frontend *frontend)
{
	struct frontend_key key = frontend_key(frontend);

	return table_adopt(&ids->frontends, id, (struct key){ &key, sizeof(key) });
}

int fl_ids_adopt_endpoint(
	struct fl_ids *ids, uint32_t id, uint32_t service, const struct fl_ip *addr, uint16_t port)
{
	struct endpoint_key key = endpoint_key(service, addr, port);

	return table_adopt(&ids->endpoints, id, (struct key){ &key, sizeof(key) });
}

/* ---------------------------------------------------------------- assign
 *
 * In two passes, so that a failure leaves no trace: the first makes entries for
 * what is unknown, chained for their removal; the second, which cannot fail,
 * writes the numbers into the service.
 */

struct assignment {
	struct fl_ids *ids;
	const struct fl_service *service;
	uint32_t service_id;
	struct entry *services, *frontends, *endpoints; /**< given so far, newest first */
};

/** The number of `key`, a new one if it has none. @return 0, -ENOSPC, -ENOMEM */
static int give(struct table *table, struct key key, struct entry **given, uint32_t *ret_id)
{
	struct entry *entry = table_find(table, key);
	uint32_t id = table->lowest;

	if (!entry) {
		if (table->used == table->limit)
			return -ENOSPC;
		while (table->by_id[id])
			id++;
		entry = table_put(table, id, key);
		if (!entry)
			return -ENOMEM;
		table->lowest = id + 1;
		entry->given = *given;
		*given = entry;
	}
	*ret_id = entry->id;
	return 0;
}

static void take_back(struct table *table, struct entry *given)
{
	while (given) {
		struct entry *next = given->given;

		table_drop(table, given);
		given = next;
	}
}

static int give_all(struct assignment *a)
{
	const struct fl_service *service = a->service;
	uint32_t id;
	int r = give(&a->ids->services, key_of_name(service->name), &a->services, &a->service_id);

	for (size_t i = 0; i < service->frontend_count && r == 0; i++) {
		struct frontend_key key = frontend_key(&service->frontends[i]);

		r = give(&a->ids->frontends, (struct key){ &key, sizeof(key) }, &a->frontends, &id);
	}
	for (size_t i = 0; i < service->endpoint_count && r == 0; i++) {
		const struct fl_endpoint *endpoint = &service->endpoints[i];
		struct endpoint_key key =
			endpoint_key(a->service_id, &endpoint->addr, endpoint->port);

		r = give(&a->ids->endpoints, (struct key){ &key, sizeof(key) }, &a->endpoints, &id);
	}
	return r;
}

static void end_rest(struct fl_ids *ids, struct entry *entry)
{
	if (!entry->resting)
		return;
	entry->resting = false;
	DL_DELETE(ids->resting, entry);
}

static void write_numbers(struct fl_ids *ids, struct fl_service *service, uint32_t id)
{
	service->id = id;
	for (size_t i = 0; i < service->frontend_count; i++) {
		struct frontend_key key = frontend_key(&service->frontends[i]);

		service->frontends[i].id =
			table_find(&ids->frontends, (struct key){ &key, sizeof(key) })->id;
	}
	for (size_t i = 0; i < service->endpoint_count; i++) {
		struct fl_endpoint *endpoint = &service->endpoints[i];
		struct endpoint_key key = endpoint_key(id, &endpoint->addr, endpoint->port);
		struct entry *entry =
			table_find(&ids->endpoints, (struct key){ &key, sizeof(key) });

		end_rest(ids, entry);
		endpoint->id = entry->id;
	}
}

int fl_ids_assign(struct fl_ids *ids, struct fl_service *service)
{
	struct assignment a = { .ids = ids, .service = service };
	int r = give_all(&a);

	if (r < 0) {
		take_back(&ids->services, a.services);
		take_back(&ids->frontends, a.frontends);
		take_back(&ids->endpoints, a.endpoints);
		return r;
	}
	write_numbers(ids, service, a.service_id);
	return 0;
}

void fl_ids_release_service(struct fl_ids *ids, uint32_t id)
{
	table_drop(&ids->services, table_at(&ids->services, id));
}

void fl_ids_release_frontend(struct fl_ids *ids, uint32_t id)
{
	table_drop(&ids->frontends, table_at(&ids->frontends, id));
}

void fl_ids_release_endpoint(struct fl_ids *ids, uint32_t id, uint32_t now_s)
{
	struct entry *entry = table_at(&ids->endpoints, id);

	assert(!entry->resting);
	entry->resting = true;
	entry->released_s = now_s;
	DL_APPEND(ids->resting, entry);
}

bool fl_ids_is_resting(const struct fl_ids *ids, uint32_t endpoint)
{
	return endpoint > 0 && endpoint <= ids->endpoints.limit && ids->endpoints.by_id[endpoint] &&
	       ids->endpoints.by_id[endpoint]->resting;
}

size_t fl_ids_resting(
	const struct fl_ids *ids, uint32_t released_before_s, uint32_t *ret, size_t room)
{
	const struct entry *entry;
	size_t count = 0;

	DL_FOREACH(ids->resting, entry) {
		if (count == room || (int32_t)(released_before_s - entry->released_s) < 0)
			break;
		ret[count++] = entry->id;
	}
	return count;
}

void fl_ids_for_resting(
	const struct fl_ids *ids, void (*each)(void *context, uint32_t endpoint), void *context)
{
	const struct entry *entry;

	DL_FOREACH(ids->resting, entry) {
		each(context, entry->id);
	}
}

void fl_ids_rested(struct fl_ids *ids, uint32_t id)
{
	if (!fl_ids_is_resting(ids, id))
		return;
	end_rest(ids, ids->endpoints.by_id[id]);
	table_drop(&ids->endpoints, ids->endpoints.by_id[id]);
}
