/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

/**
 * @file watchdog.h
 * Tells the service manager that the agent lives: WATCHDOG=1 (sd_notify(3),
 * sd_watchdog_enabled(3)) at half of the time that WATCHDOG_USEC allows, from a timer of
 * the loop, so that an agent whose loop hangs falls silent. It also does when an apply is
 * stuck: changes would be accepted and never reach the kernel. The manager then starts another
 * agent, which goes on from the pins; forwarding does not stop meanwhile.
 */
struct fl_watchdog {
	uv_timer_t timer;
	/** Where the work stands that must go on: a number that changes with every bit of it;
	 * 0 = there is none to be done. */
	uint64_t (*progress)(void *context);
	void *context;
	uint64_t last; /**< of `progress`, at the last look */
	int looks;     /**< in a row at which it stood where it had stood before */
};

/** Looks at unchanged work after which it counts as stuck. */
#define FL_WATCHDOG_PATIENCE 4

/**
 * How often to tell.
 * @param usec  WATCHDOG_USEC, @param pid  WATCHDOG_PID; NULL = not set
 * @return milliseconds; 0 = nobody wants to know
 */
uint64_t fl_watchdog_interval_ms(const char *usec, const char *pid, pid_t self);

/** Look once. Pure. @return whether all is well */
bool fl_watchdog_look(struct fl_watchdog *watchdog);

/** Begin, if the environment says that somebody wants to know. The timer is initialised in any
 * case, and its owner closes it. */
void fl_watchdog_start(struct fl_watchdog *watchdog, uv_loop_t *loop,
	uint64_t (*progress)(void *context), void *context);
