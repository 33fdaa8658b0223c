/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/rows.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/vec.h"
#include "kernel/walk.h"

#define STORE(cell, value)      __atomic_store_n(&(cell), (value), __ATOMIC_RELAXED)
#define STORE_LAST(cell, value) __atomic_store_n(&(cell), (value), __ATOMIC_RELEASE)

/* Set a row of a per-CPU counter array to 0 on all CPUs. A counter that cannot
 * be cleared is not worth failing for. */
static void clear_counters(const struct fl_maps *maps, enum fl_map map, uint32_t row)
{
	_cleanup_free_ void *zeroes = calloc(maps->cpus, (maps->shape[map].value_size + 7) & ~7u);

	if (zeroes)
		bpf_map_update_elem(maps->fd[map], &row, zeroes, BPF_ANY);
}

/* ---------------------------------------------------------------- frontends */

struct fl_frontend_key fl_frontend_key(const struct fl_frontend *frontend)
{
	return (struct fl_frontend_key){
		.addr = frontend->addr, .port = htons(frontend->port), .proto = frontend->proto
	};
}

struct fl_frontend fl_frontend_from_row(
	const struct fl_frontend_key *key, const struct fl_frontend_row *row)
{
	return (struct fl_frontend){ .addr = key->addr,
		.port = ntohs(key->port),
		.proto = key->proto,
		.id = row->frontend };
}

int fl_frontend_row_get(
	const struct fl_maps *maps, const struct fl_frontend *frontend, struct fl_frontend_row *ret)
{
	struct fl_frontend_key key = fl_frontend_key(frontend);
	struct fl_frontend_row row;

	if (bpf_map_lookup_elem(maps->fd[FL_MAP_frontends], &key, &row) < 0)
		return -errno;
	*ret = row;
	return 0;
}

/* Programs remember rows: an odd number tells them not to, another even one that
 * what they remember is old. One that an agent left odd when it was killed in
 * between becomes even at the next change. */
static void begin_change(const struct fl_maps *maps)
{
	__atomic_fetch_or(&maps->meta->frontends_epoch, 1, __ATOMIC_SEQ_CST);
}

static void end_change(const struct fl_maps *maps)
{
	__atomic_fetch_add(&maps->meta->frontends_epoch, 1, __ATOMIC_SEQ_CST);
}

void fl_frontend_rows_forget(const struct fl_maps *maps)
{
	begin_change(maps);
	end_change(maps);
}

int fl_frontend_row_put(
	const struct fl_maps *maps, const struct fl_frontend *frontend, uint32_t service)
{
	const struct fl_frontend_row wanted = { .service = service, .frontend = frontend->id };
	struct fl_frontend_key key = fl_frontend_key(frontend);
	struct fl_frontend_row found;
	int r = fl_frontend_row_get(maps, frontend, &found);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && memcmp(&found, &wanted, sizeof(found)) == 0)
		return 0;
	if (r == -ENOENT || found.frontend != wanted.frontend)
		clear_counters(maps, FL_MAP_frontend_stats, wanted.frontend);
	begin_change(maps);
	r = bpf_map_update_elem(maps->fd[FL_MAP_frontends], &key, &wanted, BPF_ANY) < 0 ? -errno
											: 1;
	end_change(maps);
	return r;
}

int fl_frontend_row_remove(const struct fl_maps *maps, const struct fl_frontend *frontend)
{
	struct fl_frontend_key key = fl_frontend_key(frontend);

	int r;

	begin_change(maps);
	r = bpf_map_delete_elem(maps->fd[FL_MAP_frontends], &key) < 0 ? -errno : 1;
	end_change(maps);
	return r == -ENOENT ? 0 : r;
}

typedef FL_VEC(struct fl_frontend_pair) pair_vec;

static int note_pair(void *context, const void *key, const void *value)
{
	struct fl_frontend_pair *pair = fl_vec_push((pair_vec *)context);

	if (!pair)
		return -ENOMEM;
	memcpy(&pair->key, key, sizeof(pair->key));
	memcpy(&pair->row, value, sizeof(pair->row));
	return 0;
}

