/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What users of Envoy expect, and what they get here. Each row is a rule of Envoy's API v3
 * (outlier_detection.proto, cluster.proto, health_check.proto) or of its documentation, what
 * Envoy makes of it, and what Fairlead does. A row with a `why` differs on purpose; what the
 * reader of fairlead.yaml(5) has to know of it stands there.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "balance/pool.h"
#include "fairlead/eject.h"
#include "health/rules.h"
#include "health/streak.h"
#include "health/verdict.h"
#include "lib/declared.h"
#include "lib/silences.h"
#include "lib/states.h"

TestSuite(semantics_envoy);

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* A reason stands where the two differ, and nowhere else. */
#define EXPECT_REASON(row)                                                                         \
	cr_expect_eq((row).envoy == (row).ours, !(row).why,                                        \
		"%s: differs without a reason, or not", (row).rule)

/* --------------------------------------------------------------------- ejection */

static const struct {
	const char *rule;
	uint32_t base_s, ejections; /* base_ejection_time, fail_timeout */
	uint32_t envoy, ours;       /* seconds */
	const char *why;
} lengths[] = {
	{ "base_ejection_time: the first lasts as long", 30, 1, 30, 30, NULL },
	{ "base × number of ejections", 30, 2, 60, 60, NULL },
	{ "base × number of ejections, the last below the cap", 30, 9, 270, 270, NULL },
	{ "max_ejection_time 300 s", 30, 10, 300, 300, NULL },
	{ "max_ejection_time 300 s caps what is longer", 30, 11, 300, 300, NULL },
	{ "max_ejection_time is base_ejection_time if that is larger", 600, 1, 600, 600, NULL },
	{ "and then each lasts as long", 600, 7, 600, 600, NULL },
};

Test(semantics_envoy, how_long_an_ejection_lasts)
{
	for (size_t i = 0; i < COUNT(lengths); i++) {
		uint32_t seconds = fl_eject_s(lengths[i].base_s, lengths[i].ejections);

		EXPECT_REASON(lengths[i]);
		cr_expect_eq(seconds, lengths[i].ours, "%s: %u s", lengths[i].rule, seconds);
	}
}

#define NO_SWEEP                                                                                   \
	"nothing sweeps here; one is forgotten with each base time, so that what fails once an "   \
	"hour is never out for minutes, and what flaps is"

static const struct {
	const char *rule;
	uint32_t ejections, worked_s; /* base 30 s, sweeps of 10 s */
	uint32_t envoy, ours;         /* ejections that count still */
	const char *why;
} memories[] = {
	{ "all count at first", 3, 0, 3, 3, NULL },
	{ "the multiplier falls by one in each healthy sweep", 3, 10, 2, 3, NO_SWEEP },
	{ "the multiplier falls to nothing", 3, 30, 0, 2, NO_SWEEP },
	{ "as if it had never been ejected", 3, 90, 0, 0, NULL },
};

Test(semantics_envoy, how_many_ejections_count)
{
	for (size_t i = 0; i < COUNT(memories); i++) {
		uint32_t left =
			fl_eject_remembered(memories[i].ejections, 30, memories[i].worked_s);

		EXPECT_REASON(memories[i]);
		cr_expect_eq(left, memories[i].ours, "%s: %u", memories[i].rule, left);
	}
}

#define ONE_ALWAYS                                                                                 \
	"as with always_eject_one_host: the share of a small service would never be one whole "    \
	"endpoint, and ejection would be off where it is needed most"

