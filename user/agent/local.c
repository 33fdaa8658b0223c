/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/local.h"

#include <errno.h>
#include <string.h>

#include "agent/state.h"
#include "agent/words.h"
#include "core/log.h"
#include "registry/local.h"

static int read_order(const struct fl_local_order *order, struct fl_local_change *change,
	struct fl_failure *failure)
{
	struct fl_ip addr;
	uint16_t port;

	*change = (struct fl_local_change){ .service = order->service,
		.endpoint = *order->endpoint ? order->endpoint : NULL,
		.text = order->text,
		.length = order->length };
	if (fl_local_verb_find(order->change, &change->verb) < 0)
		return fl_fail(failure, -EINVAL, "\"%s\" is no change, expected add, set or delete",
			order->change);
	if (!*order->service)
		return fl_fail(failure, -EINVAL, "no service is named");
	if (change->endpoint && fl_socket_parse(change->endpoint, false, &addr, &port) < 0)
		return fl_fail(failure, -EINVAL,
			"\"%s\" is no endpoint, expected ADDRESS:PORT, [ADDRESS]:PORT for IPv6, or "
			"ADDRESS for the frontend's port",
			change->endpoint);
	return 0;
}

/* Whoever reads the same name elsewhere shall be told where it is changed. */
static int refuse_foreign(const struct fl_agent *agent, const struct fl_local_change *change,
	struct fl_failure *failure)
{
	const struct fl_service *service = fl_snapshot_find(agent->applied, change->service);

	if (!service || strcmp(service->registry, FL_LOCAL_NAME) == 0)
		return 0;
	fl_fail(failure, -EEXIST, "service \"%s\" is declared by %s%s, and is changed there",
		change->service, strcmp(service->registry, "inline") == 0 ? "" : "registry ",
		strcmp(service->registry, "inline") == 0 ? "the configuration file"
							 : service->registry);
	if (change->endpoint)
		fl_fail_hint(failure, "drain, weight, maintenance, up and down work with every "
				      "endpoint, see: fairlead endpoint help");
	return -EEXIST;
}

static bool is_known(const struct fl_problems *known, const struct fl_problem *problem)
{
	char line[1024], other[1024];

	fl_problem_format(problem, line, sizeof(line));
	for (size_t i = 0; i < known->count; i++)
		if (strcmp(fl_problem_format(&known->items[i], other, sizeof(other)), line) == 0)
			return true;
	return false;
}

/* Whether it would be left out, or push somebody out. */
static int refuse_conflict(const struct fl_agent *agent, const struct fl_registry *registry,
	const fl_service_vec *services, struct fl_failure *failure)
{
	struct fl_problems problems = { 0 };
	int r = fl_agent_try(agent, registry, services, &problems);

	if (r < 0)
		fl_fail(failure, r, "out of memory");
	for (size_t i = 0; i < problems.count && r == 0; i++) {
		const struct fl_problem *problem = &problems.items[i];

		if (!problem->warning && !is_known(&agent->conflicts, problem))
			r = fl_fail(failure, -EEXIST, "%s", problem->message);
	}
	fl_problems_done(&problems);
	return r;
}

static void log_change(const struct fl_local_order *order)
{
	fl_log(FL_LOG_INFO, "agent", "declared by command", FL_STR("change", order->change),
		FL_STR("service", order->service),
		FL_STR("endpoint", *order->endpoint ? order->endpoint : "-"));
}

int fl_agent_local(void *context, const struct fl_local_order *order, struct fl_failure *failure)
{
	struct fl_agent *agent = context;
	struct fl_registry *registry = fl_registry_set_local(&agent->registries);
	fl_service_vec services = { 0 };
	struct fl_local_change change;
	int r = read_order(order, &change, failure);

	if (r == 0)
		r = refuse_foreign(agent, &change, failure);
	if (r == 0)
		r = fl_local_plan(registry, &change, failure, &services);
	if (r == 0)
		r = refuse_conflict(agent, registry, &services, failure);
	if (r == 0)
		r = fl_local_commit(registry, &services, failure);
	fl_services_done(&services);
	if (r < 0)
		return r;
	if (change.verb == FL_LOCAL_DELETE)
		fl_agent_forget_words(agent, order->service, change.endpoint);
	log_change(order);
	return 0;
}
