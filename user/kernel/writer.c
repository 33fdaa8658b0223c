/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "fairlead/pin.h"
#include "kernel/adopt.h"
#include "kernel/leavers.h"
#include "kernel/numbering.h"
#include "kernel/rows.h"
#include "kernel/settler.h"
#include "kernel/tables.h"
#include "kernel/vips.h"
#include "model/ids.h"

/* How often tables that wait for another size are tried again. */
#define RETRY_S 10

struct fl_writer {
	struct fl_maps *maps;
	struct fl_ids *ids;
	struct fl_tables *tables;
	struct fl_settler *settler;
	struct fl_pools *pools;       /* NULL = no node path */
	struct fl_stale *stale;       /* NULL = nobody closes connections */
	struct fl_snapshot *snapshot; /* in force; NULL = none yet */
	struct fl_numbering numbering;
	fl_leavers leavers;
	struct fl_writes writes;
	uint32_t *resting; /**< room for every endpoint's number */
	bool any_resting;
	bool frontends_differ; /* frontends were written since `snapshot` */
	bool vips_known;       /* `vips` says what `snapshot` does */
	uint32_t now_s;        /**< of the last call that was told */
	uint32_t tried_s;      /**< when tables that wait were last tried again */
};

int fl_writer_new(struct fl_maps *maps, struct fl_failure *failure, struct fl_writer **ret)
{
	struct fl_writer *writer = calloc(1, sizeof(*writer));
	int r;

	if (!writer)
		return fl_fail(failure, -ENOMEM, "out of memory");
	writer->maps = maps;
	writer->ids = fl_ids_new(maps->limits.services, FL_FRONTENDS_MAX, maps->limits.endpoints);
	writer->resting = calloc(maps->limits.endpoints, sizeof(*writer->resting));
	if (writer->ids && writer->resting)
		r = fl_adopt_ids(maps, writer->ids, failure);
	else
		r = fl_fail(failure, -ENOMEM, "out of memory");
	writer->numbering =
		(struct fl_numbering){ .maps = maps, .ids = writer->ids, .room = writer->resting };
	if (r == 0)
		r = fl_tables_new(maps, failure, &writer->tables);
	if (r == 0) {
		writer->settler = fl_settler_new(maps, writer->ids, writer->tables);
		r = writer->settler ? 0 : fl_fail(failure, -ENOMEM, "out of memory");
	}
	if (r < 0) {
		fl_writer_free(writer);
		return r;
	}
	fl_frontend_rows_forget(maps);
	*ret = writer;
	return 0;
}

void fl_writer_free(struct fl_writer *writer)
{
	if (!writer)
		return;
	fl_snapshot_unref(writer->snapshot);
	fl_vec_done(&writer->leavers);
	fl_settler_free(writer->settler);
	fl_tables_free(writer->tables);
	fl_ids_free(writer->ids);
	free(writer->resting);
	free(writer);
}

void fl_writer_use_pools(struct fl_writer *writer, struct fl_pools *pools)
{
	writer->pools = pools;
}

void fl_writer_use_stale(struct fl_writer *writer, struct fl_stale *stale)
{
	writer->stale = stale;
}

/* ------------------------------------------------------------------- assign */

int fl_writer_assign_some(struct fl_writer *writer, struct fl_snapshot *snapshot, size_t services,
	struct fl_failure *failure)
{
	return fl_numbering_go_on(
		&writer->numbering, writer->snapshot, snapshot, services, writer->now_s, failure);
}

int fl_writer_assign(
	struct fl_writer *writer, struct fl_snapshot *snapshot, struct fl_failure *failure)
{
	int r = 1;

	while (r == 1)
		r = fl_writer_assign_some(writer, snapshot, SIZE_MAX, failure);
	return r;
}

/* -------------------------------------------------------------------- steps */

static int put_frontend(struct fl_writer *writer, const struct fl_service *service,
	const struct fl_frontend *frontend, struct fl_failure *failure)
{
	char text[FL_SOCKET_TEXT];
	int r = fl_frontend_row_put(writer->maps, frontend, service->id);

	if (r < 0)
		return fl_fail(failure, r, "cannot write the frontend %s of %s: %s",
			fl_frontend_format(frontend, text), service->name, fl_log_errno(r));
	writer->writes.frontends += (uint64_t)r;
	writer->frontends_differ |= r > 0;
	return 0;
}

static int remove_frontend(
	struct fl_writer *writer, const struct fl_frontend *frontend, struct fl_failure *failure)
{
	char text[FL_SOCKET_TEXT];
	int r = fl_frontend_row_remove(writer->maps, frontend);