static const struct {
	const char *rule;
	uint32_t percent, hosts, ejected;
	bool envoy, ours; /* one more may be ejected */
	const char *why;
} shares[] = {
	{ "max_ejection_percent, and this one counts: 1 of 10", 10, 10, 0, true, true, NULL },
	{ "max_ejection_percent, and this one counts: 2 of 10", 10, 10, 1, false, false, NULL },
	{ "rounded down: 2 of 3 are more than 50 %", 50, 3, 1, false, false, NULL },
	{ "rounded down: 2 of 3 are 66.7 %", 67, 3, 1, true, true, NULL },
	{ "rounded down: 3 of 3 are more than 67 % (envoy#27066)", 67, 3, 2, false, false, NULL },
	{ "all may go (envoy#2671)", 100, 3, 2, true, true, NULL },
	{ "10 % of one host (envoy#17504)", 10, 1, 0, false, true, ONE_ALWAYS },
	{ "10 % of nine hosts", 10, 9, 0, false, true, ONE_ALWAYS },
	{ "0 %", 0, 10, 0, false, true, ONE_ALWAYS },
	{ "0 %, and one is ejected", 0, 10, 1, false, false, NULL },
};

Test(semantics_envoy, how_many_may_be_ejected)
{
	for (size_t i = 0; i < COUNT(shares); i++) {
		bool fits = fl_eject_fits(shares[i].percent, shares[i].hosts, shares[i].ejected);

		EXPECT_REASON(shares[i]);
		cr_expect_eq(fits, shares[i].ours, "%s", shares[i].rule);
	}
}

/* Whether the endpoint is left out within some seconds; see lib/silences.h. On the node
 * path, where each failed connect is seen by itself, tests/bpf/node_eject.c has the rows. */
static const struct {
	const char *rule, *seconds;
	bool envoy, ours;
	const char *why;
} counters[] = {
	{ "a failed connect counts, so many in a row eject at once", "- 3r", true, true, NULL },
	{ "a successful connect clears the counter", "- 2r 1a 2r", false, false, NULL },
	{ "a connect that times out counts as one that failed", "- 3o - - -", true, true, NULL },
	{ "there is no window: two, and later one more", "- 2r - - - - - - - - - - - 1r", true,
		false, "failures count for fail_timeout, as nginx has it: two a day are none" },
};

Test(semantics_envoy, consecutive_failures)
{
	static const struct fl_silence_rules rules = { .max_fails = 3, .fail_timeout_s = 10 };

	for (size_t i = 0; i < COUNT(counters); i++) {
		char seen[64];

		test_silences_tell(&rules, counters[i].seconds, seen);
		EXPECT_REASON(counters[i]);
		cr_expect_eq(strchr(seen, 'F') != NULL, counters[i].ours, "%s: %s",
			counters[i].rule, seen);
	}
}

/* ------------------------------------------------------------------------- panic */

static const struct {
	const char *rule;
	unsigned percent;
	const char *states; /* see lib/states.h */
	bool envoy, ours;   /* all are used */
	const char *why;
} panics[] = {
	{ "below the threshold all are used", 50, "Uddd", true, true, NULL },
	{ "at the threshold there is no panic", 50, "UUdd", false, false, NULL },
	{ "just below it", 50, "UUddd", true, true, NULL },
	{ "nobody is left", 50, "dddd", true, true, NULL },
	{ "0 is off", 0, "dddd", false, false, NULL },
	{ "the ejected are unhealthy, too", 50, "Ueee", true, true, NULL },
	{ "the drained count as unhealthy", 50, "Urr", true, false,
		"what somebody took out on purpose is no sign that checks are wrong" },
};

Test(semantics_envoy, panic)
{
	for (size_t i = 0; i < COUNT(panics); i++) {
		struct fl_service *service = test_states_service(panics[i].states);

		service->panic_percent = (uint8_t)panics[i].percent;
		fl_rules_apply(service);
		EXPECT_REASON(panics[i]);
		cr_expect_eq(service->in_panic, panics[i].ours, "%s", panics[i].rule);
		fl_service_unref(service);
	}
}

