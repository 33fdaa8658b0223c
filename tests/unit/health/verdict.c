/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/verdict.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

TestSuite(verdict);

struct story {
	char name[64];
	struct fl_signals signals;
	struct fl_judgement judgement;
};

/* Everything that a row does not say is as nobody said it. */
#define SIGNALS(...)                                                                               \
	{ .declared = FL_UP,                                                                       \
		.declared_weight = 4,                                                              \
		.word_weight = FL_WEIGHT_DECLARED,                                                 \
		.agent_weight = FL_AGENT_WEIGHT,                                                   \
		__VA_ARGS__ }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
static struct story rows[] = {
	{ "nobody says anything", SIGNALS(.probe = FL_SIGN_NONE), { FL_UP, FL_CAUSE_DECLARED, 4 } },
	{ "declared down", SIGNALS(.declared = FL_DOWN), { FL_DOWN, FL_CAUSE_DECLARED, 4 } },
	{ "declared draining", SIGNALS(.declared = FL_DRAINING),
		{ FL_DRAINING, FL_CAUSE_DECLARED, 4 } },
	{ "probes find it well", SIGNALS(.probe = FL_SIGN_UP), { FL_UP, FL_CAUSE_PROBE, 4 } },
	{ "probes find it dead", SIGNALS(.probe = FL_SIGN_DOWN), { FL_DOWN, FL_CAUSE_PROBE, 4 } },
	{ "not probed yet", SIGNALS(.probe = FL_SIGN_STARTING), { FL_DOWN, FL_CAUSE_STARTING, 4 } },
	{ "a registry's down is not lifted by probes",
		SIGNALS(.declared = FL_DOWN, .probe = FL_SIGN_UP),
		{ FL_DOWN, FL_CAUSE_DECLARED, 4 } },
	{ "a registry's maintenance is not lifted by probes",
		SIGNALS(.declared = FL_MAINTENANCE, .probe = FL_SIGN_UP),
		{ FL_MAINTENANCE, FL_CAUSE_DECLARED, 4 } },
	{ "draining, but dead", SIGNALS(.declared = FL_DRAINING, .probe = FL_SIGN_DOWN),
		{ FL_DOWN, FL_CAUSE_PROBE, 4 } },
	{ "a heartbeat is missing", SIGNALS(.heartbeat = FL_SIGN_DOWN),
		{ FL_DOWN, FL_CAUSE_HEARTBEAT, 4 } },
	{ "heartbeats are well, probes are not",
		SIGNALS(.heartbeat = FL_SIGN_UP, .probe = FL_SIGN_DOWN),
		{ FL_DOWN, FL_CAUSE_PROBE, 4 } },
	{ "the agent drains it", SIGNALS(.agent = FL_SIGN_DRAINING, .probe = FL_SIGN_UP),
		{ FL_DRAINING, FL_CAUSE_AGENT, 4 } },
	{ "the agent wants half", SIGNALS(.agent = FL_SIGN_UP, .agent_weight.number = 50),
		{ FL_UP, FL_CAUSE_AGENT, 2 } },
	{ "a small share is not none", SIGNALS(.agent = FL_SIGN_UP, .agent_weight.number = 1),
		{ FL_UP, FL_CAUSE_AGENT, 1 } },
	{ "no share is none", SIGNALS(.agent = FL_SIGN_UP, .agent_weight.number = 0),
		{ FL_UP, FL_CAUSE_AGENT, 0 } },
	{ "the agent puts it into maintenance", SIGNALS(.agent = FL_SIGN_MAINTENANCE),
		{ FL_MAINTENANCE, FL_CAUSE_AGENT, 4 } },
	{ "ejected", SIGNALS(.ejected = true, .probe = FL_SIGN_UP),
		{ FL_DRAINING, FL_CAUSE_PASSIVE, 4 } },
	{ "flapping", SIGNALS(.flapping = true, .probe = FL_SIGN_UP),
		{ FL_DRAINING, FL_CAUSE_FLAPPING, 4 } },
	{ "flapping, and down just now", SIGNALS(.flapping = true, .probe = FL_SIGN_DOWN),
		{ FL_DOWN, FL_CAUSE_PROBE, 4 } },
	{ "the operator drains it", SIGNALS(.word = FL_WORD_DRAIN, .probe = FL_SIGN_UP),
		{ FL_DRAINING, FL_CAUSE_WORD, 4 } },
	{ "drained by the operator, and dead",
		SIGNALS(.word = FL_WORD_DRAIN, .probe = FL_SIGN_DOWN),
		{ FL_DOWN, FL_CAUSE_PROBE, 4 } },
	{ "the operator insists",
		SIGNALS(.word = FL_WORD_UP, .declared = FL_DOWN, .probe = FL_SIGN_DOWN,
			.heartbeat = FL_SIGN_DOWN, .ejected = true),
		{ FL_UP, FL_CAUSE_WORD, 4 } },
	{ "the operator takes it out", SIGNALS(.word = FL_WORD_DOWN, .probe = FL_SIGN_UP),
		{ FL_DOWN, FL_CAUSE_WORD, 4 } },
	{ "the operator works on it", SIGNALS(.word = FL_WORD_MAINTENANCE, .declared = FL_DOWN),
		{ FL_MAINTENANCE, FL_CAUSE_WORD, 4 } },
	{ "the operator's weight", SIGNALS(.word_weight = 7, .agent_weight.number = 50),
		{ FL_UP, FL_CAUSE_WORD, 7 } },
	{ "the agent wants more than a weight may be",
		SIGNALS(.agent = FL_SIGN_UP, .declared_weight = 40000, .agent_weight.number = 200),
		{ FL_UP, FL_CAUSE_AGENT, 65535 } },
	{ "the agent's own weight", SIGNALS(.agent = FL_SIGN_UP, .agent_weight = { 30, true }),
		{ FL_UP, FL_CAUSE_AGENT, 30 } },
	{ "the agent's own weight 0", SIGNALS(.agent = FL_SIGN_UP, .agent_weight = { 0, true }),
		{ FL_UP, FL_CAUSE_AGENT, 0 } },
	{ "the operator's weight, not the agent's",
		SIGNALS(.word_weight = 7, .agent_weight = { 30, true }),
		{ FL_UP, FL_CAUSE_WORD, 7 } },
	{ "the operator's weight 0", SIGNALS(.word_weight = 0, .probe = FL_SIGN_UP),
		{ FL_UP, FL_CAUSE_PROBE, 0 } },
};
#pragma GCC diagnostic pop

