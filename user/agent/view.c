/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/state.h"

#include <errno.h>

int fl_agent_accept(void *context, const char *registry, struct fl_failure *failure)
{
	struct fl_agent *agent = context;

	return fl_registry_set_accept(&agent->registries, registry, failure);
}

int fl_agent_heartbeat(void *context, const char *service, const char *endpoint, const char *beat,
	const char *note, struct fl_failure *failure)
{
	struct fl_health_key key = { .service = service };
	struct fl_agent *agent = context;
	enum fl_beat heard;

	if (fl_socket_parse(endpoint, false, &key.addr, &key.port) < 0)
		return fl_fail(failure, -EINVAL,
			"\"%s\" is no endpoint, expected its address as fairlead endpoint list has "
			"it",
			endpoint);
	if (fl_beat_find(beat, &heard) < 0)
		return fl_fail(failure, -EINVAL,
			"\"%s\" is no heartbeat, expected pass, warn or fail", beat);
	return fl_heartbeats_heed(agent->heartbeats, &key, heard, note, failure);
}

void fl_agent_view(void *context, struct fl_view *ret)
{
	struct fl_agent *agent = context;

	*ret = (struct fl_view){
		.config = agent->config,
		.applied = agent->applied,
		.maps = &agent->kernel->maps,
		.links = agent->links,
		.routes = agent->routes,
		.no_edge = !agent->routes,
		.node_path = &agent->node_path,
		.pools = agent->pools,
		.stale = agent->stale,
		.registries = &agent->registries,
		.health = agent->health,
		.checker = agent->checker,
		.conflicts = &agent->conflicts,
		.dns = agent->dns,
		.apply = &agent->stats,
		.writes = fl_writer_writes(agent->writer),
		.started_ms = agent->started_ms,
		.applied_ms = agent->applied_ms,
		.adopted = agent->kernel->adopted,
	};
	if (!agent->applied)
		ret->not_ready = "no snapshot has been applied yet";
}
