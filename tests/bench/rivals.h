/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/**
 * @file rivals.h
 * What people use today to reach several endpoints under one address, set up as their
 * manuals have it. Each is in front of the same endpoints, which it takes in turn.
 */

#define RIVALS 3

struct rival {
	const char *name;
	const char *address; /**< where clients connect to, IPv4 */
	uint16_t port;
	const char *missing; /**< what this machine lacks; NULL = it runs */
	pid_t process;       /**< 0 = it has none */
	/** What is in the way of everybody's packets while it is there, as connection tracking is:
	 * only there while this one is measured. NULL = nothing is. */
	void (*enter)(void);
	void (*leave)(void);
};

struct rival_endpoints {
	const char *const *addresses; /**< IPv4 */
	unsigned count;
	uint16_t port;
};

/** Start those that are installed. */
void rivals_start(struct rival rivals[RIVALS], const struct rival_endpoints *to);
void rivals_stop(struct rival rivals[RIVALS]);
