/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/addr.h"
#include "health/verdict.h"

/**
 * @file health.h
 * What is known of endpoints beyond what registries declare: the signals of each,
 * and the verdict that follows from them.
 *
 * Observers (checker, heartbeats, passive signals, the operator) set signals;
 * health/overlay turns them into verdicts when a snapshot is made. An endpoint is known
 * by its service's name, its address and its port as declared. Of one that nobody said
 * anything about there is no entry. What is not in any snapshot is forgotten by the
 * overlay, but for the operator's word, which waits for the endpoint to return.
 *
 * Pure: times are handed in. Everything happens on one thread.
 */
struct fl_health;

struct fl_health_key {
	const char *service; /**< name */
	struct fl_ip addr;
	uint16_t port; /**< host order, as declared: 0 = the frontend's */
};

/** Called when a verdict may have changed: a snapshot is due. Not from within fl_overlay_lay. */
typedef void (*fl_health_changed)(void *context);

/** @return NULL when out of memory */
struct fl_health *fl_health_new(fl_health_changed changed, void *context);
/** NULL is welcome. */
void fl_health_free(struct fl_health *health);

/* ----------------------------------------------------------- the operator's word */

struct fl_word {
	enum fl_word_kind kind;
	uint32_t weight; /**< 0-65535 in place of the declared one; FL_WEIGHT_DECLARED = that one */
	const char *note;  /**< why, in the operator's words; NULL = not said */
	uint64_t said_ms;  /**< CLOCK_REALTIME */
	uint64_t until_ms; /**< a drain turns into "down" then, CLOCK_REALTIME; 0 = never */
};
#define FL_WORD_UNSAID { .kind = FL_WORD_NONE, .weight = FL_WEIGHT_DECLARED }

/**
 * Set the operator's word on an endpoint; FL_WORD_UNSAID takes it back. Everything given is
 * copied. The endpoint need not exist (yet): the caller says so to the operator if it matters.
 * Keeping words over a restart, and heeding their deadlines, is the caller's business (words.h).
 * @return 0, -ENOMEM
 */
int fl_health_set_word(
	struct fl_health *health, const struct fl_health_key *key, const struct fl_word *word);
/** What the operator said of it. @param ret  the note is borrowed. @return whether there is a word */
bool fl_health_word(
	const struct fl_health *health, const struct fl_health_key *key, struct fl_word *ret);
/** Call `each` for every word that was said, in no order. */
void fl_health_for_words(const struct fl_health *health,
	void (*each)(void *context, const struct fl_health_key *key, const struct fl_word *word),
	void *context);

/* -------------------------------------------------------------------- observers */

/**
 * What an observer says; FL_SIGN_NONE takes it back, and makes no entry where there is none.
 * @param detail  what was seen, in words; copied; shown with the verdict it leads to
 * @return 0, -ENOMEM
 */
int fl_health_set_probe(struct fl_health *health, const struct fl_health_key *key,
	enum fl_sign sign, const char *detail);
int fl_health_set_heartbeat(struct fl_health *health, const struct fl_health_key *key,
	enum fl_sign sign, const char *detail);
int fl_health_set_agent(struct fl_health *health, const struct fl_health_key *key,
	enum fl_sign sign, struct fl_agent_weight weight, const char *detail);
/** Passive signals. */
int fl_health_set_ejected(struct fl_health *health, const struct fl_health_key *key, bool ejected,
	const char *detail);

/** Flap damping of probes. Makes no entry where there is none. */
int fl_health_set_flapping(
	struct fl_health *health, const struct fl_health_key *key, bool flapping);

/**
 * How far an endpoint is in its slow start. Nobody is called: who sets it makes a snapshot.
 * @param permille  of its weight, 1 - FL_RAMP_WHOLE, which ends it and makes no entry
 * @return 0, -ENOMEM
 */
int fl_health_set_ramp(
	struct fl_health *health, const struct fl_health_key *key, uint16_t permille);

/* ------------------------------------------------------------------------ verdicts */

/** @return borrowed until the next call that changes something; NULL = nobody said anything */
const struct fl_verdict *fl_health_verdict(
	const struct fl_health *health, const struct fl_health_key *key);
/** The signals of it. @return borrowed likewise; NULL = none */
const struct fl_signals *fl_health_signals(
	const struct fl_health *health, const struct fl_health_key *key);
/** What was seen last by the observer who was heard last, before any verdict on it.
 * @return borrowed likewise, "" = nothing */
const char *fl_health_detail(const struct fl_health *health, const struct fl_health_key *key);
/** Whether something changed that nobody was called for, such as the detail of a verdict
 * that stands: a snapshot would show it. For whoever looks once in a while. */
bool fl_health_is_stale(const struct fl_health *health);
/** Grows whenever a signal changed or an entry was forgotten; 0 = never. */
uint64_t fl_health_version(const struct fl_health *health);
/** How many endpoints have an entry. */
size_t fl_health_count(const struct fl_health *health);
