/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/stale.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Out of memory leaves an entry out of its table, and says so in the entry. */
#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

#include "core/log.h"

/* Walks after which one is given up: its sockets lie where nobody gets. */
#define WALKS_MAX 10

struct leaver {
	UT_hash_handle hh;
	uint32_t endpoint;
	uint32_t service;
	char name[FL_NAME_MAX + 1]; /* of the service; "" = of an earlier agent's time */
	struct fl_ip addr;
	uint32_t due_s;
	bool has_row;
	bool may_end;  /* the walk under way began a second after the row was put */
	unsigned met;  /* by the walk under way */
	unsigned left; /* of these, not closed */
	unsigned walks;
	uint64_t closed;
	bool lost; /* there was no memory for its place in the table */
};

struct fl_stale {
	struct fl_node_maps *maps;
	struct leaver *leavers; /* by endpoint */
	uint64_t *closed;       /* by service */
	uint32_t services;
	uint64_t total;
};

static struct leaver *find(const struct fl_stale *stale, uint32_t endpoint)
{
	struct leaver *leaver;

	HASH_FIND(hh, stale->leavers, &endpoint, sizeof(endpoint), leaver);
	return leaver;
}

/* @return NULL when out of memory */
static struct leaver *add(struct fl_stale *stale, uint32_t endpoint)
{
	struct leaver *leaver = calloc(1, sizeof(*leaver));

	if (!leaver)
		return NULL;
	leaver->endpoint = endpoint;
	HASH_ADD(hh, stale->leavers, endpoint, sizeof(leaver->endpoint), leaver);
	if (!leaver->lost)
		return leaver;
	free(leaver);
	return NULL;
}

static void forget(struct fl_stale *stale, struct leaver *leaver)
{
	if (leaver->has_row)
		bpf_map_delete_elem(stale->maps->fd[FL_NODE_MAP_stale], &leaver->endpoint);
	HASH_DEL(stale->leavers, leaver);
	free(leaver);
}

/* ------------------------------------------------------------------------ new */

static int adopt_row(struct fl_stale *stale, uint32_t endpoint)
{
	struct leaver *leaver;
	struct fl_stale_row row;

	if (bpf_map_lookup_elem(stale->maps->fd[FL_NODE_MAP_stale], &endpoint, &row) < 0)
		return 0;
	leaver = add(stale, endpoint);
	if (!leaver)
		return -ENOMEM;
	leaver->service = row.service;
	leaver->addr = row.addr;
	leaver->has_row = true;
	return 0;
}

static int adopt(struct fl_stale *stale)
{
	int fd = stale->maps->fd[FL_NODE_MAP_stale], r = 0;
	uint32_t key, next;
	bool more = bpf_map_get_next_key(fd, NULL, &key) == 0;

	for (; more && r == 0; key = next) {
		r = adopt_row(stale, key);
		more = bpf_map_get_next_key(fd, &key, &next) == 0;
	}
	return r;
}

int fl_stale_new(struct fl_node_maps *maps, uint32_t services, struct fl_stale **ret)
{
	struct fl_stale *stale = calloc(1, sizeof(*stale));
	int r = -ENOMEM;

	if (!stale)
		return r;
	stale->maps = maps;
	stale->services = services;
	stale->closed = calloc(services + 1ull, sizeof(*stale->closed));
	if (stale->closed)
		r = adopt(stale);
	if (r < 0) {
		fl_stale_free(stale);
		return r;
	}
	*ret = stale;
	return 0;
}

void fl_stale_free(struct fl_stale *stale)
{
	struct leaver *leaver, *next;

	if (!stale)
		return;
	HASH_ITER(hh, stale->leavers, leaver, next) /* rows are for the next agent */
	{
		HASH_DEL(stale->leavers, leaver);
		free(leaver);
	}
	free(stale->closed);
	free(stale);
}

/* ------------------------------------------------------------------ gone, back */

