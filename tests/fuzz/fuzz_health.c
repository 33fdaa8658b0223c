// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/* What an agent beside an endpoint says, and what an earlier agent wrote of endpoints: what is
 * taken over is written, and read again, as the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health/agent_words.h"
#include "health/record.h"
#include "native.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void agent(const char *text)
{
	struct fl_agent_state state = FL_AGENT_STATE, before = state;
	bool known = fl_agent_heed(&state, text) == 0;

	if (!known && memcmp(&state, &before, sizeof(state)) != 0)
		native_fail("health: %s is no word of an agent, and was heeded", text);
	if (known && fl_agent_heed(&before, text) == 0 &&
		fl_agent_sign(&before) != fl_agent_sign(&state))
		native_fail("health: %s means two things", text);
}

static char *write_all(const struct fl_health *health)
{
	struct fl_text text = { 0 };

	fl_health_write(health, &text);
	fl_text_putc(&text, '\0');
	return text.data;
}

static void record(const char *text)
{
	struct fl_health *health = fl_health_new(NULL, NULL), *again = fl_health_new(NULL, NULL);
	char *copy = strdup(text), *first, *second;
	size_t count;

	fl_health_read(health, copy);
	first = write_all(health);
	count = fl_health_count(health);
	free(copy);
	copy = strdup(first);
	fl_health_read(again, copy);
	second = write_all(again);
	if (strlen(first) != strlen(second) || fl_health_count(again) > count)
		native_fail("health: %s is read as %s", first, second);
	free(copy);
	free(first);
	free(second);
	fl_health_free(health);
	fl_health_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1);

	memcpy(text, bytes, size);
	text[size] = '\0';
	agent(text);
	record(text);
	free(text);
	return 0;
}
