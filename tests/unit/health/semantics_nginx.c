/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What users of nginx expect of an upstream, and what they get here. Each row is a rule of
 * nginx's documentation (ngx_http_upstream_module, ngx_stream_upstream_module), what nginx
 * makes of it, and what Fairlead does. A row with a `why` differs on purpose; what the reader
 * of fairlead.yaml(5) has to know of it stands there.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "balance/turns.h"
#include "health/rules.h"
#include "health/verdict.h"
#include "lib/silences.h"
#include "lib/states.h"

TestSuite(semantics_nginx);

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ------------------------------------------------------ max_fails, fail_timeout */

#define ALL_TRY                                                                                    \
	"the edge path keeps no table that could hold all flows but one back: after fail_timeout " \
	"its share of them tries, and it takes max_fails again; longer each time, as Envoy. On "   \
	"the node path one connection tries, and one failure is enough"

/* See lib/silences.h: letters for each second, F = it is out from then on, T = tried again. */
static const struct {
	const char *rule;
	uint16_t max_fails, fail_timeout_s;
	const char *seconds, *nginx, *ours;
	const char *why;
} fails[] = {
	{ "max_fails 1: one is enough", 1, 3, "- 1r - -", ".F..", ".F..", NULL },
	{ "out for fail_timeout, then tried", 1, 3, "- 1r - - - 1a -", ".F..T..", ".F..T..", NULL },
	{ "max_fails within fail_timeout", 3, 5, "- 1r 1r 1r", "...F", "...F", NULL },
	{ "fail_timeout is the window as well", 2, 3, "- 1r - - - - 1r", ".......", ".......",
		NULL },
	{ "max_fails=0 never takes it out", 0, 3, "- 9r 9r 9r 9r 9r", "......", "......", NULL },
	{ "a time-out is a failure", 1, 9, "- 1o - - -", "...F.", "...F.", NULL },
	{ "success resets the count", 2, 9, "- 1r 1a 1r -", ".....", ".....", NULL },
	{ "a single server is never out: max_fails is ignored", 1, 3, "- 9rs 9rs 9rs", "....",
		"....", NULL },
	{ "one live request is the probe, and one failure enough", 2, 3, "- 2r - - - 1r - - -",
		".F..TF..T", ".F..T....", ALL_TRY },
	{ "always for fail_timeout", 1, 2, "- 1r - - 1r - - - -", ".F.TF.T..", ".F.TF...T",
		"fail_timeout × the failures in a row, up to 5 minutes: what stays dead is asked "
		"less "
		"and less often" },
};

Test(semantics_nginx, max_fails)
{
	for (size_t i = 0; i < COUNT(fails); i++) {
		const struct fl_silence_rules rules = { fails[i].max_fails,
			fails[i].fail_timeout_s };
		char seen[64];

		test_silences_tell(&rules, fails[i].seconds, seen);
		cr_expect_eq(strcmp(fails[i].nginx, fails[i].ours) == 0, !fails[i].why,
			"%s: differs without a reason, or not", fails[i].rule);
		cr_expect_str_eq(seen, fails[i].ours, "%s: %s", fails[i].rule, seen);
	}
}

static const struct {
	const char *rule;
	struct fl_silence_share share;
	bool nginx, ours; /* it goes on, whatever fails */
	const char *why;
} spared[] = {
	{ "a single server is never out", { 1, 0, 1 }, true, true, NULL },
	{ "one of two is", { 2, 0, 2 }, false, false, NULL },
	{ "the last that is left", { 4, 1, 1 }, false, true,
		"nginx takes it out, too, and then all at once back in; here it stays in, which "
		"ends in "
		"the same place without a gap" },
	{ "any number", { 10, 5, 5 }, false, true,
		"max_ejected, as Envoy: what is left would be overrun" },
	{ "any number, if that is wanted (max_ejected 100)", { 10, 8, 2 }, false, false, NULL },
};

Test(semantics_nginx, who_is_spared)
{
	for (size_t i = 0; i < COUNT(spared); i++) {
		uint8_t max_percent = strstr(spared[i].rule, "100") ? 100 : 50;

		cr_expect_eq(spared[i].nginx == spared[i].ours, !spared[i].why,
			"%s: differs without a reason, or not", spared[i].rule);
		cr_expect_eq(fl_silence_must_spare(&spared[i].share, max_percent), spared[i].ours,
			"%s", spared[i].rule);
	}
}

/* -------------------------------------------------------- backup, down, slow_start */

