/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"

struct fl_agent;

/**
 * @file ejections.h
 * Says which endpoints the programs of the node path leave out and take back: they decide
 * that alone, the agent is only told.
 */

/** Where the node path is enabled. @return 0, -errno with words */
int fl_agent_start_ejections(struct fl_agent *agent, struct fl_failure *failure);
void fl_agent_stop_ejections(struct fl_agent *agent);
