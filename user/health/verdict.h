/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/abi.h"
#include "model/cause.h"

/**
 * @file verdict.h
 * One verdict on one endpoint from everything that is known of it.
 *
 * Who is heard first: the operator's word "up", "down" or "maintenance" settles it.
 * Then the registry's down and maintenance. Then whoever says that it does not
 * work: probes, heartbeats, the agent beside it. Then whoever wants it to take no new
 * flows: the operator, the registry, the agent beside it, passive signals, flap
 * damping. An endpoint of which nobody says anything is up. Its weight is the operator's, else
 * the agent's, else the declared one.
 *
 * Pure: no clock, no sockets, no logging.
 */

/** What the operator said of an endpoint. */
enum fl_word_kind {
	FL_WORD_NONE = 0,
	FL_WORD_DRAIN,       /**< old flows only, if it works at all */
	FL_WORD_MAINTENANCE, /**< no traffic */
	FL_WORD_UP,          /**< all traffic, whatever probes and registries say */
	FL_WORD_DOWN,        /**< no traffic */
};

/** What one kind of observer says. */
enum fl_sign {
	FL_SIGN_NONE = 0, /**< nothing: there is no such observer */
	FL_SIGN_UP,
	FL_SIGN_STARTING, /**< it has not seen enough yet, and is to count as down */
	FL_SIGN_DOWN,
	FL_SIGN_DRAINING,
	FL_SIGN_MAINTENANCE,
};

/** Weight as nobody changed it. */
#define FL_WEIGHT_DECLARED UINT32_MAX

/** A weight as HAProxy's agent-check has it. */
struct fl_agent_weight {
	uint16_t number;
	bool is_absolute; /**< in place of the declared one; else percent of that */
};
/** The declared one. */
#define FL_AGENT_WEIGHT { .number = 100 }

struct fl_signals {
	enum fl_state declared;   /**< by the registry */
	uint16_t declared_weight; /**< by the registry */
	enum fl_word_kind word;   /**< the operator's */
	uint32_t word_weight;     /**< the operator's, 0-65535, or FL_WEIGHT_DECLARED */
	enum fl_sign probe;       /**< of the agent's own probes: none, up, starting, down */
	enum fl_sign heartbeat;   /**< none, up, starting, down */
	enum fl_sign agent;       /**< HAProxy's agent-check: any but starting */
	struct fl_agent_weight agent_weight;
	bool ejected;  /**< passive signals */
	bool flapping; /**< see damping.h */
};
/** Of an endpoint that nobody observes. */
#define FL_SIGNALS_NONE                                                                            \
	{ .declared = FL_UP,                                                                       \
		.declared_weight = 1,                                                              \
		.word_weight = FL_WEIGHT_DECLARED,                                                 \
		.agent_weight = FL_AGENT_WEIGHT }

/** What the rest of the agent should believe. */
struct fl_judgement {
	enum fl_state state;
	enum fl_cause cause;
	uint16_t weight;
};

struct fl_judgement fl_judge(const struct fl_signals *signals);

/* ---------------------------------------------------------------------- history */

/** How many changes are remembered. */
#define FL_HISTORY_MAX 8
/** Longest detail, with NUL; longer ones are cut. */
#define FL_DETAIL_MAX 160

struct fl_change {
	uint64_t at_ms; /**< CLOCK_REALTIME */
	enum fl_state state;
	enum fl_cause cause;
	char *detail; /**< NULL = none */
};

/** The verdict on one endpoint as it went. Begins zeroed; see fl_verdict_done. */
struct fl_verdict {
	struct fl_judgement now;
	uint64_t
		since_ms; /**< when `state` became what it is, CLOCK_REALTIME; 0 = no verdict yet */
	char *detail;     /**< what was seen last; NULL = nothing */
	struct fl_change history[FL_HISTORY_MAX]; /**< a ring: see fl_verdict_change */
	uint32_t changes;                         /**< of state or cause, ever */
};

/**
 * Take a judgement over.
 * @param detail  in words, what was seen; copied; NULL = nothing
 * @return whether anybody who looks sees another state, cause or weight
 */
bool fl_verdict_take(struct fl_verdict *verdict, const struct fl_judgement *judgement,
	const char *detail, uint64_t now_ms);
/** The change `back` changes ago, 0 = the last. @return NULL = not remembered */
const struct fl_change *fl_verdict_change(const struct fl_verdict *verdict, size_t back);
void fl_verdict_done(struct fl_verdict *verdict);

const char *fl_word_name(enum fl_word_kind word); /**< "drain"; "none" */
/** @return 0, -EINVAL */
int fl_word_find(const char *name, enum fl_word_kind *ret);