/* Priority levels are tiers here: the near ones, and the rest. */
static const struct {
	const char *rule, *near;
	unsigned envoy, ours; /* percent that stays near */
	const char *why;
} levels[] = {
	{ "overprovisioning 1.4: all of seven are up", "UUUUUUU", 100, 100, NULL },
	{ "5 of 7 are 1/1.4, and keep everything", "UUUUUdd", 100, 100, NULL },
	{ "4 of 7 are healthy for 80 %", "UUUUddd", 80, 80, NULL },
	{ "half are healthy for 70 %", "UUdd", 70, 70, NULL },
	{ "none keeps nothing", "dd", 0, 0, NULL },
};

static struct fl_service *two_zones(const char *near)
{
	char endpoints[400] = "192.0.2.100";
	struct fl_service *service;

	for (size_t i = 0; near[i]; i++)
		snprintf(endpoints + strlen(endpoints), sizeof(endpoints) - strlen(endpoints),
			" 192.0.2.%zu%s", i + 1, near[i] == 'U' ? "" : "/down");
	service = test_service("web", "10.0.0.1:80/tcp", endpoints);
	service->locality = FL_LOCALITY_ZONE;
	for (size_t i = 0; i < service->endpoint_count; i++) {
		service->endpoints[i].id = (uint32_t)i + 1;
		service->endpoints[i].zone = strdup(near[i] ? "near" : "far");
	}
	return service;
}

Test(semantics_envoy, priority_levels)
{
	static const struct fl_place_of_node here = { "edge", "near" };

	for (size_t i = 0; i < COUNT(levels); i++) {
		struct fl_service *service = two_zones(levels[i].near);
		const struct fl_pool_head *head;
		struct fl_pool pool;
		unsigned stays;

		cr_assert_eq(fl_pool_make(service, FL_IPV4, &here, &pool), 0);
		head = &pool.rows[0].head;
		/* Tier 0 is this very node, of which there is none: all choices go on to tier 1. */
		stays = head->tier[1].count ? head->share[1] : 0;
		EXPECT_REASON(levels[i]);
		cr_expect_eq(stays, levels[i].ours, "%s: %u", levels[i].rule, stays);
		fl_pool_done(&pool);
		fl_service_unref(service);
	}
}

/* -------------------------------------------------------------------- slow start */

#define STEPS                                                                                      \
	"in steps of 5 s or a twentieth of the window: each one moves slots of the edge path, "    \
	"and "                                                                                     \
	"these need rest in between"

static const struct {
	const char *rule;
	struct fl_slow_start settings;
	uint64_t elapsed_ms;
	unsigned envoy, ours; /* thousandths of the weight */
	const char *why;
} slow_starts[] = {
	{ "a quarter of the window, aggression 1", { 100, 100, 10 }, 25000, 250, 250, NULL },
	{ "a quarter of the window, aggression 2", { 100, 200, 10 }, 25000, 500, 500, NULL },
	{ "min_weight_percent 10 at once", { 100, 100, 10 }, 0, 100, 100, NULL },
	{ "min_weight_percent 10 until the window is longer", { 100, 100, 10 }, 5000, 100, 100,
		NULL },
	{ "the window is over", { 100, 100, 10 }, 100000, 1000, 1000, NULL },
	{ "continuous", { 100, 100, 10 }, 29000, 290, 250, STEPS },
};

Test(semantics_envoy, slow_start)
{
	for (size_t i = 0; i < COUNT(slow_starts); i++) {
		unsigned part =
			fl_ramp_permille(&slow_starts[i].settings, slow_starts[i].elapsed_ms);

		EXPECT_REASON(slow_starts[i]);
		cr_expect_eq(part, slow_starts[i].ours, "%s: %u", slow_starts[i].rule, part);
	}
}

/* ------------------------------------------------------------------ active checks */

