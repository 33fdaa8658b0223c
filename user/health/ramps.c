/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/ramps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

struct member {
	struct fl_ip addr;
	uint16_t port;
	bool takes;       /* new flows */
	uint64_t came_ms; /* 0 = it is warm, or takes none */
};

/** The endpoints of one service. */
struct group {
	UT_hash_handle hh;
	bool lost;
	bool seen;               /* in the snapshot that is being looked at */
	char *name;              /* the key */
	struct fl_service *laid; /* as it was last; one reference */
	struct member *members;  /* of each endpoint of it, in its order */
};

struct fl_ramps {
	struct group *groups; /* by name */
	uint64_t next_ms;
};

struct fl_ramps *fl_ramps_new(void)
{
	return calloc(1, sizeof(struct fl_ramps));
}

static void free_group(struct group *group)
{
	fl_service_unref(group->laid);
	free(group->members);
	free(group->name);
	free(group);
}

static void forget(struct fl_ramps *ramps, struct group *group)
{
	HASH_DELETE(hh, ramps->groups, group);
	free_group(group);
}

void fl_ramps_free(struct fl_ramps *ramps)
{
	struct group *group, *next;

	if (!ramps)
		return;
	HASH_ITER(hh, ramps->groups, group, next)
		forget(ramps, group);
	free(ramps);
}

/* ------------------------------------------------------------------------ one service */

static int set(struct fl_health *health, const struct group *group, size_t at, uint64_t now_ms)
{
	const struct member *m = &group->members[at];
	struct fl_health_key key = { group->laid->name, m->addr, m->port };
	uint64_t elapsed_ms = now_ms > m->came_ms ? now_ms - m->came_ms : 0;

	return fl_health_set_ramp(health, &key,
		m->came_ms ? fl_ramp_permille(&group->laid->slow_start, elapsed_ms)
			   : FL_RAMP_WHOLE);
}

/* What was known of an endpoint; both lists are sorted alike. @return NULL = nothing */
static const struct member *before(
	const struct group *group, size_t *at, const struct fl_endpoint *endpoint)
{
	for (; *at < group->laid->endpoint_count; (*at)++) {
		const struct member *m = &group->members[*at];
		int order = memcmp(&m->addr, &endpoint->addr, sizeof(m->addr));

		if (order == 0)
			order = (m->port > endpoint->port) - (m->port < endpoint->port);
		if (order == 0)
			return m;
		if (order > 0)
			break;
	}
	return NULL;
}

/* @param group  NULL = the service is new: all are warm */
static struct member *make_members(
	const struct group *group, const struct fl_service *laid, uint64_t now_ms)
{
	struct member *members = calloc(laid->endpoint_count + 1, sizeof(*members));
	size_t at = 0;

	for (size_t i = 0; members && i < laid->endpoint_count; i++) {
		const struct fl_endpoint *endpoint = &laid->endpoints[i];
		const struct member *old = group ? before(group, &at, endpoint) : NULL;
		struct member *m = &members[i];

		*m = (struct member){ endpoint->addr, endpoint->port,
			fl_endpoint_takes_flows(endpoint), 0 };
		if (m->takes && group)
			m->came_ms = old && old->takes ? old->came_ms : now_ms;
	}
	return members;
}

/* @return how many differ from before, -ENOMEM */
static int tell_changes(const struct group *group, const struct group *old,
	struct fl_health *health, uint64_t now_ms)
{
	int changes = 0;
	size_t at = 0;

	for (size_t i = 0; i < group->laid->endpoint_count; i++) {
		const struct member *was = before(old, &at, &group->laid->endpoints[i]);
		int r;

		if (group->members[i].came_ms == (was ? was->came_ms : 0))
			continue;
		r = set(health, group, i, now_ms);
		if (r < 0)
			return r;
		changes++;
	}
	return changes;
}

static int follow(
	struct group *group, struct fl_service *laid, struct fl_health *health, uint64_t now_ms)
{
	struct group old = *group;
	int r;

