/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "control/actions.h"

/**
 * @file local.h
 * Changes by command of what is declared (registry/local.h): refused while the one who
 * gives them can still read why, rather than left out of the snapshot afterwards.
 */

/** Action of the server. @param context  the agent */
int fl_agent_local(void *context, const struct fl_local_order *order, struct fl_failure *failure);