/* See lib/states.h: b = a backup that rests. */
static const struct {
	const char *rule, *servers, *nginx, *ours;
	const char *why;
} backups[] = {
	{ "backup gets nothing while a primary is left", "Udd|UU", "Udd|bb", "Udd|bb", NULL },
	{ "backup is used when all primaries are out", "ddd|UU", "ddd|UU", "ddd|UU", NULL },
	{ "`down` is out", "DDD|U", "DDD|U", "DDD|U", NULL },
	{ "who is out for fail_timeout is out", "eee|U", "eee|U", "eee|U", NULL },
	{ "who drains is out", "rr|U", "rr|U", "rr|U", NULL },
	{ "a backup that is out, too, helps nobody", "dd|d", "dd|d", "dd|d", NULL },
};

Test(semantics_nginx, backup)
{
	for (size_t i = 0; i < COUNT(backups); i++) {
		struct fl_service *service = test_states_service(backups[i].servers);
		char seen[16];

		fl_rules_apply(service);
		test_states_tell(service, backups[i].servers, seen);
		cr_expect_eq(strcmp(backups[i].nginx, backups[i].ours) == 0, !backups[i].why,
			"%s: differs without a reason, or not", backups[i].rule);
		cr_expect_str_eq(seen, backups[i].ours, "%s: %s", backups[i].rule, seen);
		fl_service_unref(service);
	}
}

Test(semantics_nginx, down_is_permanent)
{
	const struct fl_signals signals = { .declared = FL_DOWN,
		.probe = FL_SIGN_UP,
		.heartbeat = FL_SIGN_UP,
		.agent = FL_SIGN_UP,
		.word_weight = FL_WEIGHT_DECLARED };

	cr_expect_eq(fl_judge(&signals).state, FL_DOWN, "whatever checks find");
}

/* slow_start is ignored with a single server: it has all there is, however little it weighs. */
Test(semantics_nginx, slow_start_of_a_single_server)
{
	struct fl_service *service = test_states_service("U");

	service->endpoints[0].ramp = 100;
	cr_expect(fl_service_share(service));
	cr_expect_gt(fl_endpoint_share(&service->endpoints[0]), 0);
	cr_expect(fl_endpoint_takes_flows(&service->endpoints[0]));
	fl_service_unref(service);
}

/* ----------------------------------------------------------------------- round robin */

static const struct {
	const char *rule;
	uint16_t weights[4]; /* until the first 0 */
	const char *nginx, *ours;
	const char *why;
} schedules[] = {
	{ "weights 5, 1, 1, as in its change log", { 5, 1, 1 }, "aabacaa", "aabacaa", NULL },
	{ "equal weights", { 1, 1, 1 }, "abc", "abc", NULL },
	{ "2 to 1", { 2, 1 }, "aba", "aba", NULL },
	{ "3, 2 and 1", { 3, 2, 1 }, "abacba", "abacba", NULL },
	{ "4, 2 and 1", { 4, 2, 1 }, "abacaba", "abacaba", NULL },
	{ "weight=1 is the default, and what is common is no matter", { 7, 7 }, "ab", "ab", NULL },
};

/* The rule itself: each pick adds the weights, chooses the largest, subtracts the total. */
static void pick_as_nginx(const uint16_t *weights, size_t count, size_t turns, char *ret)
{
	int current[4] = { 0 };

	for (size_t t = 0; t < turns; t++) {
		size_t best = 0;
		int total = 0;

		for (size_t i = 0; i < count; i++) {
			current[i] += weights[i];
			total += weights[i];
			best = current[i] > current[best] ? i : best;
		}
		current[best] -= total;
		ret[t] = (char)('a' + best);
	}
	ret[turns] = '\0';
}

Test(semantics_nginx, smooth_weighted_round_robin)
{
	for (size_t i = 0; i < COUNT(schedules); i++) {
		size_t count = 0;
		char theirs[64], ours[64];
		uint16_t turns[64];
		int n;

		while (count < 4 && schedules[i].weights[count])
			count++;
		n = fl_turns_make(schedules[i].weights, count, 64, turns);
		for (int t = 0; t < n; t++)
			ours[t] = (char)('a' + turns[t]);
		ours[n] = '\0';
		pick_as_nginx(schedules[i].weights, count, strlen(schedules[i].nginx), theirs);
		cr_expect_str_eq(theirs, schedules[i].nginx, "%s: the rule gives %s",
			schedules[i].rule, theirs);
		cr_expect_eq(strcmp(schedules[i].nginx, schedules[i].ours) == 0, !schedules[i].why,
			"%s: differs without a reason, or not", schedules[i].rule);
		cr_expect_str_eq(ours, schedules[i].ours, "%s: %s", schedules[i].rule, ours);
	}
}
