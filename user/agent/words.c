/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/state.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/sealed.h"
#include "health/words.h"

#define FILE_NAME      "words"
#define DEADLINE_MAX_S (365u * 86400)

/* ----------------------------------------------------------------------- on disk */

/* Waits for the disk: words are few, and who gave one wants to know that it stays. */
static int keep(struct fl_agent *agent)
{
	struct fl_text text = { 0 };
	int r;

	fl_words_write(agent->health, &text);
	r = text.failed ? -ENOMEM
			: fl_sealed_store(agent->config->state_dir, FILE_NAME,
				  text.data ? text.data : "", text.length);
	fl_text_done(&text);
	return r;
}

void fl_agent_heed_deadlines(struct fl_agent *agent)
{
	uint64_t now_ms = fl_clock_real_ms();
	int r;

	if (!agent->word_deadline_ms || now_ms < agent->word_deadline_ms)
		return;
	r = fl_words_expire(agent->health, now_ms, &agent->word_deadline_ms);
	if (r > 0)
		fl_log(FL_LOG_INFO, "agent", "deadlines of drains have passed",
			FL_INT("endpoints", r));
	if (r > 0)
		r = keep(agent);
	if (r < 0)
		fl_log(FL_LOG_WARNING, "agent", "what became of drains is not kept", FL_ERR(r));
}

void fl_agent_load_words(struct fl_agent *agent)
{
	_cleanup_free_ char *text = NULL;
	struct fl_failure failure = { 0 };
	size_t length = 0, bad = 0;
	int r = fl_sealed_load(agent->config->state_dir, FILE_NAME, &failure, &text, &length);

	if (r == -ENOENT)
		return;
	if (r < 0) {
		fl_log(FL_LOG_ERROR, "agent", "the operator's words on endpoints are lost",
			FL_STR("err", failure.message));
		return;
	}
	r = fl_words_read(agent->health, text, &bad);
	if (r < 0 || bad)
		fl_log(FL_LOG_ERROR, "agent", "not all of the operator's words could be read back",
			FL_UINT("lines", bad));
	if (r > 0)
		fl_log(FL_LOG_INFO, "agent", "the operator's words stand", FL_INT("endpoints", r));
	agent->word_deadline_ms = 1; /* some may have passed while no agent ran */
	fl_agent_heed_deadlines(agent);
}

void fl_agent_forget_words(struct fl_agent *agent, const char *service, const char *endpoint)
{
	struct fl_health_key key = { .service = service };
	int r = 0;

	if (endpoint)
		r = fl_socket_parse(endpoint, false, &key.addr, &key.port);
	if (r == 0)
		r = fl_words_forget(agent->health, service, endpoint ? &key : NULL);
	if (r > 0)
		r = keep(agent);
	if (r < 0)
		fl_log(FL_LOG_WARNING, "agent",
			"what was said of an endpoint that is gone is still kept",
			FL_STR("service", service), FL_ERR(r));
}

/* ---------------------------------------------------------------------- an order */

/* What `order` says, laid over the word that stands. */
static int read_kind(
	const struct fl_word_order *order, struct fl_word *word, struct fl_failure *failure)
{
	if (!*order->word)
		return 0;
	if (fl_word_find(order->word, &word->kind) < 0)
		return fl_fail(failure, -EINVAL,
			"\"%s\" is no word, expected drain, maintenance, up, down or none",
			order->word);
	word->until_ms = 0;
	return 0;
}

static int read_weight(
	const struct fl_word_order *order, struct fl_word *word, struct fl_failure *failure)
{
	char *end;
	unsigned long weight = strtoul(order->weight, &end, 10);

	if (!*order->weight)
		return 0;
	word->weight = FL_WEIGHT_DECLARED;
	if (strcmp(order->weight, "declared") == 0)
		return 0;
	if (*order->weight < '0' || *order->weight > '9' || *end || weight > UINT16_MAX)
		return fl_fail(failure, -EINVAL,
			"\"%s\" is no weight, expected 0-65535, or declared to take it back",
			order->weight);
	word->weight = (uint32_t)weight;
	return 0;
}

static int read_deadline(
	const struct fl_word_order *order, struct fl_word *word, struct fl_failure *failure)
{
	char *end;
	unsigned long seconds = strtoul(order->deadline, &end, 10);

	if (!*order->deadline)
		return 0;
	if (word->kind != FL_WORD_DRAIN)
		return fl_fail(failure, -EINVAL, "only a drain has a deadline");
	if (*order->deadline < '0' || *order->deadline > '9' || *end || !seconds ||
		seconds > DEADLINE_MAX_S)
		return fl_fail(failure, -EINVAL,
			"\"%s\" is no deadline, expected seconds, at least 1 and at most a year",
			order->deadline);
	word->until_ms = fl_clock_real_ms() + seconds * 1000;
	return 0;
}

