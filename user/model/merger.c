/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two ways to the same snapshot. The long one takes every service in order and
 * decides. The short one takes the last snapshot, removes the services that are no
 * longer declared and adds the new ones. It is taken only where order cannot
 * matter: when none of their names and frontends is, or was, wanted by anybody else,
 * and all are within the limits.
 */
#include "model/merger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/vec.h"
#include "model/claims.h"

typedef FL_VEC(struct fl_service *) service_list;

struct fl_merger {
	struct fl_limits limits;
	/* Of the last merge; `snapshot` NULL = there was none. */
	service_list declared; /* in order of precedence; alive by the next two */
	struct fl_snapshot *snapshot;
	service_list left_out; /* one reference each */
	struct fl_claims claims;
	struct fl_problems problems;
	size_t frontend_count; /* in `snapshot` */
	bool limited;          /* somebody was left out for the limits */
};

struct fl_merger *fl_merger_new(void)
{
	return calloc(1, sizeof(struct fl_merger));
}

/* Remember nothing. */
static void forget(struct fl_merger *m)
{
	fl_claims_done(&m->claims);
	fl_problems_done(&m->problems);
	for (size_t i = 0; i < m->left_out.count; i++)
		fl_service_unref(m->left_out.items[i]);
	fl_vec_done(&m->left_out);
	fl_vec_done(&m->declared);
	fl_snapshot_unref(m->snapshot);
	*m = (struct fl_merger){ 0 };
}

void fl_merger_free(struct fl_merger *m)
{
	if (m)
		forget(m);
	free(m);
}

static int by_name(const void *a, const void *b)
{
	const struct fl_service *const *x = a;
	const struct fl_service *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void sort_by_name(struct fl_service **services, size_t count)
{
	if (count)
		qsort(services, count, sizeof(struct fl_service *), by_name);
}

/* ------------------------------------------------------------ conflicts, in words */

/* "web at services.d/web.yaml:3:5"; what is no file has no lines. */
static void say_where(
	const struct fl_service *service, unsigned line, unsigned column, char *buffer, size_t size)
{
	if (service->file && !line)
		snprintf(buffer, size, "%s at %s", service->name, service->file);
	else if (service->file)
		snprintf(
			buffer, size, "%s at %s:%u:%u", service->name, service->file, line, column);
	else
		snprintf(buffer, size, "%s of registry %s", service->name,
			service->registry ? service->registry : "?");
}

/* What is written into a registry comes back from there, by the hand of another node that
 * has the same file: that is no quarrel. */
static bool is_its_echo(const struct fl_service *service, const struct fl_service *holder)
{
	return holder->registration.registry && service->registry &&
	       strcmp(holder->registration.registry, service->registry) == 0;
}

static bool is_name_taken(struct fl_merger *m, const struct fl_service *service)
{
	const struct fl_service *holder = fl_claims_holder(&m->claims, service->name);
	char first[512];

	if (!holder)
		return false;
	if (is_its_echo(service, holder))
		return true;
	say_where(holder, holder->line, holder->column, first, sizeof(first));
	fl_problem_add(&m->problems,
		(struct fl_place){ service->file, service->line, service->column },
		"services.name: %s is the name of another service (%s), expected each only once; "
		"this one is left out",
		service->name, first);
	return true;
}

static bool is_frontend_taken(struct fl_merger *m, const struct fl_service *service)
{
	bool taken = false;

	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i], *other = NULL;
		const struct fl_service *holder =
			fl_claims_frontend_holder(&m->claims, frontend, &other);
		char text[FL_SOCKET_TEXT];
		char first[512];

		if (!holder)
			continue;
		say_where(holder, other->line, other->column, first, sizeof(first));
		fl_problem_add(&m->problems,
			(struct fl_place){ service->file, frontend->line, frontend->column },
			"services.frontends: %s belongs to another service (%s), expected each "
			"only once; %s is left out",
			fl_frontend_format(frontend, text), first, service->name);
		taken = true;
	}
	return taken;
}

static bool is_beyond_limits(struct fl_merger *m, const struct fl_service *service)
{
	const struct fl_snapshot *s = m->snapshot;
	struct fl_place place = { service->file, service->line, service->column };

	if (s->service_count >= m->limits.services) {
		fl_problem_add(&m->problems, place,
			"services: %s is one more than limits.services (%u) allows, and is left "
			"out",
			service->name, m->limits.services);
		return true;
	}
	if (service->endpoint_count > m->limits.endpoints - s->endpoint_count) {
		fl_problem_add(&m->problems, place,
			"services.endpoints: the %zu of %s and the %zu of the services before it "
			"are more than limits.endpoints (%u) allows; %s is left out",
			service->endpoint_count, service->name, s->endpoint_count,
			m->limits.endpoints, service->name);
		return true;
	}
	if (service->frontend_count > FL_FRONTENDS_MAX - m->frontend_count) {
		fl_problem_add(&m->problems, place,
			"services.frontends: the %zu of %s and the %zu of the services before it "
			"are more than the %d there may be; %s is left out",
			service->frontend_count, service->name, m->frontend_count, FL_FRONTENDS_MAX,
			service->name);
		return true;
	}
	return false;
}

