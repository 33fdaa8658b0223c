/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "registry/consul/query.h"

static const struct {
	const char *name;
	uint64_t current;
	const char *header;
	uint64_t next;
} indexes[] = {
	{ "the first answer", 0, "7", 7 },
	{ "the same again", 7, "7", 7 },
	{ "higher", 7, "8", 8 },
	{ "backwards: from the beginning", 8, "7", 0 },
	{ "0 would be answered at once for ever", 0, "0", 1 },
	{ "0 after more", 7, "0", 0 },
	{ "no header", 0, NULL, 1 },
	{ "no header after more", 7, NULL, 0 },
	{ "no number", 0, "x", 1 },
	{ "half a number", 0, "7x", 1 },
	{ "a minus", 0, "-7", 1 },
	{ "all of 64 bits", 9007199254740993, "18446744073709551615", UINT64_MAX },
	{ "more than 64 bits", 0, "18446744073709551616", 1 },
};

Test(consul_query, the_index_of_the_next_question)
{
	for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++)
		cr_expect_eq(fl_consul_index_next(indexes[i].current, indexes[i].header),
			indexes[i].next, "%s", indexes[i].name);
}

static const struct {
	const char *name;
	const char *leader, *contact, *backend;
	bool behind;
} contacts[] = {
	{ "nothing is said", NULL, NULL, NULL, false },
	{ "a leader", "true", "0", "blocking-query", false },
	{ "a follower that keeps up", "true", "10000", NULL, false },
	{ "a follower that does not", "true", "10001", NULL, true },
	{ "no leader", "false", "0", "blocking-query", true },
	{ "no leader, in other letters", "False", NULL, NULL, true },
	{ "a stream never knows one", "false", "0", "streaming", false },
	{ "a stream that is behind", "false", "20000", "streaming", true },
	{ "a number that is none", "true", "never", NULL, false },
};

Test(consul_query, which_answers_tell_of_the_past)
{
	for (size_t i = 0; i < sizeof(contacts) / sizeof(contacts[0]); i++) {
		char why[160] = "";

		cr_expect_eq(fl_consul_is_behind(contacts[i].leader, contacts[i].contact,
				     contacts[i].backend, why, sizeof(why)),
			contacts[i].behind, "%s", contacts[i].name);
		cr_expect_eq(*why != '\0', contacts[i].behind, "%s", contacts[i].name);
	}
}

/* A burst passes; what does not end is followed at the pace; rest refills. */
Test(consul_query, early_answers_have_a_pace)
{
	struct fl_consul_pace pace = { 0 };
	uint64_t now_ms = 1000000;

	for (int i = 0; i < FL_CONSUL_PACE_BURST; i++)
		cr_expect_eq(fl_consul_pace_take(&pace, now_ms), 0, "%d of the burst", i);
	for (int i = 0; i < 100; i++) {
		uint32_t wait_ms = fl_consul_pace_take(&pace, now_ms);

		cr_expect_eq(wait_ms, FL_CONSUL_PACE_MS, "%d after it: %u", i, wait_ms);
		now_ms += wait_ms;
	}
	now_ms += FL_CONSUL_PACE_MS / 2;
	cr_expect_eq(fl_consul_pace_take(&pace, now_ms), FL_CONSUL_PACE_MS / 2);

	now_ms += 3600000;
	for (int i = 0; i < FL_CONSUL_PACE_BURST; i++)
		cr_expect_eq(fl_consul_pace_take(&pace, now_ms), 0, "%d after a rest", i);
	cr_expect_gt(fl_consul_pace_take(&pace, now_ms), 0);
}

static char filter[] = "Service.Meta.lb == \"yes\" and x";

static const struct {
	const char *name;
	const char *path;
	struct fl_consul_config config;
	bool filtered;
	uint64_t index;
	const char *wanted;
} paths[] = {
	{ "the first question", "/v1/a", {}, false, 0, "/v1/a?stale" },
	{ "a further one", "/v1/a", {}, false, 18446744073709551615u,
		"/v1/a?stale&index=18446744073709551615&wait=60000ms" },
	{ "the leader's word", "/v1/a", { .consistency = FL_CONSUL_DEFAULT }, false, 3,
		"/v1/a?index=3&wait=60000ms" },
	{ "nothing to say", "/v1/a", { .consistency = FL_CONSUL_DEFAULT }, false, 0, "/v1/a" },
	{ "consistent", "/v1/a", { .consistency = FL_CONSUL_CONSISTENT }, false, 0,
		"/v1/a?consistent" },
	{ "cached", "/v1/a", { .consistency = FL_CONSUL_DEFAULT, .cached = true }, false, 0,
		"/v1/a?cached" },
	{ "with parameters of its own", "/v1/a?recurse", { .cached = true }, false, 0,
		"/v1/a?recurse&stale&cached" },
	{ "a filter", "/v1/a", { .filter = filter }, true, 0,
		"/v1/a?stale&filter=Service.Meta.lb%20%3D%3D%20%22yes%22%20and%20x" },
	{ "a filter that is not for this one", "/v1/a", { .filter = filter }, false, 0,
		"/v1/a?stale" },
};

Test(consul_query, a_question_and_its_parameters)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char *path = fl_consul_query_path(
			paths[i].path, &paths[i].config, paths[i].filtered, paths[i].index, 60000);

		cr_expect_str_eq(path, paths[i].wanted, "%s: %s", paths[i].name, path);
		free(path);
	}
}

Test(consul_query, a_question_is_given_longer_than_consul_may_take)
{
	/* wait, a sixteenth more, and time to send */
	cr_expect_geq(fl_consul_query_timeout_ms(7, 600000), 600000 + 600000 / 16 + 5000);
	cr_expect_geq(fl_consul_query_timeout_ms(7, 100), 5000);
	cr_expect_leq(fl_consul_query_timeout_ms(0, 600000), 60000);
}

static const struct {
	const char *name;
	uint32_t wait_ms;
	size_t count, slots;
	uint32_t turn_ms;
} turns[] = {
	{ "nobody", 60000, 0, 98, 60000 },
	{ "one each", 60000, 98, 98, 60000 },
	{ "one too many", 60000, 99, 98, 4949 },
	{ "ten for each", 60000, 980, 98, 500 },
	{ "a hundred for each", 60000, 9800, 98, 100 },
	{ "more than a round can be", 60000, 60000, 98, 100 },
	{ "a short wait stays", 1000, 99, 98, 1000 },
};

Test(consul_query, more_questions_than_connections_take_turns)
{
	for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++)
		cr_expect_eq(fl_consul_turn_ms(turns[i].wait_ms, turns[i].count, turns[i].slots),
			turns[i].turn_ms, "%s: %u", turns[i].name,
			fl_consul_turn_ms(turns[i].wait_ms, turns[i].count, turns[i].slots));
}
