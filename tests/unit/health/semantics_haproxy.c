/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What users of HAProxy expect of its checks and its agent-check, and what they get here. Each
 * row is a rule of its configuration manual, what HAProxy makes of it, and what Fairlead does.
 * What an agent's lines lead to was read from `show stat` of HAProxy 2.6.12 (Debian 12). A row
 * with a `why` differs on purpose; what the reader of fairlead.yaml(5) has to know of it
 * stands there.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "health/agent_words.h"
#include "health/streak.h"
#include "health/verdict.h"
#include "model/service.h"

TestSuite(semantics_haproxy);

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* -------------------------------------------------------------------- agent-check */

#define AS_WEIGHT                                                                                  \
	"HAProxy 2.6 knows absolute weights in its runtime API alone (set weight, 0-256) and "     \
	"reports an error; an agent that means it gets it here"
#define LOOSE "the reason may follow the word at once, as manuals of agents write it"

/*
 * Lines of an agent beside a server of weight 10, one after the other with | between. What they
 * lead to: U up, d down, r drain, m maint, and the weight.
 */
static const struct {
	const char *rule, *lines, *haproxy, *ours;
	const char *why;
} lines[] = {
	{ "nothing was said yet", "", "U 10", "U 10", NULL },
	{ "words in any order", "75% up ready", "U 7", "U 7", NULL },
	{ "words in another order", "ready up 75%", "U 7", "U 7", NULL },
	{ "space, tab and comma separate", "up,ready,,\t 80%", "U 8", "U 8", NULL },
	{ "up to the first LF", "up\ndown", "U 10", "U 10", NULL },
	{ "up to the first CR", "up\r\ndown", "U 10", "U 10", NULL },
	{ "in capitals", "DRAIN 50%", "r 5", "r 5", NULL },
	{ "the last word wins", "up down", "d 10", "d 10", NULL },
	{ "the last word wins, the other way", "down up", "U 10", "U 10", NULL },
	{ "an unknown word changes nothing", "down|nonsense", "d 10", "d 10", NULL },
	{ "an empty line changes nothing", "down|", "d 10", "d 10", NULL },
	{ "a number alone is no word", "50%|75", "U 5", "U 5", NULL },

	{ "what is not mentioned does not change: the weight", "50%|up", "U 5", "U 5", NULL },
	{ "what is not mentioned does not change: drain", "drain|up", "r 10", "r 10", NULL },
	{ "what is not mentioned does not change: maint", "maint|up 50%", "m 5", "m 5", NULL },
	{ "what is not mentioned does not change: down", "down|50%", "d 5", "d 5", NULL },

	{ "down", "down", "d 10", "d 10", NULL },
	{ "fail", "fail", "d 10", "d 10", NULL },
	{ "stopped", "stopped", "d 10", "d 10", NULL },
	{ "what the agent put down only the agent brings up", "down|ready", "d 10", "d 10", NULL },
	{ "up", "down|up", "U 10", "U 10", NULL },
	{ "a description behind #, to the end of the line", "down # up again at 9", "d 10", "d 10",
		NULL },
	{ "a description of any word", "drain # up", "r 10", "r 10", NULL },
	{ "down#reason without a blank", "down#disk", "U 10", "d 10", LOOSE },
	{ "drain", "drain", "r 10", "r 10", NULL },
	{ "maint", "maint", "m 10", "m 10", NULL },
	{ "ready ends drain", "drain|ready", "U 10", "U 10", NULL },
	{ "ready ends maint", "maint|ready", "U 10", "U 10", NULL },
	{ "drain in place of maint", "maint|drain", "r 10", "r 10", NULL },
	{ "maint in place of drain", "drain|maint", "m 10", "m 10", NULL },

	{ "NN% of what is configured, not of what it is", "50%|50%", "U 5", "U 5", NULL },
	{ "more than 100 %", "900%", "U 90", "U 90", NULL },
	{ "no more than the largest weight", "9000%", "U 256", "U 900",
		"the largest weight is 65535 here" },
	{ "a small part, rounded down", "75%", "U 7", "U 7", NULL },
	{ "a part of less than one", "5%", "U 0", "U 1",
		"who wants nothing new says 0% or drain; a part is never nothing" },
	{ "0% is weight 0, which takes nothing new", "0%", "U 0", "U 0", NULL },
	{ "0% and drain are two things", "0% drain|ready", "U 0", "U 0", NULL },
	{ "100% is the configured weight again", "0%|100%", "U 10", "U 10", NULL },
	{ "weight:N", "weight:30", "U 10", "U 30", AS_WEIGHT },
	{ "weight:N% is N%", "weight:30%", "U 10", "U 3", AS_WEIGHT },
	{ "weight:0", "weight:0", "U 10", "U 0", AS_WEIGHT },
	{ "weight:256 is the most", "weight:256", "U 10", "U 256", AS_WEIGHT },
	{ "weight:257 is more than the most", "weight:30 ready|weight:257", "U 10", "U 30",
		AS_WEIGHT },
	{ "NN% after weight:N is of what is configured", "weight:30|50%", "U 5", "U 5", NULL },
	{ "weight:N after NN%", "50%|weight:30", "U 5", "U 30", AS_WEIGHT },
	{ "maxconn:N changes no state", "50%|maxconn:5", "U 5", "U 5", NULL },
};

