/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/state.h"

int fl_agent_accept(void *context, const char *registry, struct fl_failure *failure)
{
	struct fl_agent *agent = context;

	return fl_registry_set_accept(&agent->registries, registry, failure);
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
		.node_path = &agent->node_path,
		.pools = agent->pools,
		.stale = agent->stale,
		.registries = &agent->registries,
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
