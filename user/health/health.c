/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "balance/ramp.h"
#include "core/text.h"
#include "health/entry.h"

struct fl_health *fl_health_new(fl_health_changed changed, void *context)
{
	struct fl_health *health = calloc(1, sizeof(*health));

	if (health) {
		health->changed = changed;
		health->context = context;
	}
	return health;
}

/* ------------------------------------------------------------------------ the table */

static struct fl_entry_key key_of(const struct fl_ip *addr, uint16_t port)
{
	return (struct fl_entry_key){ .addr = *addr, .port = port };
}

struct fl_ward *fl_health_ward(const struct fl_health *health, const char *service)
{
	struct fl_ward *ward;

	HASH_FIND(hh, health->wards, service, strlen(service), ward);
	return ward;
}

struct fl_entry *fl_ward_entry(const struct fl_ward *ward, const struct fl_ip *addr, uint16_t port)
{
	struct fl_entry_key key = key_of(addr, port);
	struct fl_entry *entry;

	HASH_FIND(hh, ward->entries, &key, sizeof(key), entry);
	return entry;
}

static struct fl_entry *find(const struct fl_health *health, const struct fl_health_key *key)
{
	struct fl_ward *ward = fl_health_ward(health, key->service);

	return ward ? fl_ward_entry(ward, &key->addr, key->port) : NULL;
}

static struct fl_ward *have_ward(struct fl_health *health, const char *service)
{
	struct fl_ward *ward = fl_health_ward(health, service);

	if (ward)
		return ward;
	ward = calloc(1, sizeof(*ward));
	if (!ward)
		return NULL;
	ward->service = strdup(service);
	if (ward->service)
		HASH_ADD_KEYPTR(hh, health->wards, ward->service, strlen(ward->service), ward);
	if (ward->service && !ward->lost)
		return ward;
	free(ward->service);
	free(ward);
	return NULL;
}

static struct fl_entry *have_entry(
	struct fl_health *health, struct fl_ward *ward, const struct fl_health_key *key)
{
	struct fl_entry *entry = fl_ward_entry(ward, &key->addr, key->port);

	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->key = key_of(&key->addr, key->port);
	entry->signals = (struct fl_signals)FL_SIGNALS_NONE;
	HASH_ADD(hh, ward->entries, key, sizeof(entry->key), entry);
	if (entry->lost) {
		free(entry);
		return NULL;
	}
	health->count++;
	return entry;
}

static void free_entry(struct fl_entry *entry)
{
	for (int i = 0; i < FL_SOURCES; i++)
		free(entry->details[i]);
	fl_verdict_done(&entry->verdict);
	free(entry);
}

static void free_ward(struct fl_health *health, struct fl_ward *ward)
{
	struct fl_ward **place = &health->dirty;

	while (ward->dirty && *place != ward)
		place = &(*place)->next_dirty;
	if (ward->dirty)
		*place = ward->next_dirty;
	HASH_DELETE(hh, health->wards, ward);
	free(ward->service);
	free(ward);
}

void fl_health_forget(struct fl_health *health, struct fl_ward *ward, struct fl_entry *entry)
{
	HASH_DELETE(hh, ward->entries, entry);
	free_entry(entry);
	health->count--;
	health->version++;
	if (!ward->entries)
		free_ward(health, ward);
}

void fl_health_free(struct fl_health *health)
{
	struct fl_ward *ward, *next_ward;
	struct fl_entry *entry, *next;

	if (!health)
		return;
	HASH_ITER(hh, health->wards, ward, next_ward)
		HASH_ITER(hh, ward->entries, entry, next)
			fl_health_forget(health, ward, entry);
	free(health);
}

/* ------------------------------------------------------------------------- signals */

static void mark(struct fl_health *health, struct fl_ward *ward)
{
	if (ward->dirty)
		return;
	ward->dirty = true;
	ward->next_dirty = health->dirty;
	health->dirty = ward;
}

/* @return 1 = it is another one, 0 = as before, -ENOMEM */
static int set_detail(struct fl_entry *entry, enum fl_source source, const char *detail)
{
	char *copy = NULL;

	if (fl_text_is_same(entry->details[source], detail))
		return 0;
	if (detail && !(copy = strndup(detail, FL_DETAIL_MAX - 1)))
		return -ENOMEM;
	free(entry->details[source]);
	entry->details[source] = copy;
	return 1;
}