/* ---------------------------------------------------------------- the long way */

static int leave_out(struct fl_merger *m, struct fl_service *service)
{
	struct fl_service **place = fl_vec_push(&m->left_out);

	if (!place)
		return -ENOMEM;
	*place = fl_service_ref(service);
	return fl_claims_dispute(&m->claims, service);
}

/* Put it into the snapshot, which has room. */
static int take(struct fl_merger *m, struct fl_service *service)
{
	struct fl_snapshot *s = m->snapshot;

	s->services[s->service_count++] = fl_service_ref(service);
	s->endpoint_count += service->endpoint_count;
	m->frontend_count += service->frontend_count;
	return fl_claims_take(&m->claims, service);
}

static int decide(struct fl_merger *m, struct fl_service *service)
{
	if (is_name_taken(m, service) || is_frontend_taken(m, service))
		return leave_out(m, service);
	if (is_beyond_limits(m, service)) {
		m->limited = true;
		return leave_out(m, service);
	}
	return take(m, service);
}

/* Takes the list over. */
static int merge_all(struct fl_merger *m, service_list *declared, const struct fl_limits *limits,
	uint64_t generation)
{
	int r = 0;

	forget(m);
	m->limits = *limits;
	m->declared = *declared;
	*declared = (service_list){ 0 };
	m->snapshot = fl_snapshot_new(m->declared.count, generation);
	if (!m->snapshot)
		return -ENOMEM;
	for (size_t i = 0; i < m->declared.count && r == 0; i++)
		r = decide(m, m->declared.items[i]);
	sort_by_name(m->snapshot->services, m->snapshot->service_count);
	return r;
}

/* --------------------------------------------------------------- the short way */

/** What is no longer declared, and what is new. */
struct changes {
	service_list removed, added;
	bool out_of_memory;
};

static void changes_done(struct changes *changes)
{
	fl_vec_done(&changes->removed);
	fl_vec_done(&changes->added);
}

static void note(struct changes *changes, service_list *list, struct fl_service *service)
{
	struct fl_service **place = fl_vec_push(list);

	if (place)
		*place = service;
	else
		changes->out_of_memory = true;
}

/**
 * Compare two lists of pointers. One that was replaced, or that came or went, is found
 * where it is; after a run of others in one place the rest counts as changed, if it
 * is not the end of both. More than there are is correct as well.
 */
static void find_changes(struct changes *changes, const service_list *old, const service_list *new)
{
	size_t olds = old->count, news = new->count, i = 0, j = 0;
	struct fl_service **a = old->items, **b = new->items;

	while (olds > 0 && news > 0 && a[olds - 1] == b[news - 1]) {
		olds--;
		news--;
	}
	while (i < olds || j < news) {
		bool came, went;

		if (i < olds && j < news && a[i] == b[j]) {
			i++;
			j++;
			continue;
		}
		came = i == olds || (j + 1 < news && a[i] == b[j + 1]);
		went = j == news || (i + 1 < olds && a[i + 1] == b[j]);
		if (!came)
			note(changes, &changes->removed, a[i++]);
		if (came || !went)
			note(changes, &changes->added, b[j++]);
	}
}

static bool is_within_limits(const struct fl_merger *m, const struct changes *changes)
{
	size_t services = m->snapshot->service_count + changes->added.count;
	size_t endpoints = m->snapshot->endpoint_count, frontends = m->frontend_count;

	for (size_t i = 0; i < changes->added.count; i++) {
		endpoints += changes->added.items[i]->endpoint_count;
		frontends += changes->added.items[i]->frontend_count;
	}
	for (size_t i = 0; i < changes->removed.count; i++) {
		endpoints -= changes->removed.items[i]->endpoint_count;
		frontends -= changes->removed.items[i]->frontend_count;
	}
	return services - changes->removed.count <= m->limits.services &&
	       endpoints <= m->limits.endpoints && frontends <= FL_FRONTENDS_MAX;
}

/* Whether the changes touch nobody else. Then the claims are what they leave. */
static bool claim_changes(struct fl_merger *m, const struct changes *changes)
{
	for (size_t i = 0; i < changes->removed.count; i++) {
		if (!fl_claims_are_sole(&m->claims, changes->removed.items[i]))
			return false;
		fl_claims_release(&m->claims, changes->removed.items[i]);
	}
	for (size_t i = 0; i < changes->added.count; i++)
		if (!fl_claims_are_free(&m->claims, changes->added.items[i]) ||
			fl_claims_take(&m->claims, changes->added.items[i]) < 0)
			return false;
	return true;
}

