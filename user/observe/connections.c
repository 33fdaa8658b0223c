/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/connections.h"

#include "kernel/node_live.h"
#include "kernel/reader.h"

static bool count_nat(const struct fl_view *view, const struct fl_service *service,
	const struct fl_endpoint *endpoint, uint64_t *ret)
{
	return service->forward == FL_NAT && view->maps && view->maps->fd[FL_MAP_nat_used] >= 0 &&
	       fl_read_connections(view->maps, endpoint->id, ret) == 0;
}

bool fl_connections_count(const struct fl_view *view, const struct fl_service *service,
	const struct fl_endpoint *endpoint, uint64_t *ret)
{
	uint64_t flows = 0;
	struct fl_live_row row = { 0 };
	bool nat, node;

	if (!endpoint->id)
		return false;
	nat = count_nat(view, service, endpoint, &flows);
	node = view->node_path && fl_node_live_read(&view->node_path->maps, endpoint->id, &row);
	*ret = flows + row.open;
	return nat || node;
}