static int read_order(
	const struct fl_word_order *order, struct fl_word *word, struct fl_failure *failure)
{
	int r = read_kind(order, word, failure);

	if (!*order->word && !*order->weight)
		r = fl_fail(failure, -EINVAL, "neither a word nor a weight is given");
	if (r == 0)
		r = read_weight(order, word, failure);
	return r == 0 ? read_deadline(order, word, failure) : r;
}

/* "drain, weight 3, because": what people read as the reason. */
static void describe(const struct fl_word *word, const char *because, struct fl_text *out)
{
	bool weighted = word->weight != FL_WEIGHT_DECLARED;

	if (word->kind != FL_WORD_NONE)
		fl_text_puts(out, fl_word_name(word->kind));
	if (weighted)
		fl_text_printf(out, "%sweight %u", out->length ? ", " : "", word->weight);
	if (*because)
		fl_text_printf(out, "%s%s", out->length ? ", " : "", because);
	fl_text_putc(out, '\0');
}

static bool exists(const struct fl_agent *agent, const struct fl_health_key *key)
{
	const struct fl_service *service = fl_snapshot_find(agent->applied, key->service);

	return service && fl_service_endpoint_at(service, &key->addr, key->port);
}

static int find(const struct fl_agent *agent, const struct fl_word_order *order,
	struct fl_health_key *key, struct fl_word *word, struct fl_failure *failure)
{
	key->service = order->service;
	if (fl_socket_parse(order->endpoint, false, &key->addr, &key->port) < 0)
		return fl_fail(failure, -EINVAL,
			"\"%s\" is no endpoint, expected its address as fairlead endpoint list has "
			"it",
			order->endpoint);
	if (fl_health_word(agent->health, key, word) || exists(agent, key))
		return 0;
	fl_fail(failure, -ENOENT, "service \"%s\" has no endpoint %s", order->service,
		order->endpoint);
	fl_fail_hint(failure, "list them with: fairlead endpoint list");
	return -ENOENT;
}

/* Kept or not said: an operator who reads an error must not find it obeyed. */
static int say(struct fl_agent *agent, const struct fl_health_key *key,
	const struct fl_word *before, const struct fl_word *word, struct fl_failure *failure)
{
	int r = fl_health_set_word(agent->health, key, word), kept;

	if (r < 0)
		return fl_fail(failure, r, "out of memory");
	kept = keep(agent);
	if (kept == 0)
		return 0;
	fl_health_set_word(agent->health, key, before);
	return fl_fail(failure, kept, "cannot keep it in %s: %s", agent->config->state_dir,
		fl_log_errno(kept));
}

static void log_word(const struct fl_word_order *order, const char *words)
{
	fl_log(FL_LOG_INFO, "agent", "the operator's word", FL_STR("service", order->service),
		FL_STR("endpoint", order->endpoint), FL_STR("word", *words ? words : "none"));
}

int fl_agent_word(void *context, const struct fl_word_order *order, struct fl_failure *failure,
	struct fl_word_said *ret)
{
	struct fl_word before = FL_WORD_UNSAID, word;
	_cleanup_free_ char *old_note = NULL;
	struct fl_agent *agent = context;
	struct fl_text words = { 0 };
	struct fl_health_key key;
	int r = find(agent, order, &key, &before, failure);

	if (r < 0)
		return r;
	if (before.note && !(old_note = strdup(before.note)))
		return fl_fail(failure, -ENOMEM, "out of memory");
	before.note = old_note;
	word = before;
	word.said_ms = fl_clock_real_ms();
	r = read_order(order, &word, failure);
	if (r < 0)
		return r;
	describe(&word, order->note, &words);
	word.note = words.failed || !*words.data ? NULL : words.data;
	r = say(agent, &key, &before, &word, failure);
	if (r == 0) {
		log_word(order, word.note ? word.note : "");
		if (word.until_ms &&
			(!agent->word_deadline_ms || word.until_ms < agent->word_deadline_ms))
			agent->word_deadline_ms = word.until_ms;
		*ret = (struct fl_word_said){ .word = fl_word_name(word.kind),
			.weighted = word.weight != FL_WEIGHT_DECLARED,
			.weight = (uint16_t)word.weight,
			.until_ms = word.until_ms };
	}
	fl_text_done(&words);
	return r;
}
