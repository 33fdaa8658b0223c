/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tcp: connect; perhaps send a text; perhaps wait until the answer has a text in it.
 * agent: the same, and wait for a line.
 */
#include <stdio.h>
#include <string.h>

#include "health/talk.h"

static char *question(const struct fl_probe_target *target, size_t *ret_length)
{
	const char *text = target->check->send;

	*ret_length = text ? strlen(text) : 0;
	return text ? strdup(text) : NULL;
}

/* ----------------------------------------------------------------------- tcp */

static bool is_mute(const struct fl_probe_target *target)
{
	return !target->check->contains;
}

static bool judge_text(const struct fl_probe_target *target, const char *answer, size_t length,
	bool over, struct fl_probe_outcome *outcome)
{
	const char *wanted = target->check->contains;

	if (memmem(answer, length, wanted, strlen(wanted))) {
		outcome->result = FL_PROBE_PASSED;
		fl_probe_say(outcome, "connected, the answer fits");
		return true;
	}
	fl_probe_say(outcome, "the answer does not have the text in it");
	return over;
}

static const struct fl_talk_kind text_kind = { question, is_mute, judge_text };

static int start_tcp(struct fl_prober *prober, uv_loop_t *loop,
	const struct fl_probe_target *target, fl_probe_done done, void *context,
	struct fl_probe_outcome *outcome, void **ret)
{
	(void)prober;
	return fl_talk_start(&text_kind, loop, target, done, context, outcome, ret);
}

const struct fl_probe_driver fl_probe_tcp = { .start = start_tcp, .cancel = fl_talk_cancel };

/* --------------------------------------------------------------------- agent */

static bool judge_line(const struct fl_probe_target *target, const char *answer, size_t length,
	bool over, struct fl_probe_outcome *outcome)
{
	size_t end = 0;

	(void)target;
	while (end < length && answer[end] != '\n' && answer[end] != '\r')
		end++;
	if (end == length && !over)
		return false;
	if (end)
		outcome->result = FL_PROBE_PASSED;
	fl_probe_say(outcome, "%.*s", (int)end, answer);
	return true;
}

static const struct fl_talk_kind line_kind = { question, NULL, judge_line };

static int start_agent(struct fl_prober *prober, uv_loop_t *loop,
	const struct fl_probe_target *target, fl_probe_done done, void *context,
	struct fl_probe_outcome *outcome, void **ret)
{
	(void)prober;
	return fl_talk_start(&line_kind, loop, target, done, context, outcome, ret);
}

const struct fl_probe_driver fl_probe_agent = { .start = start_agent, .cancel = fl_talk_cancel };
