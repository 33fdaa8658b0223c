/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->lost = true)
#include <uthash.h>

#include "core/cleanup.h"

/* Who holds a name or a frontend in the snapshot that is being made. */
struct claim {
	struct fl_frontend_key key; /* of a frontend */
	const struct fl_service *service;
	const struct fl_frontend *frontend;
	bool lost; /* out of memory: could not be entered */
	UT_hash_handle hh;
};

struct merge {
	const struct fl_limits *limits;
	struct fl_problems *problems;
	struct fl_snapshot *snapshot;
	struct claim *names;     /* hash, by the service's name */
	struct claim *frontends; /* hash, by key */
	size_t frontend_count;
};

static void claims_free(struct claim **table)
{
	struct claim *claim;
	struct claim *next;

	HASH_ITER(hh, *table, claim, next) {
		HASH_DEL(*table, claim);
		free(claim);
	}
}

/* "web at services.d/web.yaml:3:5" */
static void say_where(
	const struct fl_service *service, unsigned line, unsigned column, char *buffer, size_t size)
{
	if (service->file)
		snprintf(
			buffer, size, "%s at %s:%u:%u", service->name, service->file, line, column);
	else
		snprintf(buffer, size, "%s of registry %s", service->name,
			service->registry ? service->registry : "?");
}

static struct fl_frontend_key key_of(const struct fl_frontend *frontend)
{
	return (struct fl_frontend_key){
		.addr = frontend->addr,
		.port = frontend->port, /* host order will do: it is compared only here */
		.proto = frontend->proto,
	};
}

static struct claim *find_frontend(const struct merge *m, const struct fl_frontend *frontend)
{
	struct fl_frontend_key key = key_of(frontend);
	struct claim *claim;

	HASH_FIND(hh, m->frontends, &key, sizeof(key), claim);
	return claim;
}

static bool is_name_taken(const struct merge *m, const struct fl_service *service)
{
	char first[512];
	struct claim *claim;

	HASH_FIND(hh, m->names, service->name, strlen(service->name), claim);
	if (!claim)
		return false;
	say_where(
		claim->service, claim->service->line, claim->service->column, first, sizeof(first));
	fl_problem_add(m->problems,
		(struct fl_place){ service->file, service->line, service->column },
		"services.name: %s is the name of another service (%s), expected each only once; "
		"this one is left out",
		service->name, first);
	return true;
}

static bool is_frontend_taken(const struct merge *m, const struct fl_service *service)
{
	bool taken = false;

	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];
		const struct claim *claim = find_frontend(m, frontend);
		char text[FL_SOCKET_TEXT];
		char first[512];

		if (!claim)
			continue;
		say_where(claim->service, claim->frontend->line, claim->frontend->column, first,
			sizeof(first));
		fl_problem_add(m->problems,
			(struct fl_place){ service->file, frontend->line, frontend->column },
			"services.frontends: %s belongs to another service (%s), expected each "
			"only once; %s is left out",
			fl_frontend_format(frontend, text), first, service->name);
		taken = true;
	}
	return taken;
}

static bool is_beyond_limits(const struct merge *m, const struct fl_service *service)
{
	const struct fl_snapshot *s = m->snapshot;
	struct fl_place place = { service->file, service->line, service->column };

	if (s->service_count >= m->limits->services) {
		fl_problem_add(m->problems, place,
			"services: %s is one more than limits.services (%u) allows, and is left "
			"out",
			service->name, m->limits->services);
		return true;
	}
	if (service->endpoint_count > m->limits->endpoints - s->endpoint_count) {
		fl_problem_add(m->problems, place,
			"services.endpoints: the %zu of %s and the %zu of the services before it "
			"are more than limits.endpoints (%u) allows; %s is left out",
			service->endpoint_count, service->name, s->endpoint_count,
			m->limits->endpoints, service->name);
		return true;
	}
	if (service->frontend_count > FL_FRONTENDS_MAX - m->frontend_count) {
		fl_problem_add(m->problems, place,
			"services.frontends: the %zu of %s and the %zu of the services before it "
			"are more than the %d there may be; %s is left out",
			service->frontend_count, service->name, m->frontend_count, FL_FRONTENDS_MAX,
			service->name);
		return true;
	}
	return false;
}

