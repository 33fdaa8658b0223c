/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "config/config.h"

/**
 * @file agent.h
 * The running agent: everything between reading the configuration and leaving.
 */

/** Exit codes of fairleadd (contract). */
enum fl_exit {
	FL_EXIT_OK = 0,
	FL_EXIT_CONFIG = 1,
	FL_EXIT_USAGE = 2,
	FL_EXIT_KERNEL = 3,
	FL_EXIT_LOCKED = 4
};

/**
 * Run until TERM or INT. Takes the configuration over. What it prints goes to
 * the log. Forwarding stays when it returns.
 * @return an exit code
 */
enum fl_exit fl_agent_run(struct fl_config *config);
