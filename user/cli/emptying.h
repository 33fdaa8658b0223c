/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>

#include "cli/cli.h"

/**
 * @file emptying.h
 * Waiting until an endpoint that drains has no flows left.
 *
 * In nat, and for what starts on the agent's node, connections are counted, and empty means
 * none. The other modes of the edge path keep no count: there it means that no flow
 * that is remembered for the endpoint has sent anything for --quiet, counted from the
 * begin of the wait at the earliest. That is an estimate, and said to be one.
 */

/**
 * Wait. How it goes is told on standard error, unless JSON is asked for.
 * @param value  an object; gets `connections`, `waited` (seconds) and `estimate`
 * @return 0, -errno with words: -EBUSY it is down and had flows left, -ECANCELED it does not
 *         drain any more
 */
int fl_await_empty(const struct fl_cli *cli, const char *service, const char *endpoint,
	json_t *value, struct fl_failure *failure);
