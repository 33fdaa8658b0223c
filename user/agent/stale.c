/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/stale.h"

#include <netinet/in.h>

#include "agent/state.h"
#include "core/clock.h"
#include "core/log.h"

static void on_met(void *context, const struct fl_stale_socket *socket)
{
	char local[FL_SOCKET_TEXT], remote[FL_SOCKET_TEXT];
	struct fl_agent *agent = context;
	const char *service = fl_stale_met(agent->stale, socket);

	fl_socket_format(&socket->local, ntohs(socket->local_port), local);
	fl_socket_format(&socket->remote, ntohs(socket->remote_port), remote);
	fl_log(FL_LOG_DEBUG, "node",
		socket->closed ? "stale connection closed" : "stale connection cannot be closed",
		FL_STR("service", service ? service : ""),
		FL_STR("proto", fl_proto_name(socket->proto)), FL_STR("local", local),
		FL_STR("endpoint", remote));
}

static void on_walked(void *context, int error)
{
	struct fl_agent *agent = context;

	fl_stale_walked(agent->stale, error);
	if (agent->walk_again)
		fl_agent_close_stale(agent);
}

int fl_agent_start_stale(struct fl_agent *agent, struct fl_failure *failure)
{
	const struct fl_closer_hooks hooks = { on_met, on_walked, agent };
	struct fl_node_path *path = &agent->node_path;
	int r;

	if (!path->enabled || path->walk.way == FL_CLOSE_NOT)
		return 0;
	r = fl_stale_new(&path->maps, agent->kernel->maps.limits.services, &agent->stale);
	if (r < 0)
		return fl_fail(failure, r, "out of memory");
	fl_writer_use_stale(agent->writer, agent->stale);
	return fl_closer_start(&path->walk, &agent->loop, &hooks, failure, &agent->closer);
}

void fl_agent_close_stale(struct fl_agent *agent)
{
	uint32_t now_s = fl_clock_boot_s();

	if (!agent->closer || !fl_stale_is_due(agent->stale, now_s))
		return;
	agent->walk_again = !fl_closer_walk(agent->closer);
	if (!agent->walk_again)
		fl_stale_walk_begins(agent->stale, now_s);
}

void fl_agent_stop_stale(struct fl_agent *agent)
{
	fl_closer_stop(agent->closer);
	agent->closer = NULL;
}