	if (r < 0)
		return fl_fail(failure, r, "cannot remove the frontend %s: %s",
			fl_frontend_format(frontend, text), fl_log_errno(r));
	if (r == 0)
		return 0;
	writer->writes.frontends++;
	writer->frontends_differ = true;
	fl_ids_release_frontend(writer->ids, frontend->id);
	return 0;
}

static void set_state(struct fl_writer *writer, uint32_t id, enum fl_state state)
{
	fl_leavers_forget(&writer->leavers, id);
	writer->writes.endpoints +=
		fl_endpoint_row_set_state(writer->maps, id, state, writer->now_s);
}

/* What becomes of connections that are there when an endpoint takes traffic or not. */
static void tell_stale(struct fl_writer *writer, const struct fl_service *service,
	const struct fl_endpoint *endpoint, bool gone)
{
	if (!writer->stale)
		return;
	if (gone)
		fl_stale_gone(writer->stale, service, endpoint->id, &endpoint->addr, writer->now_s);
	else
		fl_stale_back(writer->stale, endpoint->id);
}

static void put_endpoint(struct fl_writer *writer, const struct fl_service *service,
	const struct fl_endpoint *endpoint)
{
	bool written = fl_endpoint_row_put(writer->maps, service->id, endpoint, writer->now_s);
	enum fl_state state = fl_endpoint_flow_state(endpoint);

	writer->writes.endpoints += written;
	if (written && writer->pools)
		fl_pools_forget_live(writer->pools, endpoint->id);
	/* One that others still have in their slots leaves later, by its own step. */
	if (written || state == FL_UP)
		set_state(writer, endpoint->id, state);
	tell_stale(writer, service, endpoint, false);
}

static int lower_state(struct fl_writer *writer, const struct fl_service *service,
	const struct fl_endpoint *endpoint, struct fl_failure *failure)
{
	enum fl_state state = fl_endpoint_flow_state(endpoint);

	tell_stale(writer, service, endpoint, !fl_state_takes_old(state));
	if (state != FL_DRAINING || !fl_leavers_must_wait(writer->maps, service, endpoint->id)) {
		set_state(writer, endpoint->id, state);
		return 0;
	}
	set_state(writer, endpoint->id, FL_UP);
	return fl_leavers_add(&writer->leavers, service->id, endpoint->id) < 0
		       ? fl_fail(failure, -ENOMEM, "out of memory")
		       : 0;
}

/* The number rests from now on; the row goes when nothing holds the number. */
static void retire_endpoint(struct fl_writer *writer, uint32_t id)
{
	set_state(writer, id, FL_DOWN);
	if (writer->maps->endpoints[id].service == 0 || fl_ids_is_resting(writer->ids, id))
		return;
	fl_ids_release_endpoint(writer->ids, id, writer->now_s);
	writer->any_resting = true;
}

static int put_pool(struct fl_writer *writer, const struct fl_service *service,
	enum fl_family family, struct fl_failure *failure)
{
	int r = writer->pools ? fl_pools_put(writer->pools, service, family, writer->now_s) : 0;

	return r < 0 ? fl_fail(failure, r, "cannot write a pool of %s: %s", service->name,
			       fl_log_errno(r))
		     : 0;
}

static void drop_table(struct fl_writer *writer, uint32_t service, enum fl_family family)
{
	fl_tables_drop(writer->tables, service, family, writer->now_s, &writer->writes);
	if (writer->pools)
		fl_pools_drop(writer->pools, service, family, writer->now_s);
}

static void remove_service(struct fl_writer *writer, uint32_t id)
{
	if (!writer->maps->services[id].in_use)
		return;
	for (int family = 0; family < FL_FAMILIES; family++)
		drop_table(writer, id, (enum fl_family)family);
	fl_service_row_clear(writer->maps, id);
	writer->writes.services++;
	writer->writes.names++;
	fl_ids_release_service(writer->ids, id);
}

/* Before anything is written for a service, its name stands beside its number:
 * otherwise the next agent could not tell whose the rest is. */
static void claim(struct fl_writer *writer, const struct fl_service *service)
{
	writer->writes.names += fl_service_row_claim(writer->maps, service->id, service->name);
}

int fl_writer_step(struct fl_writer *writer, const struct fl_step *step, uint32_t now_s,
	struct fl_failure *failure)
{
	const struct fl_service *service = step->service;

