/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/service.h"

/* "%128s" below */
_Static_assert(FL_NAME_MAX <= 128, "the format below reads as much");

/* ------------------------------------------------------------------------ as text */

static void write_word(void *context, const struct fl_health_key *key, const struct fl_word *word)
{
	struct fl_text *out = context;
	char address[FL_SOCKET_TEXT], weight[16] = "-";

	if (word->weight != FL_WEIGHT_DECLARED)
		snprintf(weight, sizeof(weight), "%" PRIu32, word->weight);
	fl_text_printf(out, "word=%s weight=%s said=%" PRIu64 " until=%" PRIu64 " %s %s ",
		fl_word_name(word->kind), weight, word->said_ms, word->until_ms, key->service,
		fl_socket_format(&key->addr, key->port, address));
	fl_text_put_last(out, word->note);
}

void fl_words_write(const struct fl_health *health, struct fl_text *out)
{
	fl_health_for_words(health, write_word, out);
}

static bool read_weight(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long weight = strtoul(text, &end, 10);

	*ret = FL_WEIGHT_DECLARED;
	if (strcmp(text, "-") == 0)
		return true;
	*ret = (uint32_t)weight;
	return *text >= '0' && *text <= '9' && !*end && weight <= UINT16_MAX;
}

/* @return 1, 0 = it makes no sense, -ENOMEM */
static int read_line(struct fl_health *health, const char *line)
{
	char kind[16], weight[16], service[129], address[FL_SOCKET_TEXT];
	struct fl_health_key key = { .service = service };
	struct fl_word word = { 0 };
	int end = 0, r;

	if (sscanf(line, "word=%15s weight=%15s said=%" SCNu64 " until=%" SCNu64 " %128s %63s%n",
		    kind, weight, &word.said_ms, &word.until_ms, service, address, &end) != 6 ||
		fl_word_find(kind, &word.kind) < 0 || !read_weight(weight, &word.weight) ||
		fl_socket_parse(address, false, &key.addr, &key.port) < 0)
		return 0;
	word.note = line + end + (line[end] == ' ');
	r = fl_health_set_word(health, &key, &word);
	return r < 0 ? r : 1;
}

int fl_words_read(struct fl_health *health, char *text, size_t *ret_bad)
{
	int taken = 0;
	char *rest;

	*ret_bad = 0;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		int r = read_line(health, line);

		if (r < 0)
			return r;
		taken += r;
		*ret_bad += r == 0;
	}
	return taken;
}

/* ---------------------------------------------------------------------- deadlines */

struct due {
	uint64_t now_ms;
	uint64_t next_ms; /* of those that are not due; 0 = none */
	bool found;
	struct fl_health_key key;
	struct fl_word word;
};

static void look(void *context, const struct fl_health_key *key, const struct fl_word *word)
{
	struct due *due = context;

	if (word->kind != FL_WORD_DRAIN || !word->until_ms)
		return;
	if (word->until_ms > due->now_ms) {
		if (!due->next_ms || word->until_ms < due->next_ms)
			due->next_ms = word->until_ms;
		return;
	}
	due->found = true;
	due->key = *key;
	due->word = *word;
}

static int turn_down(struct fl_health *health, struct due *due)
{
	due->word.kind = FL_WORD_DOWN;
	due->word.note = "down, since the deadline of its drain has passed";
	due->word.until_ms = 0;
	return fl_health_set_word(health, &due->key, &due->word);
}

int fl_words_expire(struct fl_health *health, uint64_t now_ms, uint64_t *ret_next_ms)
{
	int count = 0;

	for (;; count++) {
		struct due due = { .now_ms = now_ms };
		int r;

		fl_health_for_words(health, look, &due);
		*ret_next_ms = due.next_ms;
		if (!due.found)
			return count;
		r = turn_down(health, &due);
		if (r < 0)
			return r;
	}
}

/* -------------------------------------------------------------------- what is gone */

struct leaving {
	const char *service;
	const struct fl_health_key *endpoint; /* NULL = all */
	bool found;
	struct fl_health_key key;
};

static void look_leaving(void *context, const struct fl_health_key *key, const struct fl_word *word)
{
	struct leaving *leaving = context;
	const struct fl_health_key *endpoint = leaving->endpoint;

	(void)word;
	if (strcmp(key->service, leaving->service) != 0)
		return;
	if (endpoint && (key->port != endpoint->port || !fl_ip_equal(&key->addr, &endpoint->addr)))
		return;
	leaving->found = true;
	leaving->key = *key;
	leaving->key.service = leaving->service; /* the entry's own goes with it */
}

int fl_words_forget(
	struct fl_health *health, const char *service, const struct fl_health_key *endpoint)
{
	static const struct fl_word unsaid = FL_WORD_UNSAID;

	for (int count = 0;; count++) {
		struct leaving leaving = { .service = service, .endpoint = endpoint };
		int r;

		fl_health_for_words(health, look_leaving, &leaving);
		if (!leaving.found)
			return count;
		r = fl_health_set_word(health, &leaving.key, &unsaid);
		if (r < 0)
			return r;
	}
}