/* Add references to services [from, to) of another snapshot. */
static void copy(struct fl_snapshot *s, const struct fl_snapshot *other, size_t from, size_t to)
{
	for (; from < to; from++)
		s->services[s->service_count++] = fl_service_ref(other->services[from]);
}

/* Both lists of changes are sorted by name, as snapshots are. */
static void apply_changes(
	struct fl_snapshot *s, const struct fl_snapshot *last, const struct changes *changes)
{
	size_t from = 0, gone = 0, come = 0;

	while (gone < changes->removed.count || come < changes->added.count) {
		size_t at_gone = SIZE_MAX, at_come = SIZE_MAX;

		if (gone < changes->removed.count)
			at_gone = fl_snapshot_position(last, changes->removed.items[gone]->name);
		if (come < changes->added.count)
			at_come = fl_snapshot_position(last, changes->added.items[come]->name);
		if (at_come <= at_gone) {
			copy(s, last, from, at_come);
			from = at_come;
			s->services[s->service_count++] =
				fl_service_ref(changes->added.items[come++]);
		} else {
			copy(s, last, from, at_gone);
			from = at_gone + 1;
			gone++;
		}
	}
	copy(s, last, from, last->service_count);
	s->endpoint_count = last->endpoint_count;
}

static void count_changes(struct fl_merger *m, const struct changes *changes)
{
	for (size_t i = 0; i < changes->added.count; i++) {
		m->snapshot->endpoint_count += changes->added.items[i]->endpoint_count;
		m->frontend_count += changes->added.items[i]->frontend_count;
	}
	for (size_t i = 0; i < changes->removed.count; i++) {
		m->snapshot->endpoint_count -= changes->removed.items[i]->endpoint_count;
		m->frontend_count -= changes->removed.items[i]->frontend_count;
	}
}

/* @return whether it was done; if not, what is remembered may be spoilt */
static bool merge_changes(
	struct fl_merger *m, service_list *declared, struct changes *changes, uint64_t generation)
{
	struct fl_snapshot *last = m->snapshot, *next;

	if (changes->removed.count + changes->added.count > declared->count / 4 + 16 ||
		changes->out_of_memory || m->limited || !is_within_limits(m, changes) ||
		!claim_changes(m, changes))
		return false;
	next = fl_snapshot_new(last->service_count + changes->added.count, generation);
	if (!next)
		return false;
	sort_by_name(changes->removed.items, changes->removed.count);
	sort_by_name(changes->added.items, changes->added.count);
	apply_changes(next, last, changes);
	m->snapshot = next;
	count_changes(m, changes);
	fl_snapshot_unref(last);
	fl_vec_done(&m->declared);
	m->declared = *declared;
	*declared = (service_list){ 0 };
	return true;
}

/* ----------------------------------------------------------------------- merge */

static int collect(service_list *ret, const struct fl_declaration *declarations, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < declarations[i].count; j++) {
			struct fl_service **place = fl_vec_push(ret);

			if (!place)
				return -ENOMEM;
			*place = declarations[i].services[j];
		}
	return 0;
}

/* Merge, or find that there is nothing to do. Takes the list over. */
static int merge(struct fl_merger *m, service_list *declared, const struct fl_limits *limits,
	uint64_t generation)
{
	struct changes changes = { 0 };
	bool known = m->snapshot && memcmp(&m->limits, limits, sizeof(*limits)) == 0;
	int r = 0;

	if (known)
		find_changes(&changes, &m->declared, declared);
	known = known && !changes.out_of_memory;
	if (!known || ((changes.removed.count || changes.added.count) &&
			      !merge_changes(m, declared, &changes, generation)))
		r = merge_all(m, declared, limits, generation);
	changes_done(&changes);
	return r;
}

int fl_merger_merge(struct fl_merger *m, const struct fl_declaration *declarations, size_t count,
	const struct fl_limits *limits, uint64_t generation, struct fl_problems *problems,
	struct fl_snapshot **ret)
{
	service_list declared = { 0 };
	int r = collect(&declared, declarations, count);

	if (r == 0)
		r = merge(m, &declared, limits, generation);
	fl_vec_done(&declared);
	if (r < 0) {
		forget(m);
		return r;
	}
	fl_problems_copy(problems, &m->problems);
	*ret = fl_snapshot_ref(m->snapshot);
	return 0;
}

int fl_snapshot_merge(const struct fl_declaration *declarations, size_t count,
	const struct fl_limits *limits, uint64_t generation, struct fl_problems *problems,
	struct fl_snapshot **ret)
{
	struct fl_merger m = { 0 };
	int r = fl_merger_merge(&m, declarations, count, limits, generation, problems, ret);

	forget(&m);
	return r;
}