void fl_stale_gone(struct fl_stale *stale, const struct fl_service *service, uint32_t endpoint,
	const struct fl_ip *addr, uint32_t now_s)
{
	struct leaver *leaver;

	if (service->stale_s == FL_STALE_KEEP || find(stale, endpoint))
		return;
	leaver = add(stale, endpoint);
	if (!leaver)
		return;
	leaver->service = service->id;
	leaver->addr = *addr;
	leaver->due_s = now_s + service->stale_s;
	strncpy(leaver->name, service->name, sizeof(leaver->name) - 1);
}

void fl_stale_back(struct fl_stale *stale, uint32_t endpoint)
{
	struct leaver *leaver = find(stale, endpoint);

	if (leaver)
		forget(stale, leaver);
}

bool fl_stale_holds(const struct fl_stale *stale, uint32_t endpoint)
{
	return find(stale, endpoint) != NULL;
}

/* ----------------------------------------------------------------------- walks */

static void put_row(struct fl_stale *stale, struct leaver *leaver, uint32_t now_s)
{
	const struct fl_stale_row row = { .addr = leaver->addr, .service = leaver->service };

	leaver->has_row = bpf_map_update_elem(stale->maps->fd[FL_NODE_MAP_stale], &leaver->endpoint,
				  &row, BPF_ANY) == 0;
	leaver->due_s = now_s;
}

bool fl_stale_is_due(struct fl_stale *stale, uint32_t now_s)
{
	bool any = false;

	for (struct leaver *leaver = stale->leavers; leaver; leaver = leaver->hh.next) {
		if (!leaver->has_row && (int32_t)(now_s - leaver->due_s) >= 0)
			put_row(stale, leaver, now_s);
		any |= leaver->has_row;
	}
	return any;
}

void fl_stale_walk_begins(struct fl_stale *stale, uint32_t now_s)
{
	for (struct leaver *leaver = stale->leavers; leaver; leaver = leaver->hh.next) {
		leaver->met = leaver->left = 0;
		/* Seconds are cut: two later is more than one. */
		leaver->may_end = leaver->has_row && now_s - leaver->due_s >= 2;
	}
}

const char *fl_stale_met(struct fl_stale *stale, const struct fl_stale_socket *socket)
{
	struct leaver *leaver = find(stale, socket->endpoint);

	if (!leaver)
		return NULL;
	leaver->met++;
	if (!socket->closed) {
		leaver->left++;
		return leaver->name;
	}
	leaver->closed++;
	stale->total++;
	if (leaver->service <= stale->services)
		stale->closed[leaver->service]++;
	return leaver->name;
}

static void say(const struct leaver *leaver, int error)
{
	char addr[FL_SOCKET_TEXT];

	fl_ip_format(&leaver->addr, addr);
	if (error < 0 || leaver->left)
		fl_log(FL_LOG_WARNING, "node", "connections to an endpoint that went stay open",
			FL_STR("service", leaver->name), FL_STR("endpoint", addr),
			FL_UINT("closed", leaver->closed), FL_UINT("met", leaver->left),
			FL_STR("err", error < 0 ? fl_log_errno(error) : "refused"));
	else if (leaver->closed)
		fl_log(FL_LOG_INFO, "node", "connections to an endpoint that went are closed",
			FL_STR("service", leaver->name), FL_STR("endpoint", addr),
			FL_UINT("closed", leaver->closed));
}

void fl_stale_walked(struct fl_stale *stale, int error)
{
	struct leaver *leaver, *next;

	HASH_ITER(hh, stale->leavers, leaver, next) {
		if (!leaver->has_row)
			continue;
		leaver->walks++;
		if (leaver->walks < WALKS_MAX && (error < 0 || leaver->met || !leaver->may_end))
			continue;
		say(leaver, error);
		forget(stale, leaver);
	}
}

/* ---------------------------------------------------------------------- counts */

uint64_t fl_stale_closed(const struct fl_stale *stale, uint32_t service)
{
	return service <= stale->services ? stale->closed[service] : 0;
}

uint64_t fl_stale_closed_total(const struct fl_stale *stale)
{
	return stale->total;
}