static bool is_same(const struct fl_signals *a, const struct fl_signals *b)
{
	return a->word == b->word && a->word_weight == b->word_weight && a->probe == b->probe &&
	       a->heartbeat == b->heartbeat && a->agent == b->agent &&
	       a->agent_weight.number == b->agent_weight.number &&
	       a->agent_weight.is_absolute == b->agent_weight.is_absolute &&
	       a->ejected == b->ejected && a->flapping == b->flapping;
}

/* Set the signals of an endpoint, which are `signals` from now on. */
static int set(struct fl_health *health, const struct fl_health_key *key,
	const struct fl_signals *signals, enum fl_source source, const char *detail)
{
	struct fl_ward *ward = have_ward(health, key->service);
	struct fl_entry *entry = ward ? have_entry(health, ward, key) : NULL;
	bool changed;
	int r;

	if (!entry) {
		if (ward && !ward->entries)
			free_ward(health, ward);
		return -ENOMEM;
	}
	r = set_detail(entry, source, detail);
	entry->last = source;
	if (r < 0)
		return r;
	changed = !is_same(&entry->signals, signals);
	entry->signals = *signals;
	if (changed || r > 0)
		mark(health, ward);
	health->version += changed;
	if (changed && health->changed)
		health->changed(health->context);
	return 0;
}

/* The signals as they are, to be changed. */
static struct fl_signals signals_of(const struct fl_entry *entry)
{
	return entry ? entry->signals : (struct fl_signals)FL_SIGNALS_NONE;
}

int fl_health_set_probe(struct fl_health *health, const struct fl_health_key *key,
	enum fl_sign sign, const char *detail)
{
	const struct fl_entry *entry = find(health, key);
	struct fl_signals signals = signals_of(entry);

	if (sign == FL_SIGN_NONE && signals.probe == FL_SIGN_NONE)
		return 0;
	signals.probe = sign;
	return set(health, key, &signals, FL_SOURCE_PROBE, detail);
}

int fl_health_set_heartbeat(struct fl_health *health, const struct fl_health_key *key,
	enum fl_sign sign, const char *detail)
{
	const struct fl_entry *entry = find(health, key);
	struct fl_signals signals = signals_of(entry);

	if (sign == FL_SIGN_NONE && signals.heartbeat == FL_SIGN_NONE)
		return 0;
	signals.heartbeat = sign;
	return set(health, key, &signals, FL_SOURCE_HEARTBEAT, detail);
}

int fl_health_set_agent(struct fl_health *health, const struct fl_health_key *key,
	enum fl_sign sign, struct fl_agent_weight weight, const char *detail)
{
	const struct fl_entry *entry = find(health, key);
	struct fl_signals signals = signals_of(entry);

	if (sign == FL_SIGN_NONE && signals.agent == FL_SIGN_NONE)
		return 0;
	signals.agent = sign;
	signals.agent_weight = weight;
	return set(health, key, &signals, FL_SOURCE_AGENT, detail);
}

int fl_health_set_ejected(
	struct fl_health *health, const struct fl_health_key *key, bool ejected, const char *detail)
{
	const struct fl_entry *entry = find(health, key);
	struct fl_signals signals = signals_of(entry);

	if (!entry && !ejected)
		return 0;
	signals.ejected = ejected;
	return set(health, key, &signals, FL_SOURCE_PASSIVE, detail);
}

int fl_health_set_flapping(struct fl_health *health, const struct fl_health_key *key, bool flapping)
{
	const struct fl_entry *entry = find(health, key);
	struct fl_signals signals = signals_of(entry);

	if (!entry || signals.flapping == flapping)
		return 0;
	signals.flapping = flapping;
	return set(health, key, &signals, FL_SOURCE_PROBE, entry->details[FL_SOURCE_PROBE]);
}

