/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/rules.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/states.h"

TestSuite(rules);

/* Before and after, see lib/states.h. */
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

Test(rules, stories)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_service *service = test_states_service(rows[i].before);
		char after[32];

		service->panic_percent = (uint8_t)rows[i].panic;
		service->min_healthy = rows[i].min_healthy;
		cr_expect_eq(fl_rules_apply(service), strcmp(rows[i].before, rows[i].after) != 0,
			"%s", rows[i].name);
		test_states_tell(service, rows[i].before, after);
		cr_expect_str_eq(after, rows[i].after, "%s: %s", rows[i].name, after);
		cr_expect_eq(service->in_panic, !!strchr(rows[i].after, 'P'), "%s", rows[i].name);
		fl_service_unref(service);
	}
}