int fl_frontend_rows_list(
	const struct fl_maps *maps, struct fl_frontend_pair **ret, size_t *ret_count)
{
	pair_vec list = { 0 };
	int r = fl_walk(maps, FL_MAP_frontends, note_pair, &list);

	if (r < 0) {
		fl_vec_done(&list);
		return r;
	}
	*ret = list.items;
	*ret_count = list.count;
	return 0;
}

/* ----------------------------------------------------------------- services */

char *fl_name_row_text(const struct fl_name_row *row, char *buffer)
{
	memcpy(buffer, row->name, FL_NAME_MAX);
	buffer[FL_NAME_MAX] = '\0';
	return buffer;
}

bool fl_service_row_claim(const struct fl_maps *maps, uint32_t id, const char *name)
{
	struct fl_service_row *row = &maps->services[id];
	struct fl_name_row wanted = { 0 };

	memcpy(wanted.name, name, strnlen(name, sizeof(wanted.name)));
	if (row->in_use && memcmp(&maps->names[id], &wanted, sizeof(wanted)) == 0)
		return false;
	STORE_LAST(row->in_use, 0);
	maps->names[id] = wanted;
	STORE_LAST(row->in_use, 1);
	return true;
}

bool fl_service_row_put(const struct fl_maps *maps, const struct fl_service *service)
{
	struct fl_service_row *row = &maps->services[service->id];

	if (row->forward == service->forward && row->udp == service->udp)
		return false;
	STORE(row->forward, service->forward);
	STORE(row->udp, service->udp);
	return true;
}

void fl_service_row_clear(const struct fl_maps *maps, uint32_t id)
{
	struct fl_service_row *row = &maps->services[id];

	STORE_LAST(row->in_use, 0);
	STORE(row->forward, 0);
	STORE(row->udp, 0);
	memset(&maps->names[id], 0, sizeof(maps->names[id]));
}

/* ---------------------------------------------------------------- endpoints */

static bool is_row_of(
	const struct fl_endpoint_row *row, uint32_t service, const struct fl_endpoint *endpoint)
{
	return row->service == service && row->port == htons(endpoint->port) &&
	       fl_ip_equal(&row->addr, &endpoint->addr);
}

bool fl_endpoint_row_put(const struct fl_maps *maps, uint32_t service,
	const struct fl_endpoint *endpoint, uint32_t now_s)
{
	struct fl_endpoint_row *row = &maps->endpoints[endpoint->id];

	if (is_row_of(row, service, endpoint))
		return false;
	STORE_LAST(row->service, 0);
	STORE_LAST(row->state, FL_DOWN);
	clear_counters(maps, FL_MAP_endpoint_stats, endpoint->id);
	bpf_map_delete_elem(maps->fd[FL_MAP_answers], &endpoint->id);
	row->addr = endpoint->addr;
	row->port = htons(endpoint->port);
	row->family = fl_ip_family(&endpoint->addr);
	row->since = now_s;
	STORE_LAST(row->service, service);
	return true;
}

bool fl_endpoint_row_set_state(
	const struct fl_maps *maps, uint32_t id, enum fl_state state, uint32_t now_s)
{
	struct fl_endpoint_row *row = &maps->endpoints[id];

	if (row->state == state)
		return false;
	STORE(row->since, now_s);
	STORE_LAST(row->state, state);
	return true;
}

void fl_endpoint_row_clear(const struct fl_maps *maps, uint32_t id)
{
	struct fl_endpoint_row *row = &maps->endpoints[id];

	STORE_LAST(row->state, FL_DOWN);
	STORE_LAST(row->service, 0);
	row->addr = (struct fl_ip){ 0 };
	row->port = 0;
	row->family = 0;
	STORE(row->nexthop, 0);
	STORE(row->since, 0);
}