	group->members = make_members(&old, laid, now_ms);
	if (!group->members) {
		group->members = old.members;
		return -ENOMEM;
	}
	group->laid = fl_service_ref(laid);
	r = tell_changes(group, &old, health, now_ms);
	fl_service_unref(old.laid);
	free(old.members);
	return r;
}

static int begin(struct fl_ramps *ramps, struct fl_service *laid)
{
	struct group *group = calloc(1, sizeof(*group));

	if (!group)
		return -ENOMEM;
	group->seen = true;
	group->laid = fl_service_ref(laid);
	group->members = make_members(NULL, laid, 0);
	group->name = strdup(laid->name);
	if (group->members && group->name)
		HASH_ADD_KEYPTR(hh, ramps->groups, group->name, strlen(group->name), group);
	if (group->members && group->name && !group->lost)
		return 0;
	free_group(group);
	return -ENOMEM;
}

/* The service has no slow start any more, or is gone. @return how many ramped */
static int end(struct fl_ramps *ramps, struct fl_health *health, struct group *group)
{
	int changes = 0;

	for (size_t i = 0; i < group->laid->endpoint_count; i++) {
		if (!group->members[i].came_ms)
			continue;
		group->members[i].came_ms = 0;
		set(health, group, i, 0); /* makes no entry: it cannot fail */
		changes++;
	}
	forget(ramps, group);
	return changes;
}

/* ---------------------------------------------------------------------- all of them */

static void plan_next(struct fl_ramps *ramps, uint64_t now_ms)
{
	struct group *group, *next;

	ramps->next_ms = 0;
	HASH_ITER(hh, ramps->groups, group, next)
		for (size_t i = 0; i < group->laid->endpoint_count; i++) {
			const struct member *m = &group->members[i];
			uint64_t step_ms = fl_ramp_step_ms(&group->laid->slow_start), due_ms;

			if (!m->came_ms)
				continue;
			due_ms = m->came_ms +
				 (now_ms > m->came_ms ? (now_ms - m->came_ms) / step_ms + 1 : 1) *
					 step_ms;
			if (!ramps->next_ms || due_ms < ramps->next_ms)
				ramps->next_ms = due_ms;
		}
}

static struct group *find_group(const struct fl_ramps *ramps, const char *service)
{
	struct group *group;

	HASH_FIND(hh, ramps->groups, service, strlen(service), group);
	return group;
}

int fl_ramps_look(struct fl_ramps *ramps, struct fl_health *health, const struct fl_snapshot *laid,
	uint64_t now_ms)
{
	struct group *group, *next;
	int changes = 0, r = 0;

	HASH_ITER(hh, ramps->groups, group, next)
		group->seen = false;
	for (size_t i = 0; i < laid->service_count && r >= 0; i++) {
		struct fl_service *service = laid->services[i];

		if (!service->slow_start.window_s)
			continue;
		group = find_group(ramps, service->name);
		if (group)
			group->seen = true;
		if (group && group->laid == service)
			continue;
		r = group ? follow(group, service, health, now_ms) : begin(ramps, service);
		changes += r > 0 ? r : 0;
	}
	HASH_ITER(hh, ramps->groups, group, next)
		if (!group->seen)
			changes += end(ramps, health, group);
	plan_next(ramps, now_ms);
	return r < 0 ? r : changes;
}

int fl_ramps_step(struct fl_ramps *ramps, struct fl_health *health, uint64_t now_ms)
{
	struct group *group, *next;

	HASH_ITER(hh, ramps->groups, group, next)
		for (size_t i = 0; i < group->laid->endpoint_count; i++) {
			struct member *m = &group->members[i];
			uint64_t window_ms = (uint64_t)group->laid->slow_start.window_s * 1000;
			int r;

			if (!m->came_ms)
				continue;
			if (now_ms >= m->came_ms + window_ms)
				m->came_ms = 0;
			r = set(health, group, i, now_ms);
			if (r < 0)
				return r;
		}
	plan_next(ramps, now_ms);
	return 0;
}

uint64_t fl_ramps_next_ms(const struct fl_ramps *ramps)
{
	return ramps->next_ms;
}
