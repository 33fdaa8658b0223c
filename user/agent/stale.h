/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"

struct fl_agent;

/**
 * @file stale.h
 * When walks over sockets take place: as soon as an apply has made an endpoint go, and every
 * second until none of its connections is left.
 */

/** Where the node path is enabled: the process that walks, and what it is to do.
 * Before privileges go. @return 0, -errno with words */
int fl_agent_start_stale(struct fl_agent *agent, struct fl_failure *failure);
/** Something may be due: after each apply, and once a second. */
void fl_agent_close_stale(struct fl_agent *agent);
void fl_agent_stop_stale(struct fl_agent *agent);
