/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "control/actions.h"

/**
 * @file words.h
 * The operator's words (health/words.h) as the agent keeps them: a file `words` in the state
 * directory (core/sealed.h), written before the operator is answered, so that what was
 * said outlives this agent. Deadlines are heeded once a second.
 */
struct fl_agent;

/** Take over what was said to an earlier agent; what cannot be read is logged and set aside. */
void fl_agent_load_words(struct fl_agent *agent);
/** Heed deadlines. Costs nothing while none is near. */
void fl_agent_heed_deadlines(struct fl_agent *agent);
/** Action of the server. @param context  the agent */
int fl_agent_word(void *context, const struct fl_word_order *order, struct fl_failure *failure,
	struct fl_word_said *ret);
/** Take back what was said of an endpoint that its operator removed.
 * @param endpoint  as it was given; NULL = all of the service */
void fl_agent_forget_words(struct fl_agent *agent, const char *service, const char *endpoint);