ParameterizedTestParameters(verdict, who_is_heard)
{
	return cr_make_param_array(struct story, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct story *row, verdict, who_is_heard)
{
	struct fl_judgement j = fl_judge(&row->signals);

	cr_assert(j.state == row->judgement.state, "%s: state %d", row->name, j.state);
	cr_assert(j.cause == row->judgement.cause, "%s: %s", row->name, fl_cause_name(j.cause));
	cr_assert(j.weight == row->judgement.weight, "%s: weight %u", row->name, j.weight);
}

static const struct fl_judgement up = { FL_UP, FL_CAUSE_PROBE, 1 };
static const struct fl_judgement down = { FL_DOWN, FL_CAUSE_PROBE, 1 };
static const struct fl_judgement held = { FL_DOWN, FL_CAUSE_WORD, 1 };

Test(verdict, since_is_of_the_state_and_detail_of_the_change)
{
	struct fl_verdict v = { 0 };

	cr_assert(fl_verdict_take(&v, &up, "HTTP 200", 1000));
	cr_assert(!fl_verdict_take(&v, &up, "HTTP 204", 2000), "no change of state");
	cr_assert_str_eq(v.detail, "HTTP 204", "but the last detail");
	cr_assert_str_eq(fl_verdict_change(&v, 0)->detail, "HTTP 200", "and that of the change");
	cr_assert(fl_verdict_take(&v, &down, "HTTP 500", 3000));
	cr_assert_eq(v.since_ms, 3000);
	cr_assert(fl_verdict_take(&v, &held, "broken disk", 4000), "another cause is news");
	cr_assert_eq(v.since_ms, 3000, "but it is down since then");
	cr_assert_str_eq(v.detail, "broken disk");
	fl_verdict_done(&v);
}

Test(verdict, remembers_the_last_changes)
{
	struct fl_verdict v = { 0 };
	char detail[16];

	for (unsigned i = 0; i < 2 * FL_HISTORY_MAX + 3; i++) {
		snprintf(detail, sizeof(detail), "change %u", i);
		fl_verdict_take(&v, i % 2 ? &down : &up, detail, 1000 + i);
	}
	for (unsigned back = 0; back < FL_HISTORY_MAX; back++) {
		const struct fl_change *change = fl_verdict_change(&v, back);

		snprintf(detail, sizeof(detail), "change %u", 2 * FL_HISTORY_MAX + 2 - back);
		cr_assert_str_eq(change->detail, detail);
		cr_assert_eq(change->at_ms, 1000 + 2 * FL_HISTORY_MAX + 2 - back);
	}
	cr_assert_null(fl_verdict_change(&v, FL_HISTORY_MAX));
	fl_verdict_done(&v);
}

Test(verdict, of_few_changes_no_more_are_remembered)
{
	struct fl_verdict v = { 0 };

	cr_assert_null(fl_verdict_change(&v, 0));
	fl_verdict_take(&v, &up, NULL, 1);
	cr_assert_not_null(fl_verdict_change(&v, 0));
	cr_assert_null(fl_verdict_change(&v, 1));
	fl_verdict_done(&v);
}