static int claim_name(struct merge *m, const struct fl_service *service)
{
	struct claim *claim = calloc(1, sizeof(*claim));

	if (!claim)
		return -ENOMEM;
	claim->service = service;
	HASH_ADD_KEYPTR(hh, m->names, service->name, strlen(service->name), claim);
	if (!claim->lost)
		return 0;
	free(claim);
	return -ENOMEM;
}

static int claim_frontend(
	struct merge *m, const struct fl_service *service, const struct fl_frontend *frontend)
{
	struct claim *claim = calloc(1, sizeof(*claim));

	if (!claim)
		return -ENOMEM;
	claim->key = key_of(frontend);
	claim->service = service;
	claim->frontend = frontend;
	HASH_ADD(hh, m->frontends, key, sizeof(claim->key), claim);
	if (!claim->lost)
		return 0;
	free(claim);
	return -ENOMEM;
}

static int take(struct merge *m, struct fl_service *service)
{
	struct fl_snapshot *s = m->snapshot;
	int r;

	if (is_name_taken(m, service) || is_frontend_taken(m, service) ||
		is_beyond_limits(m, service))
		return 0;
	r = claim_name(m, service);
	for (size_t i = 0; i < service->frontend_count && r == 0; i++)
		r = claim_frontend(m, service, &service->frontends[i]);
	if (r < 0)
		return r;
	s->services[s->service_count++] = fl_service_ref(service);
	s->endpoint_count += service->endpoint_count;
	m->frontend_count += service->frontend_count;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct fl_service *const *x = a;
	const struct fl_service *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int merge_all(struct merge *m, const struct fl_declaration *declarations, size_t count)
{
	struct fl_snapshot *s = m->snapshot;

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < declarations[i].count; j++) {
			int r = take(m, declarations[i].services[j]);

			if (r < 0)
				return r;
		}
	qsort(s->services, s->service_count, sizeof(*s->services), by_name);
	return 0;
}

static struct fl_snapshot *snapshot_new(size_t room, uint64_t generation)
{
	struct fl_snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->references = 1;
	s->generation = generation;
	s->services = calloc(room + 1, sizeof(*s->services));
	if (!s->services) {
		free(s);
		return NULL;
	}
	return s;
}

int fl_snapshot_merge(const struct fl_declaration *declarations, size_t count,
	const struct fl_limits *limits, uint64_t generation, struct fl_problems *problems,
	struct fl_snapshot **ret)
{
	struct merge m = { .limits = limits, .problems = problems };
	size_t room = 0;
	int r;

	for (size_t i = 0; i < count; i++)
		room += declarations[i].count;
	m.snapshot = snapshot_new(room, generation);
	if (!m.snapshot)
		return -ENOMEM;
	r = merge_all(&m, declarations, count);
	claims_free(&m.names);
	claims_free(&m.frontends);
	if (r < 0) {
		fl_snapshot_unref(m.snapshot);
		return r;
	}
	*ret = m.snapshot;
	return 0;
}

struct fl_snapshot *fl_snapshot_ref(struct fl_snapshot *snapshot)
{
	snapshot->references++;
	return snapshot;
}

void fl_snapshot_unref(struct fl_snapshot *snapshot)
{
	if (!snapshot || --snapshot->references)
		return;
	for (size_t i = 0; i < snapshot->service_count; i++)
		fl_service_unref(snapshot->services[i]);
	free(snapshot->services);
	free(snapshot);
}

struct fl_service *fl_snapshot_find(const struct fl_snapshot *snapshot, const char *name)
{
	struct fl_service key = { .name = (char *)name };
	const struct fl_service *wanted = &key;
	struct fl_service **found = bsearch(&wanted, snapshot->services, snapshot->service_count,
		sizeof(*snapshot->services), by_name);

	return found ? *found : NULL;
}