	writer->now_s = now_s;
	switch (step->kind) {
	case FL_STEP_ENDPOINT:
		claim(writer, service);
		put_endpoint(writer, service, step->endpoint);
		return 0;
	case FL_STEP_TABLE:
		claim(writer, service);
		return fl_tables_put(
			writer->tables, service, step->family, now_s, &writer->writes, failure);
	case FL_STEP_POOL:
		claim(writer, service);
		return put_pool(writer, service, step->family, failure);
	case FL_STEP_SERVICE:
		claim(writer, service);
		writer->writes.services += fl_service_row_put(writer->maps, service);
		return 0;
	case FL_STEP_FRONTEND:
		claim(writer, service);
		return put_frontend(writer, service, step->frontend, failure);
	case FL_STEP_FRONTEND_GONE:
		return remove_frontend(writer, step->frontend, failure);
	case FL_STEP_TABLE_GONE:
		drop_table(writer, service->id, step->family);
		return 0;
	case FL_STEP_SERVICE_GONE:
		remove_service(writer, service->id);
		return 0;
	case FL_STEP_ENDPOINT_STATE:
		return lower_state(writer, service, step->endpoint, failure);
	case FL_STEP_ENDPOINT_GONE:
		tell_stale(writer, service, step->endpoint, true);
		retire_endpoint(writer, step->endpoint->id);
		return 0;
	case FL_STEP_KINDS:
		break;
	}
	return fl_fail(failure, -EINVAL, "no such step");
}

/* -------------------------------------------------------------------- prune */

/* What a snapshot uses, by number. */
struct wanted {
	const struct fl_service **services; /**< NULL = not wanted */
	bool *frontends, *endpoints;
	bool (*tables)[FL_FAMILIES]; /**< by service */
};

static void wanted_done(struct wanted *wanted)
{
	free(wanted->services);
	free(wanted->frontends);
	free(wanted->endpoints);
	free(wanted->tables);
}

static void want_service(struct wanted *wanted, const struct fl_service *service)
{
	wanted->services[service->id] = service;
	for (int family = 0; family < FL_FAMILIES; family++)
		wanted->tables[service->id][family] = fl_service_has_family(service, family);
	for (size_t i = 0; i < service->frontend_count; i++)
		wanted->frontends[service->frontends[i].id] = true;
	for (size_t i = 0; i < service->endpoint_count; i++)
		wanted->endpoints[service->endpoints[i].id] = true;
}

static int wanted_init(
	struct wanted *wanted, const struct fl_limits *limits, const struct fl_snapshot *snapshot)
{
	*wanted = (struct wanted){
		.services = calloc(limits->services + 1ull, sizeof(*wanted->services)),
		.frontends = calloc(FL_FRONTENDS_MAX + 1ull, sizeof(bool)),
		.endpoints = calloc(limits->endpoints + 1ull, sizeof(bool)),
		.tables = calloc(limits->services + 1ull, sizeof(*wanted->tables)),
	};
	if (!wanted->services || !wanted->frontends || !wanted->endpoints || !wanted->tables)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->service_count; i++)
		want_service(wanted, snapshot->services[i]);
	return 0;
}

static int prune_frontends(
	struct fl_writer *writer, const struct wanted *wanted, struct fl_failure *failure)
{
	_cleanup_free_ struct fl_frontend_pair *rows = NULL;
	size_t count = 0;
	int r = fl_frontend_rows_list(writer->maps, &rows, &count);

	if (r < 0)
		return fl_fail(failure, r, "cannot list the frontends: %s", fl_log_errno(r));
	for (size_t i = 0; i < count && r == 0; i++) {
		struct fl_frontend frontend = fl_frontend_from_row(&rows[i].key, &rows[i].row);

		if (!wanted->frontends[frontend.id])
			r = remove_frontend(writer, &frontend, failure);
	}
	return r;
}

static void prune_services(struct fl_writer *writer, const struct wanted *wanted)
{
	for (uint32_t id = 1; id <= writer->maps->limits.services; id++) {
		if (!wanted->services[id])
			remove_service(writer, id);
		for (int family = 0; family < FL_FAMILIES; family++)
			if (!wanted->tables[id][family])
				drop_table(writer, id, (enum fl_family)family);
	}
}

/* Of a service that is gone as well nobody knows what it wanted: its connections stay. */
static void tell_pruned(struct fl_writer *writer, const struct wanted *wanted, uint32_t id)
{
	const struct fl_endpoint_row *row = &writer->maps->endpoints[id];
	const struct fl_service *service = row->service <= writer->maps->limits.services
						   ? wanted->services[row->service]
						   : NULL;

	if (writer->stale && service)
		fl_stale_gone(writer->stale, service, id, &row->addr, writer->now_s);
}

