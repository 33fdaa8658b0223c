/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/verdict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

static const char *const word_names[] = {
	[FL_WORD_NONE] = "none",
	[FL_WORD_DRAIN] = "drain",
	[FL_WORD_MAINTENANCE] = "maintenance",
	[FL_WORD_UP] = "up",
	[FL_WORD_DOWN] = "down",
};

/* ------------------------------------------------------------------------ judge */

/* The operator's word that nobody may contradict. */
static bool is_settled_by_word(const struct fl_signals *s, enum fl_state *ret)
{
	switch (s->word) {
	case FL_WORD_UP:
		*ret = FL_UP;
		return true;
	case FL_WORD_DOWN:
		*ret = FL_DOWN;
		return true;
	case FL_WORD_MAINTENANCE:
		*ret = FL_MAINTENANCE;
		return true;
	case FL_WORD_DRAIN:
	case FL_WORD_NONE:
		break;
	}
	return false;
}

/* Whether somebody says that it takes no traffic at all. */
static bool is_out(const struct fl_signals *s, enum fl_state *state, enum fl_cause *cause)
{
	const struct {
		enum fl_sign sign;
		enum fl_cause cause;
	} observers[] = {
		{ s->probe, FL_CAUSE_PROBE },
		{ s->heartbeat, FL_CAUSE_HEARTBEAT },
		{ s->agent, FL_CAUSE_AGENT },
	};

	*state = s->declared;
	*cause = FL_CAUSE_DECLARED;
	if (s->declared == FL_DOWN || s->declared == FL_MAINTENANCE)
		return true;
	for (size_t i = 0; i < sizeof(observers) / sizeof(observers[0]); i++) {
		*state = observers[i].sign == FL_SIGN_MAINTENANCE ? FL_MAINTENANCE : FL_DOWN;
		*cause = observers[i].cause;
		if (observers[i].sign == FL_SIGN_STARTING)
			*cause = FL_CAUSE_STARTING;
		if (observers[i].sign == FL_SIGN_DOWN || observers[i].sign == FL_SIGN_STARTING ||
			observers[i].sign == FL_SIGN_MAINTENANCE)
			return true;
	}
	return false;
}

/* Whether somebody wants it to take no new flows. */
static bool is_draining(const struct fl_signals *s, enum fl_cause *cause)
{
	const struct {
		bool drains;
		enum fl_cause cause;
	} observers[] = {
		{ s->word == FL_WORD_DRAIN, FL_CAUSE_WORD },
		{ s->declared == FL_DRAINING, FL_CAUSE_DECLARED },
		{ s->agent == FL_SIGN_DRAINING, FL_CAUSE_AGENT },
		{ s->ejected, FL_CAUSE_PASSIVE },
		{ s->flapping, FL_CAUSE_FLAPPING },
	};

	for (size_t i = 0; i < sizeof(observers) / sizeof(observers[0]); i++) {
		*cause = observers[i].cause;
		if (observers[i].drains)
			return true;
	}
	return false;
}

/* Who is heard when it is up: whoever observes it, else who gave it its weight. */
static enum fl_cause cause_of_up(const struct fl_signals *s)
{
	if (s->probe == FL_SIGN_UP)
		return FL_CAUSE_PROBE;
	if (s->heartbeat == FL_SIGN_UP)
		return FL_CAUSE_HEARTBEAT;
	if (s->agent == FL_SIGN_UP)
		return FL_CAUSE_AGENT;
	return s->word_weight != FL_WEIGHT_DECLARED ? FL_CAUSE_WORD : FL_CAUSE_DECLARED;
}

/* A share of a weight is never rounded to nothing, unless it is nothing, and never more than
 * a weight may be. */
static uint16_t percent_of(uint16_t weight, uint16_t percent)
{
	uint32_t share = (uint32_t)weight * percent / 100;

	if (!share && weight && percent)
		return 1;
	return share < UINT16_MAX ? (uint16_t)share : UINT16_MAX;
}

static uint16_t weight_of(const struct fl_signals *s)
{
	if (s->word_weight != FL_WEIGHT_DECLARED)
		return (uint16_t)s->word_weight;
	if (s->agent_weight.is_absolute)
		return s->agent_weight.number;
	return percent_of(s->declared_weight, s->agent_weight.number);
}

struct fl_judgement fl_judge(const struct fl_signals *s)
{
	struct fl_judgement j = { .cause = FL_CAUSE_WORD, .weight = weight_of(s) };

	if (is_settled_by_word(s, &j.state) || is_out(s, &j.state, &j.cause))
		return j;
	if (is_draining(s, &j.cause)) {
		j.state = FL_DRAINING;
		return j;
	}
	j.state = FL_UP;
	j.cause = cause_of_up(s);
	return j;
}

/* ---------------------------------------------------------------------- history */

static char *copy_detail(const char *detail)
{
	return detail && *detail ? strndup(detail, FL_DETAIL_MAX - 1) : NULL;
}

static void remember(struct fl_verdict *v, uint64_t now_ms)
{
	struct fl_change *change = &v->history[v->changes++ % FL_HISTORY_MAX];

	free(change->detail);
	*change = (struct fl_change){
		.at_ms = now_ms,
		.state = v->now.state,
		.cause = v->now.cause,
		.detail = copy_detail(v->detail),
	};
}

bool fl_verdict_take(struct fl_verdict *v, const struct fl_judgement *judgement, const char *detail,
	uint64_t now_ms)
{
	bool first = !v->since_ms;
	bool changed =
		first || v->now.state != judgement->state || v->now.cause != judgement->cause;
	bool reweighed = v->now.weight != judgement->weight;

	if (first || v->now.state != judgement->state)
		v->since_ms = now_ms;
	v->now = *judgement;
	free(v->detail);
	v->detail = copy_detail(detail);
	if (!changed)
		return reweighed;
	remember(v, now_ms);
	return true;
}

const struct fl_change *fl_verdict_change(const struct fl_verdict *v, size_t back)
{
	if (back >= v->changes || back >= FL_HISTORY_MAX)
		return NULL;
	return &v->history[(v->changes - 1 - back) % FL_HISTORY_MAX];
}

void fl_verdict_done(struct fl_verdict *v)
{
	for (size_t i = 0; i < FL_HISTORY_MAX; i++)
		free(v->history[i].detail);
	free(v->detail);
	*v = (struct fl_verdict){ 0 };
}

/* ------------------------------------------------------------------------ words */

const char *fl_word_name(enum fl_word_kind word)
{
	return word_names[word];
}

int fl_word_find(const char *name, enum fl_word_kind *ret)
{
	for (size_t i = 0; i < sizeof(word_names) / sizeof(word_names[0]); i++)
		if (fl_text_is_same(word_names[i], name)) {
			*ret = (enum fl_word_kind)i;
			return 0;
		}
	return -EINVAL;
}
