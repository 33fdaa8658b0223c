/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/rules.h"

static size_t count_taking(const struct fl_service *service, bool backup)
{
	size_t count = 0;

	for (size_t i = 0; i < service->endpoint_count; i++)
		count += service->endpoints[i].backup == backup &&
			 fl_endpoint_takes_flows(&service->endpoints[i]);
	return count;
}

static bool has_backups(const struct fl_service *service)
{
	for (size_t i = 0; i < service->endpoint_count; i++)
		if (service->endpoints[i].backup)
			return true;
	return false;
}

bool fl_service_has_rules(const struct fl_service *service)
{
	return service->panic_percent || service->min_healthy || has_backups(service);
}

/* ----------------------------------------------------------------------- backups */

static bool rest_backups(struct fl_service *service)
{
	bool changed = false;

	for (size_t i = 0; i < service->endpoint_count; i++) {
		struct fl_endpoint *endpoint = &service->endpoints[i];

		if (!endpoint->backup || !fl_endpoint_takes_flows(endpoint))
			continue;
		endpoint->weight = 0;
		endpoint->cause = FL_CAUSE_BACKUP;
		changed = true;
	}
	return changed;
}

/* ------------------------------------------------------------------------- panic */

/* Whether health keeps it out, rather than somebody's will. */
static bool is_out_by_health(const struct fl_endpoint *endpoint)
{
	if (!endpoint->weight || endpoint->cause == FL_CAUSE_WORD)
		return false;
	if (endpoint->state == FL_DOWN)
		return true;
	return endpoint->state == FL_DRAINING &&
	       (endpoint->cause == FL_CAUSE_PASSIVE || endpoint->cause == FL_CAUSE_FLAPPING);
}

struct census {
	size_t up, out;
};

static struct census count(const struct fl_service *service, bool backup)
{
	struct census census = { .up = count_taking(service, backup) };

	for (size_t i = 0; i < service->endpoint_count; i++)
		census.out += service->endpoints[i].backup == backup &&
			      is_out_by_health(&service->endpoints[i]);
	return census;
}

static bool is_panic(const struct fl_service *service, const struct census *c)
{
	if (!c->out)
		return false;
	return c->up < service->min_healthy ||
	       c->up * 100 < (size_t)service->panic_percent * (c->up + c->out);
}

static void use_all(struct fl_service *service, bool backup)
{
	for (size_t i = 0; i < service->endpoint_count; i++) {
		struct fl_endpoint *endpoint = &service->endpoints[i];

		if (endpoint->backup != backup || !is_out_by_health(endpoint))
			continue;
		endpoint->state = FL_UP;
		endpoint->cause = FL_CAUSE_PANIC;
	}
	service->in_panic = true;
}

bool fl_rules_apply(struct fl_service *service)
{
	/* The backups have taken over when they are all that is left. */
	bool backup = !count_taking(service, false) && count_taking(service, true);
	bool changed = !backup && count_taking(service, false) && rest_backups(service);
	struct census census = count(service, backup);

	service->in_panic = false;
	if (!is_panic(service, &census))
		return changed;
	use_all(service, backup);
	return true;
}