static void prune_endpoints(struct fl_writer *writer, const struct wanted *wanted)
{
	for (uint32_t id = 1; id <= writer->maps->limits.endpoints; id++)
		if (writer->maps->endpoints[id].service != 0 && !wanted->endpoints[id]) {
			tell_pruned(writer, wanted, id);
			retire_endpoint(writer, id);
		}
}

int fl_writer_prune(struct fl_writer *writer, const struct fl_snapshot *snapshot, uint32_t now_s,
	struct fl_failure *failure)
{
	struct wanted wanted;
	int r = wanted_init(&wanted, &writer->maps->limits, snapshot);

	writer->now_s = now_s;
	if (r < 0)
		fl_fail(failure, r, "out of memory");
	else
		r = prune_frontends(writer, &wanted, failure);
	if (r == 0) {
		prune_services(writer, &wanted);
		prune_endpoints(writer, &wanted);
	}
	wanted_done(&wanted);
	return r;
}

/* --------------------------------------------------------------------- rest */

/* What cannot be written stays as it was: it matters to fragments alone. */
static void put_vips(struct fl_writer *writer, const struct fl_snapshot *snapshot)
{
	const struct fl_snapshot *last = writer->vips_known ? writer->snapshot : NULL;
	int r = fl_vips_put(writer->maps, last, snapshot);

	writer->vips_known = r >= 0;
	if (r < 0)
		fl_log(FL_LOG_WARNING, "kernel",
			"cannot write the addresses of frontends: fragments may be dropped",
			FL_ERR(r));
}

void fl_writer_follow(struct fl_writer *writer, struct fl_snapshot *snapshot)
{
	if (writer->frontends_differ || !writer->vips_known)
		put_vips(writer, snapshot);
	writer->frontends_differ = false;
	fl_snapshot_ref(snapshot);
	fl_snapshot_unref(writer->snapshot);
	writer->snapshot = snapshot;
	writer->numbering.in_force_is_known = true;
	fl_settler_follow(writer->settler, snapshot);
}

static bool is_held(const struct fl_writer *writer, uint32_t id)
{
	const struct fl_nat_used_row *flows = &writer->maps->nat_used[id];

	if (writer->stale && fl_stale_holds(writer->stale, id))
		return true;
	if (writer->pools && fl_pools_has_connections(writer->pools, id))
		return true;
	return flows->tcp || flows->udp || !fl_settler_found_unused(writer->settler, id);
}

/* After a sweep: numbers that had rested when it began, and that it did not meet. */
static void free_rested(struct fl_writer *writer)
{
	size_t count = fl_ids_resting(writer->ids, writer->now_s - FL_GRACE_S, writer->resting,
		writer->maps->limits.endpoints);

	for (size_t i = 0; i < count; i++) {
		if (is_held(writer, writer->resting[i]))
			continue;
		fl_endpoint_row_clear(writer->maps, writer->resting[i]);
		fl_ids_rested(writer->ids, writer->resting[i]);
	}
	writer->any_resting = fl_ids_resting(writer->ids, writer->now_s, writer->resting, 1) > 0;
}

static void retry_tables(struct fl_writer *writer)
{
	if (!writer->snapshot || writer->now_s - writer->tried_s < RETRY_S)
		return;
	writer->tried_s = writer->now_s;
	for (size_t i = 0; i < writer->snapshot->service_count; i++)
		for (int family = 0; family < FL_FAMILIES; family++)
			fl_tables_retry(writer->tables, writer->snapshot->services[i],
				(enum fl_family)family, writer->now_s, &writer->writes);
}

int fl_writer_tick(struct fl_writer *writer, uint32_t now_s)
{
	int r;

	writer->now_s = now_s;
	fl_tables_rest(writer->tables, now_s);
	fl_settler_tick(writer->settler, now_s, &writer->writes);
	fl_leavers_tick(&writer->leavers, writer->maps, now_s, &writer->writes);
	retry_tables(writer);
	if (writer->pools)
		fl_pools_tick(writer->pools, writer->snapshot, now_s);
	if (!fl_settler_sweep_is_due(writer->settler, writer->any_resting, now_s))
		return 0;
	r = fl_settler_sweep(writer->settler, now_s, &writer->writes);
	if (r == 0)
		free_rested(writer);
	return r;
}

const struct fl_writes *fl_writer_writes(const struct fl_writer *writer)
{
	return &writer->writes;
}

const struct fl_settle_counts *fl_writer_settle_counts(const struct fl_writer *writer)
{
	return fl_settler_counts(writer->settler);
}

uint32_t fl_writer_slots_in_use(const struct fl_writer *writer)
{
	return fl_tables_slots_in_use(writer->tables);
}
