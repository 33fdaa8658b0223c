/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/verdict.h"

/**
 * @file agent_words.h
 * What an agent beside an endpoint says in a line: the words of HAProxy's agent-check
 * (configuration manual, "agent-check"), separated by spaces, tabs or commas, in any order,
 * in capitals or not; of two that contradict each other the last one counts:
 *
 *     up | down | fail | stopped
 *     ready | drain | maint
 *     NN% or weight:NN% of the declared weight, or weight:N in its place, 0-256
 *     #REASON of down, drain or maint: all the rest of the line
 *
 * maxconn:N is known and without effect: connections are not counted on every path, and
 * nothing here waits in a queue. What is not mentioned stays as it is. Pure.
 */
struct fl_agent_state {
	bool down;        /**< down, fail or stopped, until up */
	bool draining;    /**< until ready */
	bool maintenance; /**< until ready */
	struct fl_agent_weight weight;
	char reason
		[64]; /**< of the last down, drain or maint, while one stands; "" = none was given */
};
/** Of an agent that has said nothing yet. */
#define FL_AGENT_STATE { .weight = FL_AGENT_WEIGHT }
/** HAProxy's largest weight. */
#define FL_AGENT_WEIGHT_MAX 256

/**
 * Heed a line.
 * @return 0; -EINVAL: not one of its words is known, and nothing changed
 */
int fl_agent_heed(struct fl_agent_state *state, const char *line);
enum fl_sign fl_agent_sign(const struct fl_agent_state *state);
/** The word for it: "up", "down", "drain", "maint". @param sign  as fl_agent_sign has it */
const char *fl_agent_sign_name(enum fl_sign sign);
/**
 * Why it is as it is, for people: "down: disk full", whatever was said of weights since; of one that
 * is up its last line.
 */
void fl_agent_detail(const struct fl_agent_state *state, const char *line, char *ret, size_t size);
/** The state of an agent whose last words led to that. */
struct fl_agent_state fl_agent_remembered(enum fl_sign sign, struct fl_agent_weight weight);
