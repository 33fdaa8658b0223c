/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/**
 * @file cause.h
 * What put an endpoint into the state that it has. The words are what people read
 * in `reason`, with the detail behind them.
 */
#define FL_CAUSES(X)                                                                               \
	X(FL_CAUSE_DECLARED, "declared", "as the registry declares it")                            \
	X(FL_CAUSE_WORD, "operator", "by the operator's word")                                     \
	X(FL_CAUSE_PROBE, "probe", "by the agent's own probes")                                    \
	X(FL_CAUSE_STARTING, "starting", "not probed often enough yet")                            \
	X(FL_CAUSE_HEARTBEAT, "heartbeat", "by its heartbeats")                                    \
	X(FL_CAUSE_AGENT, "agent-check", "by the agent that runs beside it")                       \
	X(FL_CAUSE_PASSIVE, "passive", "its connections fail")                                     \
	X(FL_CAUSE_FLAPPING, "flapping", "it changed too often of late")                           \
	X(FL_CAUSE_PANIC, "panic", "too few are up, all are used")                                 \
	X(FL_CAUSE_BACKUP, "backup", "the others are up")

enum fl_cause {
#define X(name, word, text) name,
	FL_CAUSES(X)
#undef X
		FL_CAUSE_COUNT
};

/** "probe". Static. */
const char *fl_cause_name(enum fl_cause cause);
/** "by the agent's own probes". Static. */
const char *fl_cause_text(enum fl_cause cause);
