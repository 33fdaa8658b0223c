/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/agent_words.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

TestSuite(agent_words);

/* Lines one after the other, with | between, and what they leave. */
static const struct {
	const char *lines;
	enum fl_sign sign;
	unsigned percent;
	const char *reason;
} rows[] = {
	{ "up", FL_SIGN_UP, 100, "" },
	{ "up\r\nrubbish behind the line", FL_SIGN_UP, 100, "" },
	{ "75%", FL_SIGN_UP, 75, "" },
	{ "0%", FL_SIGN_UP, 0, "" },
	{ "weight:30%", FL_SIGN_UP, 30, "" },
	{ "900%", FL_SIGN_UP, 900, "" },
	{ "99999999999999999999%", FL_SIGN_UP, 65535, "" },
	{ "50%|up", FL_SIGN_UP, 50, "" },
	{ "drain", FL_SIGN_DRAINING, 100, "" },
	{ "drain|up", FL_SIGN_DRAINING, 100, "" },
	{ "drain|ready", FL_SIGN_UP, 100, "" },
	{ "maint", FL_SIGN_MAINTENANCE, 100, "" },
	{ "maint|drain", FL_SIGN_DRAINING, 100, "" },
	{ "maint|down|ready", FL_SIGN_DOWN, 100, "" },
	{ "down#disk full", FL_SIGN_DOWN, 100, "disk full" },
	{ "fail#oom", FL_SIGN_DOWN, 100, "oom" },
	{ "stopped", FL_SIGN_DOWN, 100, "" },
	{ "drain # backup|50%", FL_SIGN_DRAINING, 50, "backup" },
	{ "maint#disk|ready", FL_SIGN_UP, 100, "" },
	{ "down#disk|ready", FL_SIGN_DOWN, 100, "disk" },
	{ "failed|ready", FL_SIGN_DOWN, 100, "" },
	{ "down#x|up", FL_SIGN_UP, 100, "" },
	{ "ready, up\t50%", FL_SIGN_UP, 50, "" },
	{ "maxconn:30", FL_SIGN_UP, 100, "" },
	{ "drain|nonsense", FL_SIGN_DRAINING, 100, "" },
	{ "drain|75", FL_SIGN_DRAINING, 100, "" },
	{ "drain|downhill up%", FL_SIGN_DRAINING, 100, "" },
};

Test(agent_words, stories)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_agent_state state = FL_AGENT_STATE;
		char lines[64], *rest;

		strcpy(lines, rows[i].lines);
		for (char *line = strtok_r(lines, "|", &rest); line;
			line = strtok_r(NULL, "|", &rest))
			fl_agent_heed(&state, line);
		cr_expect_eq(fl_agent_sign(&state), rows[i].sign, "%s", rows[i].lines);
		cr_expect_eq(state.weight.number, rows[i].percent, "%s: %u", rows[i].lines,
			state.weight.number);
		cr_expect_str_eq(state.reason, rows[i].reason, "%s", rows[i].lines);
	}
}

Test(agent_words, what_is_none_of_them_is_said_to_be_so)
{
	static const char *const lines[] = { "", " ,", "hello", "75", "maxconn:", "weight:x%", "%",
		"# up", "weight:257", "maxconn:3%" };
	struct fl_agent_state state = FL_AGENT_STATE;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect_eq(fl_agent_heed(&state, lines[i]), -EINVAL, "%s", lines[i]);
	cr_expect_eq(fl_agent_heed(&state, "hello up"), 0, "one word is enough");
}

Test(agent_words, why_it_is_as_it_is)
{
	static const struct {
		const char *line, *detail;
	} said[] = {
		{ "up 75%", "up 75%" },
		{ "down#disk full", "down: disk full" },
		{ "50%", "down: disk full" },
		{ "ready", "down: disk full" },
		{ "up", "up" },
		{ "100% drain", "drain" },
		{ "maint # new disk", "maint: new disk" },
		{ "ready", "ready" },
	};
	struct fl_agent_state state = FL_AGENT_STATE;
	char detail[64];

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		cr_assert_eq(fl_agent_heed(&state, said[i].line), 0);
		fl_agent_detail(&state, said[i].line, detail, sizeof(detail));
		cr_expect_str_eq(detail, said[i].detail, "%s: %s", said[i].line, detail);
	}
}