static struct fl_signals heed_all(const char *text)
{
	struct fl_agent_state state = FL_AGENT_STATE;
	struct fl_signals signals = FL_SIGNALS_NONE;
	char copy[128], *rest = copy;

	snprintf(copy, sizeof(copy), "%s", text);
	for (const char *line; (line = strsep(&rest, "|"));)
		fl_agent_heed(&state, line);
	signals.declared_weight = 10;
	signals.agent = fl_agent_sign(&state);
	signals.agent_weight = state.weight;
	return signals;
}

static void tell(const struct fl_signals *signals, char *ret, size_t size)
{
	static const char letters[] = {
		[FL_UP] = 'U', [FL_DOWN] = 'd', [FL_DRAINING] = 'r', [FL_MAINTENANCE] = 'm'
	};
	struct fl_judgement j = fl_judge(signals);

	snprintf(ret, size, "%c %u", letters[j.state], j.weight);
}

Test(semantics_haproxy, agent_check)
{
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct fl_signals signals = heed_all(lines[i].lines);
		char seen[16];

		tell(&signals, seen, sizeof(seen));
		cr_expect_eq(strcmp(lines[i].haproxy, lines[i].ours) == 0, !lines[i].why,
			"%s: differs without a reason, or not", lines[i].rule);
		cr_expect_str_eq(seen, lines[i].ours, "%s: %s", lines[i].rule, seen);
	}
}

#define OPERATOR                                                                                   \
	"there, who spoke last wins, and an agent speaks every two seconds; here the operator's "  \
	"word stands until it is taken back"

/* The agent's words beside what others find, and what the operator said. */
static const struct {
	const char *rule, *lines;
	enum fl_sign probe;
	enum fl_word_kind word;
	uint32_t word_weight;
	const char *haproxy, *ours;
	const char *why;
} beside[] = {
	{ "up takes effect only if the check passes, too", "down|up", FL_SIGN_DOWN, FL_WORD_NONE,
		FL_WEIGHT_DECLARED, "d 10", "d 10", NULL },
	{ "and then it does", "down|up", FL_SIGN_UP, FL_WORD_NONE, FL_WEIGHT_DECLARED, "U 10",
		"U 10", NULL },
	{ "a check that passes does not lift the agent's down", "down", FL_SIGN_UP, FL_WORD_NONE,
		FL_WEIGHT_DECLARED, "d 10", "d 10", NULL },
	{ "who drains and fails is down", "drain", FL_SIGN_DOWN, FL_WORD_NONE, FL_WEIGHT_DECLARED,
		"d 10", "d 10", NULL },
	{ "set server weight, then the agent's NN%", "50%", FL_SIGN_UP, FL_WORD_NONE, 7, "U 5",
		"U 7", OPERATOR },
	{ "set server weight, then the agent's weight:N", "weight:30", FL_SIGN_UP, FL_WORD_NONE, 7,
		"U 7", "U 7", NULL },
	{ "set server state drain, then the agent's ready", "ready", FL_SIGN_UP, FL_WORD_DRAIN,
		FL_WEIGHT_DECLARED, "U 10", "r 10", OPERATOR },
	{ "set server state maint, then the agent's ready", "ready", FL_SIGN_UP,
		FL_WORD_MAINTENANCE, FL_WEIGHT_DECLARED, "U 10", "m 10", OPERATOR },
	{ "set server health up, then the agent's down", "down", FL_SIGN_UP, FL_WORD_UP,
		FL_WEIGHT_DECLARED, "d 10", "U 10", OPERATOR },
};

Test(semantics_haproxy, agents_beside_checks_and_operators)
{
	for (size_t i = 0; i < COUNT(beside); i++) {
		struct fl_signals signals = heed_all(beside[i].lines);
		char seen[16];

		signals.probe = beside[i].probe;
		signals.word = beside[i].word;
		signals.word_weight = beside[i].word_weight;
		tell(&signals, seen, sizeof(seen));
		cr_expect_eq(strcmp(beside[i].haproxy, beside[i].ours) == 0, !beside[i].why,
			"%s: differs without a reason, or not", beside[i].rule);
		cr_expect_str_eq(seen, beside[i].ours, "%s: %s", beside[i].rule, seen);
	}
}

/* HAProxy shows weight 0 as DRAIN. Here the state stays what it is and the weight is shown; its
 * flows meet the same. */