/* '+' a good probe, '-' a bad one; U up, d down after the last. */
static const struct {
	const char *rule, *probes; /* healthy_threshold 2, unhealthy_threshold 3 */
	char envoy, ours;
	const char *why;
} checks[] = {
	{ "one success is enough at first", "+", 'U', 'U', NULL },
	{ "one failure is enough at first", "-", 'd', 'd', NULL },
	{ "unhealthy_threshold in a row", "+---", 'd', 'd', NULL },
	{ "fewer are forgiven", "+--+--", 'U', 'U', NULL },
	{ "healthy_threshold in a row", "-++", 'U', 'U', NULL },
	{ "fewer are not enough", "-+", 'd', 'd', NULL },
	{ "a status that is not expected needs no unhealthy_threshold", "+-", 'd', 'U',
		"fall counts every kind of failure: one 503 of a busy server is forgiven like one "
		"timeout; with fall 1 it is as there" },
	{ "what was never checked takes no traffic", "", 'd', 'U',
		"check.start says it: up unless somebody wants it down, since a new agent is no "
		"reason "
		"for an outage" },
};

Test(semantics_envoy, active_checks)
{
	struct fl_service *service = fl_service_new("web");

	for (size_t i = 0; i < COUNT(checks); i++) {
		struct fl_streak streak = { .up = !service->check.starts_down };
		struct fl_check check = { .rise = 2, .fall = 3 };

		for (const char *probe = checks[i].probes; *probe; probe++)
			fl_streak_feed(&streak, &check, *probe == '+');
		EXPECT_REASON(checks[i]);
		cr_expect_eq(streak.up ? 'U' : 'd', checks[i].ours, "%s", checks[i].rule);
	}
	fl_service_unref(service);
}

#define NO_UNEJECT                                                                                 \
	"a probe from this node that passes says less than clients' connections that fail; what "  \
	"is ejected returns by a connection that works"

static const struct {
	const char *rule;
	struct fl_signals signals;
	enum fl_state envoy, ours;
	const char *why;
} verdicts[] = {
	{ "EDS health UNKNOWN is healthy", FL_SIGNALS_NONE, FL_UP, FL_UP, NULL },
	{ "EDS health UNHEALTHY is not healed by checks that pass",
		{ .declared = FL_DOWN, .probe = FL_SIGN_UP, .word_weight = FL_WEIGHT_DECLARED },
		FL_DOWN, FL_DOWN, NULL },
	{ "EDS health DRAINING takes nothing new",
		{ .declared = FL_DRAINING, .probe = FL_SIGN_UP, .word_weight = FL_WEIGHT_DECLARED },
		FL_DRAINING, FL_DRAINING, NULL },
	{ "successful_active_health_check_uneject_host",
		{ .declared = FL_UP,
			.probe = FL_SIGN_UP,
			.ejected = true,
			.word_weight = FL_WEIGHT_DECLARED },
		FL_UP, FL_DRAINING, NO_UNEJECT },
};

Test(semantics_envoy, who_is_healthy)
{
	for (size_t i = 0; i < COUNT(verdicts); i++) {
		enum fl_state state = fl_judge(&verdicts[i].signals).state;

		EXPECT_REASON(verdicts[i]);
		cr_expect_eq(state, verdicts[i].ours, "%s: %d", verdicts[i].rule, state);
	}
}

/* -------------------------------------------------------------------- defaults */

Test(semantics_envoy, defaults)
{
	struct fl_service *web = fl_service_new("web");
	const struct {
		const char *rule;
		unsigned envoy, ours, seen;
		const char *why;
	} rows[] = {
		{ "consecutive_5xx", 5, 3, web->max_fails,
			"connects alone count here, and few of them fail by chance" },
		{ "base_ejection_time", 30, 10, web->fail_timeout_s, "nginx's word and default" },
		{ "max_ejection_percent", 10, 50, web->max_ejected_percent,
			"services are smaller than clusters; panic has the last word" },
		{ "healthy_panic_threshold", 50, 0, web->panic_percent,
			"to send traffic to what is down has to be asked for" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		EXPECT_REASON(rows[i]);
		cr_expect_eq(rows[i].seen, rows[i].ours, "%s: %u", rows[i].rule, rows[i].seen);
	}
	fl_service_unref(web);
}
