/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "kernel/sock_walk.h"

/**
 * @file closer.h
 * The process that walks over sockets. Going into the network namespaces of others needs
 * CAP_SYS_ADMIN, which the agent gives up; so one process keeps it that does nothing else,
 * is told nothing but "now", and ends with the agent.
 */
struct fl_closer;

struct fl_closer_hooks {
	/** A stale socket was met. */
	void (*met)(void *context, const struct fl_stale_socket *socket);
	/** The walk has come to its end. @param error  see fl_sock_walk; -EPIPE: the process died */
	void (*walked)(void *context, int error);
	void *context;
};

/**
 * Fork it: before privileges go, and before there are threads. It takes the walk over.
 * @return 0, -errno with words
 */
int fl_closer_start(struct fl_sock_walk *walk, uv_loop_t *loop, const struct fl_closer_hooks *hooks,
	struct fl_failure *failure, struct fl_closer **ret);
/** Walk once. @return false: a walk is under way, or the process is gone */
bool fl_closer_walk(struct fl_closer *closer);
/** End it. Memory goes when the loop has run once more. NULL is welcome. */
void fl_closer_stop(struct fl_closer *closer);
