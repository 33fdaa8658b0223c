/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/agent_words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS " \t,"
#define LINE_MAX_  256

/* @return how long the prefix is, 0 = the word has it not */
static size_t prefix(const char *word, const char *name)
{
	return strncasecmp(word, name, strlen(name)) == 0 ? strlen(name) : 0;
}

static void weigh(struct fl_agent_state *state, unsigned long number, bool is_absolute)
{
	state->weight.number = (uint16_t)(number < UINT16_MAX ? number : UINT16_MAX);
	state->weight.is_absolute = is_absolute;
}

/* "75%", "weight:75%", "weight:3"; "maxconn:30" is only known. */
static bool heed_number(struct fl_agent_state *state, const char *word)
{
	size_t weight = prefix(word, "weight:"), maxconn = prefix(word, "maxconn:");
	unsigned long number;
	char *end;

	word += weight + maxconn;
	if (*word < '0' || *word > '9')
		return false;
	number = strtoul(word, &end, 10);
	if (maxconn)
		return !*end;
	if (strcmp(end, "%") == 0)
		weigh(state, number, false);
	else if (weight && !*end && number <= FL_AGENT_WEIGHT_MAX)
		weigh(state, number, true);
	else
		return false;
	return true;
}

static bool is_down(const char *word)
{
	static const char *const names[] = { "down", "fail", "failed", "stopped" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(names[i], word) == 0)
			return true;
	return false;
}

static bool heed_word(struct fl_agent_state *state, const char *word, const char *reason)
{
	bool drain = strcasecmp(word, "drain") == 0, maint = strcasecmp(word, "maint") == 0;

	if (is_down(word))
		state->down = true;
	else if (strcasecmp(word, "up") == 0)
		state->down = false;
	else if (drain || maint || strcasecmp(word, "ready") == 0)
		state->draining = drain, state->maintenance = maint;
	else
		return heed_number(state, word);
	if (drain || maint || is_down(word))
		snprintf(state->reason, sizeof(state->reason), "%s", reason);
	else if (fl_agent_sign(state) == FL_SIGN_UP)
		state->reason[0] = '\0';
	return true;
}

int fl_agent_heed(struct fl_agent_state *state, const char *line)
{
	char copy[LINE_MAX_];
	bool known = false;
	char *reason, *rest;

	snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(line, "\r\n"), line);
	reason = copy + strcspn(copy, "#");
	if (*reason)
		*reason++ = '\0';
	reason += strspn(reason, " \t");
	for (char *word = strtok_r(copy, SEPARATORS, &rest); word;
		word = strtok_r(NULL, SEPARATORS, &rest))
		known = heed_word(state, word, reason) || known;
	return known ? 0 : -EINVAL;
}

enum fl_sign fl_agent_sign(const struct fl_agent_state *state)
{
	if (state->maintenance)
		return FL_SIGN_MAINTENANCE;
	if (state->down)
		return FL_SIGN_DOWN;
	return state->draining ? FL_SIGN_DRAINING : FL_SIGN_UP;
}

const char *fl_agent_sign_name(enum fl_sign sign)
{
	static const char *const names[] = { [FL_SIGN_UP] = "up",
		[FL_SIGN_DOWN] = "down",
		[FL_SIGN_DRAINING] = "drain",
		[FL_SIGN_MAINTENANCE] = "maint" };

	return names[sign];
}

void fl_agent_detail(const struct fl_agent_state *state, const char *line, char *ret, size_t size)
{
	enum fl_sign sign = fl_agent_sign(state);

	if (sign == FL_SIGN_UP)
		snprintf(ret, size, "%s", line);
	else
		snprintf(ret, size, "%s%s%s", fl_agent_sign_name(sign), *state->reason ? ": " : "",
			state->reason);
}

struct fl_agent_state fl_agent_remembered(enum fl_sign sign, struct fl_agent_weight weight)
{
	return (struct fl_agent_state){
		.down = sign == FL_SIGN_DOWN,
		.draining = sign == FL_SIGN_DRAINING,
		.maintenance = sign == FL_SIGN_MAINTENANCE,
		.weight = weight,
	};
}
