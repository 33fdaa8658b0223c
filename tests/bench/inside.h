/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "agent/state.h"

/**
 * @file inside.h
 * The agent's apply path inside of the measuring process: what a registry publishes
 * goes through merge, ids, plan and writer into pinned maps, on a loop of its own.
 * Without API, links and lock; routes are followed.
 */

/** How long something took. */
struct bench_time {
	double ns;     /**< by the clock, what else the machine did included */
	double cpu_ns; /**< of this thread's processor time */
};

/** Start it on a configuration with one registry. Ends the program on failure. */
void bench_inside_start(struct fl_agent *agent, const char *config);
/**
 * Let the registry publish a list, and the loop run until it is in force.
 * @param services  moved to the registry
 * @return from the call that publishes until all is written
 */
struct bench_time bench_inside_publish(struct fl_agent *agent, fl_service_vec *services);
/** One turn of the loop, which waits until there is something to do. */
void bench_inside_wait(struct fl_agent *agent);
/** Let the loop run until every endpoint has its next hop. */
struct bench_time bench_inside_await_routes(struct fl_agent *agent);
/** Bytes of kernel memory that the maps take, by the kernel's own account. */
uint64_t bench_inside_map_bytes(const struct fl_agent *agent);
/** How much of that is mapped into this process, in MiB: what its memory in use must be
 * reduced by so as not to count it twice. */
double bench_inside_mapped_mib(const struct fl_agent *agent);
/** Memory of this process that is in use, in MiB. */
double bench_inside_resident_mib(void);
/** The longest turn of the loop, by either measure, since the last call. */
struct bench_time bench_inside_longest_turn(void);
void bench_inside_stop(struct fl_agent *agent);
