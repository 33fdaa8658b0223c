/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/ejections.h"

#include "agent/state.h"
#include "core/log.h"
#include "kernel/node_events.h"
#include "kernel/node_live.h"

static const struct fl_endpoint *find_endpoint(const struct fl_snapshot *applied,
	const struct fl_node_event *event, const struct fl_service **ret_service)
{
	for (size_t i = 0; applied && i < applied->service_count; i++) {
		const struct fl_service *service = applied->services[i];

		if (service->id != event->service)
			continue;
		*ret_service = service;
		for (size_t j = 0; j < service->endpoint_count; j++)
			if (service->endpoints[j].id == event->endpoint)
				return &service->endpoints[j];
	}
	return NULL;
}

static void say(const struct fl_node_event *event, const char *service, const char *endpoint)
{
	const char *fault = fl_fault_words(event->fault);

	switch (event->kind) {
	case FL_EVENT_EJECTED:
		fl_log(FL_LOG_WARNING, "node", "endpoint ejected", FL_STR("service", service),
			FL_STR("endpoint", endpoint), FL_UINT("fails", event->fails),
			FL_STR("fault", fault),
			FL_UINT("seconds", (event->until - event->at) / 1000000000));
		break;
	case FL_EVENT_SPARED:
		fl_log(FL_LOG_WARNING, "node", "endpoint not ejected, too many are",
			FL_STR("service", service), FL_STR("endpoint", endpoint),
			FL_UINT("fails", event->fails), FL_STR("fault", fault));
		break;
	case FL_EVENT_RETURNED:
		fl_log(FL_LOG_INFO, "node", "endpoint returned", FL_STR("service", service),
			FL_STR("endpoint", endpoint));
		break;
	}
}

/* One that has left meanwhile is nobody's concern. */
static void on_event(void *context, const struct fl_node_event *event)
{
	const struct fl_agent *agent = context;
	const struct fl_service *service = NULL;
	const struct fl_endpoint *endpoint = find_endpoint(agent->applied, event, &service);
	char text[FL_SOCKET_TEXT];

	if (!endpoint)
		return;
	if (endpoint->port)
		fl_socket_format(&endpoint->addr, endpoint->port, text);
	else
		fl_ip_format(&endpoint->addr, text);
	say(event, service->name, text);
}

int fl_agent_start_ejections(struct fl_agent *agent, struct fl_failure *failure)
{
	return fl_node_events_start(&agent->node_path.maps, &agent->loop, on_event, agent, failure,
		&agent->node_events);
}

void fl_agent_stop_ejections(struct fl_agent *agent)
{
	fl_node_events_stop(agent->node_events);
	agent->node_events = NULL;
}