Test(semantics_haproxy, weight_0_drains)
{
	struct fl_endpoint endpoint = { .state = FL_UP, .weight = 0 };

	cr_expect_eq(fl_endpoint_flow_state(&endpoint), FL_DRAINING);
	cr_expect_not(fl_endpoint_takes_flows(&endpoint));
	endpoint.state = FL_DOWN;
	cr_expect_eq(fl_endpoint_flow_state(&endpoint), FL_DOWN);
}

/* slowstart is linear, and of whatever weight there is: also of the agent's. */
Test(semantics_haproxy, slowstart_of_the_agents_weight)
{
	static const struct fl_slow_start linear = { 100, 100, 1 };
	const struct fl_signals signals = heed_all("weight:30");
	struct fl_service *service = fl_service_new("web");
	struct fl_endpoint *warm = fl_service_add_endpoint(service);
	struct fl_endpoint *cold;

	warm->weight = fl_judge(&signals).weight;
	cold = fl_service_add_endpoint(service);
	warm = &service->endpoints[0];
	cold->weight = warm->weight;
	cold->ramp = fl_ramp_permille(&linear, 50000);
	cr_expect(fl_service_share(service));
	cr_expect_eq(fl_endpoint_share(warm), 2 * fl_endpoint_share(cold), "half-way, half of it");
	fl_service_unref(service);
}

/* -------------------------------------------------------------------------- checks */

#define FIRST_DECIDES                                                                              \
	"the first check decides alone whatever start says, as with Envoy and HAProxy's plain up " \
	"and down; rise and fall are for changes of what is known"

/* '+' a good check, '-' a bad one; below each, U up or d down. rise 2, fall 3. */
static const struct {
	const char *rule;
	bool starts_down;
	const char *checks, *haproxy, *ours;
	const char *why;
} checks[] = {
	{ "fall 3", false, "+---", "UUUd", "UUUd", NULL },
	{ "one good check begins fall anew", false, "+--+--", "UUUUUU", "UUUUUU", NULL },
	{ "rise 2", false, "+---++", "UUUddU", "UUUddU", NULL },
	{ "one bad check begins rise anew", false, "+---+-++", "UUUddddU", "UUUddddU", NULL },
	{ "init-state up: the first check decides", false, "-", "d", "d", NULL },
	{ "init-state down: the first check decides", true, "+", "U", "U", NULL },
	{ "init-state fully-up: all of fall", false, "---", "UUd", "ddd", FIRST_DECIDES },
	{ "init-state fully-down: all of rise", true, "++", "dU", "UU", FIRST_DECIDES },
};

Test(semantics_haproxy, rise_and_fall)
{
	static const struct fl_check check = { .rise = 2, .fall = 3 };

	for (size_t i = 0; i < COUNT(checks); i++) {
		struct fl_streak streak = { .up = !checks[i].starts_down };
		char seen[16] = "";

		for (size_t at = 0; checks[i].checks[at]; at++) {
			fl_streak_feed(&streak, &check, checks[i].checks[at] == '+');
			seen[at] = streak.up ? 'U' : 'd';
		}
		cr_expect_eq(strcmp(checks[i].haproxy, checks[i].ours) == 0, !checks[i].why,
			"%s: differs without a reason, or not", checks[i].rule);
		cr_expect_str_eq(seen, checks[i].ours, "%s: %s", checks[i].rule, seen);
	}
}

/* After so many checks, until the next: inter 2000, fastinter 500, downinter 9000. */
static const struct {
	const char *rule, *checks;
	uint32_t haproxy, ours;
} paces[] = {
	{ "inter while up", "+", 2000, 2000 },
	{ "fastinter on the way down", "+-", 500, 500 },
	{ "fastinter until it is down", "+--", 500, 500 },
	{ "downinter while down", "+---", 9000, 9000 },
	{ "fastinter on the way up", "+---+", 500, 500 },
	{ "downinter when it was no way up", "+---+-", 9000, 9000 },
	{ "inter when it is up again", "+---++", 2000, 2000 },
};

Test(semantics_haproxy, inter_fastinter_downinter)
{
	static const struct fl_check check = { .interval_ms = 2000,
		.fast_interval_ms = 500,
		.down_interval_ms = 9000,
		.rise = 2,
		.fall = 3 };

	for (size_t i = 0; i < COUNT(paces); i++) {
		struct fl_streak streak = { 0 };

		for (const char *c = paces[i].checks; *c; c++)
			fl_streak_feed(&streak, &check, *c == '+');
		cr_expect_eq(paces[i].haproxy, paces[i].ours, "%s", paces[i].rule);
		cr_expect_eq(
			fl_streak_next_ms(&streak, &check, 0), paces[i].ours, "%s", paces[i].rule);
	}
}
