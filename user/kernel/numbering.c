/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/numbering.h"

#include <errno.h>

#include "core/log.h"
#include "kernel/rows.h"

/* Numbers that were given but never written into a map are free again. */
static void take_back(struct fl_numbering *n, const struct fl_service *service, uint32_t now_s)
{
	const struct fl_maps *maps = n->maps;
	struct fl_frontend_row row;

	for (size_t i = 0; i < service->endpoint_count; i++) {
		uint32_t id = service->endpoints[i].id;

		if (maps->endpoints[id].service != 0)
			continue;
		fl_ids_release_endpoint(n->ids, id, now_s);
		fl_ids_rested(n->ids, id);
	}
	for (size_t i = 0; i < service->frontend_count; i++)
		if (fl_frontend_row_get(maps, &service->frontends[i], &row) == -ENOENT)
			fl_ids_release_frontend(n->ids, service->frontends[i].id);
	if (!maps->services[service->id].in_use)
		fl_ids_release_service(n->ids, service->id);
}

static int explain(struct fl_failure *failure, int code, const struct fl_service *service)
{
	if (code != -ENOSPC)
		return fl_fail(
			failure, code, "cannot number %s: %s", service->name, fl_log_errno(code));
	fl_fail(failure, code, "no numbers are left for %s, its %zu frontends or its %zu endpoints",
		service->name, service->frontend_count, service->endpoint_count);
	fl_fail_hint(failure, "numbers of endpoints that left are free again when their flows have "
			      "ended; `limits:` says how many there are");
	return code;
}

static bool next_to_number(const struct fl_numbering *n, const struct fl_snapshot *in_force,
	const struct fl_snapshot *snapshot, struct fl_snapshot_change *at)
{
	while (fl_snapshot_next_change(n->in_force_is_known ? in_force : NULL, snapshot, at))
		if (at->new)
			return true;
	return false;
}

/* Take back what was given before the service that got nothing. */
static void take_all_back(struct fl_numbering *n, const struct fl_snapshot *in_force,
	const struct fl_snapshot *snapshot, uint32_t now_s)
{
	const struct fl_service *failed = n->at.new;
	struct fl_snapshot_change at = { 0 };

	while (next_to_number(n, in_force, snapshot, &at) && at.new != failed)
		take_back(n, at.new, now_s);
	for (size_t i = 0; i < n->rested; i++)
		if (!fl_ids_is_resting(n->ids, n->room[i]))
			fl_ids_release_endpoint(n->ids, n->room[i], now_s);
	/* One of these may have shared numbers with a service in force that no map has yet. */
	n->in_force_is_known = false;
}

static void note_highest(struct fl_numbering *n, const struct fl_service *service)
{
	if (service->id > n->services)
		n->services = service->id;
	for (size_t i = 0; i < service->endpoint_count; i++)
		if (service->endpoints[i].id > n->endpoints)
			n->endpoints = service->endpoints[i].id;
}

static int reach(const struct fl_numbering *n, struct fl_failure *failure)
{
	static const enum fl_map by_service[] = { FL_MAP_services, FL_MAP_names };
	static const enum fl_map by_endpoint[] = { FL_MAP_endpoints, FL_MAP_nat_used };
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++)
		r = fl_maps_reach(n->maps, by_service[i], n->services + 1ull);
	for (int i = 0; i < 2 && r == 0; i++)
		r = fl_maps_reach(n->maps, by_endpoint[i], n->endpoints + 1ull);
	return r < 0 ? fl_fail(failure, r, "cannot map rows into memory: %s", fl_log_errno(r)) : 0;
}

static void begin(struct fl_numbering *n, const struct fl_snapshot *snapshot, uint32_t now_s)
{
	n->snapshot = snapshot;
	n->at = (struct fl_snapshot_change){ 0 };
	n->services = n->endpoints = 0;
	n->rested = fl_ids_resting(n->ids, now_s, n->room, n->maps->limits.endpoints);
}

int fl_numbering_go_on(struct fl_numbering *n, const struct fl_snapshot *in_force,
	const struct fl_snapshot *snapshot, size_t services, uint32_t now_s,
	struct fl_failure *failure)
{
	int r;

	if (n->snapshot != snapshot)
		begin(n, snapshot, now_s);
	for (; services > 0; services--) {
		if (!next_to_number(n, in_force, snapshot, &n->at)) {
			n->snapshot = NULL;
			return reach(n, failure);
		}
		r = fl_ids_assign(n->ids, n->at.new);
		if (r < 0) {
			explain(failure, r, n->at.new);
			take_all_back(n, in_force, snapshot, now_s);
			n->snapshot = NULL;
			return r;
		}
		note_highest(n, n->at.new);
	}
	return 1;
}
