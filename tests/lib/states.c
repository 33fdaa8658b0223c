/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/states.h"

#include <string.h>

static void set(struct fl_endpoint *e, char c)
{
	static const struct {
		char c;
		enum fl_state state;
		enum fl_cause cause;
		unsigned weight;
	} kinds[] = {
		{ 'U', FL_UP, FL_CAUSE_PROBE, 1 },
		{ 'd', FL_DOWN, FL_CAUSE_PROBE, 1 },
		{ 'D', FL_DOWN, FL_CAUSE_DECLARED, 1 },
		{ 'm', FL_MAINTENANCE, FL_CAUSE_DECLARED, 1 },
		{ 'r', FL_DRAINING, FL_CAUSE_DECLARED, 1 },
		{ 'x', FL_DOWN, FL_CAUSE_WORD, 1 },
		{ 'e', FL_DRAINING, FL_CAUSE_PASSIVE, 1 },
		{ 'f', FL_DRAINING, FL_CAUSE_FLAPPING, 1 },
		{ '0', FL_UP, FL_CAUSE_PROBE, 0 },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].c == c) {
			e->state = kinds[i].state;
			e->cause = kinds[i].cause;
			e->weight = (uint16_t)kinds[i].weight;
		}
}

static char get(const struct fl_endpoint *e)
{
	static const char causes[] = { [FL_CAUSE_WORD] = 'x',
		[FL_CAUSE_PASSIVE] = 'e',
		[FL_CAUSE_FLAPPING] = 'f',
		[FL_CAUSE_PANIC] = 'P',
		[FL_CAUSE_BACKUP] = 'b' };

	if (causes[e->cause])
		return e->cause != FL_CAUSE_PANIC || e->state == FL_UP ? causes[e->cause] : '?';
	if (e->state == FL_UP)
		return e->weight ? 'U' : '0';
	if (e->state == FL_DOWN)
		return e->cause == FL_CAUSE_PROBE ? 'd' : 'D';
	return e->state == FL_MAINTENANCE ? 'm' : 'r';
}

struct fl_service *test_states_service(const char *states)
{
	struct fl_service *service = fl_service_new("web");
	bool backup = false;

	for (const char *c = states; *c; c++) {
		if (*c == '|') {
			backup = true;
			continue;
		}
		set(fl_service_add_endpoint(service), *c);
		service->endpoints[service->endpoint_count - 1].backup = backup;
	}
	return service;
}

void test_states_tell(const struct fl_service *service, const char *like, char *ret)
{
	size_t at = 0;

	for (; *like; like++)
		*ret++ = *like == '|' ? '|' : get(&service->endpoints[at++]);
	*ret = '\0';
}
