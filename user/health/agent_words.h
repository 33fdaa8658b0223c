/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "health/verdict.h"

/**
 * @file agent_words.h
 * What an agent beside an endpoint says in a line: the words of HAProxy's agent-check
 * (configuration manual, "agent-check"), separated by spaces, tabs or commas, in any order:
 *
 *     up | down | fail | stopped, the last three perhaps with #REASON
 *     ready | drain | maint
 *     NN% or weight:NN% of the declared weight
 *
 * weight:N and maxconn:N are known and without effect: weights are shares here, and
 * connections are not counted on every path. What is not mentioned stays as it is. Pure.
 */
struct fl_agent_state {
	bool down;        /**< down, fail or stopped, until up */
	bool draining;    /**< until ready */
	bool maintenance; /**< until ready */
	uint8_t percent;  /**< of the declared weight */
	char reason[64];  /**< of being down; "" = none was given */
};
/** Of an agent that has said nothing yet. */
#define FL_AGENT_STATE { .percent = 100 }

/**
 * Heed a line.
 * @return 0; -EINVAL: not one of its words is known, and nothing changed
 */
int fl_agent_heed(struct fl_agent_state *state, const char *line);
enum fl_sign fl_agent_sign(const struct fl_agent_state *state);
