/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/roads.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "agent/state.h"
#include "core/log.h"
#include "kernel/probe_tunnel.h"

static int refuse(char words[FL_DETAIL_MAX], int code, const char *why)
{
	snprintf(words, FL_DETAIL_MAX, "not through the tunnel: %.120s", why);
	return code;
}

/* One that cannot be made is not tried again with each probe. */
static int make_road(struct fl_agent *agent, char words[FL_DETAIL_MAX])
{
	struct fl_failure failure = { 0 };
	int r;

	if (agent->road == FL_ROAD_THERE)
		return 0;
	if (agent->road == FL_ROAD_REFUSED)
		return refuse(words, -EOPNOTSUPP, "the road cannot be made, see the log");
	if (!agent->links)
		return refuse(words, -EOPNOTSUPP, "there is no edge path");
	r = fl_probe_tunnel_open(agent->kernel, agent->config, &failure);
	agent->road = r < 0 ? FL_ROAD_REFUSED : FL_ROAD_THERE;
	if (r == 0)
		return 0;
	fl_log(FL_LOG_ERROR, "health", "probes cannot go through the tunnel",
		FL_STR("err", failure.message));
	return refuse(words, r, failure.message);
}

/* The first that the endpoint serves and this kind of probe can ask; one of the endpoint's own
 * family is preferred, since the source is known for that. */
static const struct fl_frontend *find_frontend(
	const struct fl_service *service, const struct fl_endpoint *endpoint, bool udp)
{
	uint8_t proto = udp ? IPPROTO_UDP : IPPROTO_TCP;
	const struct fl_frontend *found = NULL;

	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];
		bool near = fl_ip_family(&frontend->addr) == fl_ip_family(&endpoint->addr);

		if (frontend->proto != proto || (!frontend->port && !endpoint->port))
			continue;
		if (frontend->port && endpoint->port && frontend->port != endpoint->port)
			continue;
		if (near)
			return frontend;
		if (!found)
			found = frontend;
	}
	return found;
}

/* An address of this node that answers come back to. */
static int find_source(const struct fl_agent *agent, const struct fl_probe_target *target,
	uint32_t id, struct fl_ip *ret, char words[FL_DETAIL_MAX])
{
	const struct fl_maps *maps = &agent->kernel->maps;
	const struct fl_nexthop_row *hop;
	uint32_t index;

	if (fl_probe_source(target)) {
		*ret = *fl_probe_source(target);
		return 0;
	}
	index = __atomic_load_n(&maps->endpoints[id].nexthop, __ATOMIC_ACQUIRE);
	if (!index)
		return refuse(words, -EAGAIN, "no next hop is resolved yet");
	hop = &maps->nexthops[index];
	if (fl_ip_family(&hop->src) != fl_ip_family(&target->addr))
		return refuse(words, -EADDRNOTAVAIL,
			"the frontend is of another family than the tunnel, set check.source");
	*ret = hop->src;
	return 0;
}

int fl_agent_road(void *context, const struct fl_health_key *key, struct fl_probe_target *target,
	char words[FL_DETAIL_MAX])
{
	struct fl_agent *agent = context;
	const struct fl_service *service = fl_snapshot_find(agent->applied, key->service);
	const struct fl_endpoint *endpoint =
		service ? fl_service_endpoint_at(service, &key->addr, key->port) : NULL;
	const struct fl_frontend *frontend;
	int r;

	if (!endpoint || !endpoint->id || endpoint->id > agent->kernel->maps.limits.endpoints)
		return refuse(words, -EAGAIN, "the endpoint is not applied yet");
	frontend = find_frontend(service, endpoint, target->check->udp);
	if (!frontend)
		return refuse(words, -ENOENT, "the service has no frontend that could be asked");
	r = make_road(agent, words);
	if (r < 0)
		return r;
	target->addr = frontend->addr;
	target->port = frontend->port ? frontend->port : endpoint->port;
	target->mark = FL_PROBE_MARK | endpoint->id;
	return find_source(agent, target, endpoint->id, &target->source, words);
}

void fl_agent_leave_roads(struct fl_agent *agent)
{
	if (agent->road == FL_ROAD_THERE)
		fl_probe_tunnel_remove(agent->config->bpffs);
	agent->road = FL_ROAD_UNKNOWN;
}
