/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/adopt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "kernel/rows.h"

/* A number that cannot be adopted: out of memory, or the maps are damaged. */
static int refuse(struct fl_failure *failure, int code, const char *kind, uint32_t id)
{
	if (code != -EEXIST && code != -ERANGE)
		return fl_fail(
			failure, code, "cannot adopt %s %u: %s", kind, id, fl_log_errno(code));
	fl_fail(failure, -EPROTO, "the pinned maps are damaged: %s %u %s", kind, id,
		code == -EEXIST ? "is there twice" : "is beyond the limits");
	fl_fail_hint(failure, "fairleadd --detach removes them; flows then begin anew");
	return -EPROTO;
}

static int adopt_services(
	const struct fl_maps *maps, struct fl_ids *ids, struct fl_failure *failure)
{
	char name[FL_NAME_MAX + 1];
	int r = 0;

	for (uint32_t id = 1; id <= maps->limits.services && r == 0; id++) {
		if (!maps->services[id].in_use)
			continue;
		r = fl_ids_adopt_service(ids, id, fl_name_row_text(&maps->names[id], name));
		if (r < 0)
			r = refuse(failure, r, "service", id);
	}
	return r;
}

static int adopt_frontends(
	const struct fl_maps *maps, struct fl_ids *ids, struct fl_failure *failure)
{
	_cleanup_free_ struct fl_frontend_pair *rows = NULL;
	size_t count = 0;
	int r = fl_frontend_rows_list(maps, &rows, &count);

	if (r < 0)
		return fl_fail(failure, r, "cannot list the frontends: %s", fl_log_errno(r));
	for (size_t i = 0; i < count && r == 0; i++) {
		struct fl_frontend frontend = fl_frontend_from_row(&rows[i].key, &rows[i].row);

		r = fl_ids_adopt_frontend(ids, frontend.id, &frontend);
		if (r < 0)
			r = refuse(failure, r, "frontend", frontend.id);
	}
	return r;
}

static int adopt_endpoints(
	const struct fl_maps *maps, struct fl_ids *ids, struct fl_failure *failure)
{
	int r = 0;

	for (uint32_t id = 1; id <= maps->limits.endpoints && r == 0; id++) {
		const struct fl_endpoint_row *row = &maps->endpoints[id];

		if (row->service == 0)
			continue;
		r = fl_ids_adopt_endpoint(ids, id, row->service, &row->addr, ntohs(row->port));
		if (r < 0)
			r = refuse(failure, r, "endpoint", id);
	}
	return r;
}

int fl_adopt_ids(const struct fl_maps *maps, struct fl_ids *ids, struct fl_failure *failure)
{
	int r = adopt_services(maps, ids, failure);

	if (r == 0)
		r = adopt_frontends(maps, ids, failure);
	return r < 0 ? r : adopt_endpoints(maps, ids, failure);
}
