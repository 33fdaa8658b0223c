/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/agent_words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS  " \t,"
#define LINE_MAX_   256
#define PERCENT_MAX 255

static bool is_number(const char *text, char **end, unsigned long *ret)
{
	if (*text < '0' || *text > '9')
		return false;
	*ret = strtoul(text, end, 10);
	return true;
}

/* "75%", "weight:75%"; "weight:3" and "maxconn:30" are only known. */
static bool heed_number(struct fl_agent_state *state, const char *word)
{
	bool weight = strncmp(word, "weight:", 7) == 0, maxconn = strncmp(word, "maxconn:", 8) == 0;
	unsigned long number;
	char *end;

	if (!is_number(word + (weight ? 7 : maxconn ? 8 : 0), &end, &number))
		return false;
	if (strcmp(end, "%") == 0 && !maxconn) {
		state->percent = (uint8_t)(number > PERCENT_MAX ? PERCENT_MAX : number);
		return true;
	}
	return !*end && (weight || maxconn);
}

static bool heed_down(struct fl_agent_state *state, const char *word)
{
	static const char *const names[] = { "down", "fail", "failed", "stopped" };
	size_t length = strcspn(word, "#");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == length && strncmp(names[i], word, length) == 0) {
			state->down = true;
			snprintf(state->reason, sizeof(state->reason), "%s",
				word[length] ? word + length + 1 : "");
			return true;
		}
	return false;
}

static bool heed_word(struct fl_agent_state *state, const char *word)
{
	if (strcmp(word, "up") == 0) {
		state->down = false;
		state->reason[0] = '\0';
	} else if (strcmp(word, "ready") == 0) {
		state->draining = state->maintenance = false;
	} else if (strcmp(word, "drain") == 0) {
		state->draining = true;
		state->maintenance = false;
	} else if (strcmp(word, "maint") == 0) {
		state->maintenance = true;
		state->draining = false;
	} else {
		return heed_down(state, word) || heed_number(state, word);
	}
	return true;
}

int fl_agent_heed(struct fl_agent_state *state, const char *line)
{
	char copy[LINE_MAX_];
	bool known = false;
	char *rest;

	snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(line, "\r\n"), line);
	for (char *word = strtok_r(copy, SEPARATORS, &rest); word;
		word = strtok_r(NULL, SEPARATORS, &rest))
		known = heed_word(state, word) || known;
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