int fl_health_set_ramp(struct fl_health *health, const struct fl_health_key *key, uint16_t permille)
{
	uint16_t ramp = permille == FL_RAMP_WHOLE ? 0 : permille;
	struct fl_entry *entry = find(health, key);
	struct fl_ward *ward;

	if (!entry && !ramp)
		return 0;
	ward = have_ward(health, key->service);
	entry = ward ? have_entry(health, ward, key) : NULL;
	if (!entry) {
		if (ward && !ward->entries)
			free_ward(health, ward);
		return -ENOMEM;
	}
	if (entry->ramp != ramp)
		mark(health, ward);
	entry->ramp = ramp;
	return 0;
}

/* ----------------------------------------------------------- the operator's word */

bool fl_entry_has_word(const struct fl_entry *entry)
{
	return entry->signals.word != FL_WORD_NONE ||
	       entry->signals.word_weight != FL_WEIGHT_DECLARED;
}

int fl_health_set_word(
	struct fl_health *health, const struct fl_health_key *key, const struct fl_word *word)
{
	struct fl_entry *entry = find(health, key);
	struct fl_signals signals = signals_of(entry);
	int r;

	if (!entry && word->kind == FL_WORD_NONE && word->weight == FL_WEIGHT_DECLARED)
		return 0;
	signals.word = word->kind;
	signals.word_weight = word->weight;
	r = set(health, key, &signals, FL_SOURCE_WORD, word->note);
	if (r < 0)
		return r;
	entry = find(health, key);
	entry->said_ms = word->said_ms;
	entry->until_ms = word->until_ms;
	return 0;
}

static struct fl_word word_of(const struct fl_entry *entry)
{
	return (struct fl_word){
		.kind = entry->signals.word,
		.weight = entry->signals.word_weight,
		.note = entry->details[FL_SOURCE_WORD],
		.said_ms = entry->said_ms,
		.until_ms = entry->until_ms,
	};
}

bool fl_health_word(
	const struct fl_health *health, const struct fl_health_key *key, struct fl_word *ret)
{
	const struct fl_entry *entry = find(health, key);

	if (!entry || !fl_entry_has_word(entry))
		return false;
	*ret = word_of(entry);
	return true;
}

void fl_health_for_words(const struct fl_health *health,
	void (*each)(void *context, const struct fl_health_key *key, const struct fl_word *word),
	void *context)
{
	struct fl_ward *ward, *next_ward;
	struct fl_entry *entry, *next;

	HASH_ITER(hh, health->wards, ward, next_ward)
		HASH_ITER(hh, ward->entries, entry, next) {
			struct fl_health_key key = { ward->service, entry->key.addr,
				entry->key.port };
			struct fl_word word = word_of(entry);

			if (fl_entry_has_word(entry))
				each(context, &key, &word);
		}
}

/* ------------------------------------------------------------------------ verdicts */

const char *fl_entry_detail(const struct fl_entry *entry, enum fl_cause cause)
{
	switch (cause) {
	case FL_CAUSE_WORD:
		return entry->details[FL_SOURCE_WORD];
	case FL_CAUSE_PROBE:
	case FL_CAUSE_FLAPPING:
		return entry->details[FL_SOURCE_PROBE];
	case FL_CAUSE_HEARTBEAT:
		return entry->details[FL_SOURCE_HEARTBEAT];
	case FL_CAUSE_AGENT:
		return entry->details[FL_SOURCE_AGENT];
	case FL_CAUSE_PASSIVE:
		return entry->details[FL_SOURCE_PASSIVE];
	default:
		return NULL;
	}
}

const struct fl_verdict *fl_health_verdict(
	const struct fl_health *health, const struct fl_health_key *key)
{
	const struct fl_entry *entry = find(health, key);

	return entry ? &entry->verdict : NULL;
}

const struct fl_signals *fl_health_signals(
	const struct fl_health *health, const struct fl_health_key *key)
{
	const struct fl_entry *entry = find(health, key);

	return entry ? &entry->signals : NULL;
}

const char *fl_health_detail(const struct fl_health *health, const struct fl_health_key *key)
{
	const struct fl_entry *entry = find(health, key);

	return entry && entry->details[entry->last] ? entry->details[entry->last] : "";
}

bool fl_health_is_stale(const struct fl_health *health)
{
	return health->dirty;
}

uint64_t fl_health_version(const struct fl_health *health)
{
	return health->version;
}

size_t fl_health_count(const struct fl_health *health)
{
	return health->count;
}
