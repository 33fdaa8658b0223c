/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/rules.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/declared.h"

TestSuite(rules);

/*
 * One character for each endpoint, before and after:
 * U up, d down by a probe, D down by declaration, m maintenance, r draining, x the operator's
 * down, e ejected, f flapping, 0 up without weight; behind a |, backups. P = up by panic,
 * b = a backup that rests.
 */
static const struct {
	const char *name;
	unsigned panic, min_healthy;
	const char *before, *after;
} rows[] = {
	{ "no rule", 0, 0, "UUddd", "UUddd" },
	{ "half are up, and half is asked for", 50, 0, "UUdd", "UUdd" },
	{ "fewer than half", 50, 0, "Uddd", "UPPP" },
	{ "none at all", 1, 0, "ddd", "PPP" },
	{ "one of a hundred is enough for one percent", 1, 0, "Ud", "Ud" },
	{ "100 percent allows nobody to be out", 100, 0, "UUUUd", "UUUUP" },
	{ "all are up", 100, 0, "UUU", "UUU" },
	{ "what was taken out on purpose does not count", 50, 0, "Ummmrx", "Ummmrx" },
	{ "and is not used in panic", 60, 0, "Udmrx0", "UPmrx0" },
	{ "what a registry finds dead is used", 50, 0, "UDDD", "UPPP" },
	{ "what was ejected or flaps is used", 50, 0, "Uef", "UPP" },
	{ "a number", 0, 2, "Uddd", "UPPP" },
	{ "the number is reached", 0, 2, "UUdd", "UUdd" },
	{ "a number of more than there are", 0, 9, "UU", "UU" },
	{ "backups rest", 0, 0, "UU|UU", "UU|bb" },
	{ "while one primary is left", 0, 0, "Udd|Ud", "Udd|bd" },
	{ "backups take over", 0, 0, "ddm|UU", "ddm|UU" },
	{ "primaries without weight do not count", 0, 0, "0|U", "0|U" },
	{ "no primary takes anything, and no backup", 0, 0, "d|d", "d|d" },
	{ "panic among primaries leaves backups at rest", 50, 0, "Uddd|UU", "UPPP|bb" },
	{ "backups are up: no panic", 50, 0, "ddd|UU", "ddd|UU" },
	{ "panic among backups", 60, 0, "dd|Ud", "dd|UP" },
	{ "nobody is left", 50, 0, "dd|dd", "PP|dd" },
	{ "only backups", 0, 0, "|UU", "|UU" },
};

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

Test(rules, stories)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_service *service = fl_service_new("web");
		char after[32] = "";
		bool backup = false;
		size_t at = 0;

		service->panic_percent = (uint8_t)rows[i].panic;
		service->min_healthy = rows[i].min_healthy;
		for (const char *c = rows[i].before; *c; c++) {
			if (*c == '|') {
				backup = true;
				continue;
			}
			set(fl_service_add_endpoint(service), *c);
			service->endpoints[service->endpoint_count - 1].backup = backup;
		}
		cr_expect_eq(fl_rules_apply(service), strcmp(rows[i].before, rows[i].after) != 0,
			"%s", rows[i].name);
		for (const char *c = rows[i].before; *c; c++)
			after[c - rows[i].before] =
				*c == '|' ? '|' : get(&service->endpoints[at++]);
		cr_expect_str_eq(after, rows[i].after, "%s: %s", rows[i].name, after);
		cr_expect_eq(service->in_panic, !!strchr(rows[i].after, 'P'), "%s", rows[i].name);
		fl_service_unref(service);
	}
}
