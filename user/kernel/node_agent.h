/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

#include "core/failure.h"
#include "fairlead/node.h"

/**
 * @file node_agent.h
 * Who the agent is, as the programs of the node path see it: its process, whose own
 * connections are exempt, and its network namespace, whose loopback frontends on
 * loopback addresses are.
 */

/** This process's number where the kernel counts them, which is another one inside of a pid
 * namespace: told by a program. @return 0, -errno */
int fl_node_agent_number(uint32_t *ret);

/** Cookie of this thread's network namespace (SO_NETNS_COOKIE). @return 0, -errno */
int fl_node_agent_netns(uint64_t *ret);

/**
 * Introduce this process: from now on its connections are exempt, and its main thread is called
 * FL_AGENT_COMM. Threads that are made later inherit that.
 * @param row  mapped @return 0, -errno with words; then nobody is exempt
 */
int fl_node_agent_enter(struct fl_node_row *row, struct fl_failure *failure);

/** This process is going to end: its number may be given out again. */
void fl_node_agent_leave(struct fl_node_row *row);
