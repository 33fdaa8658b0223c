/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sys/types.h>

#include "fairlead/reasons.h"
#include "kernel/maps.h"

/**
 * @file subject.h
 * What is measured: an agent on its configuration, and the program and maps that
 * it left in the kernel.
 */
struct bench_subject {
	pid_t pid; /**< of the agent; 0 = stopped: program and maps are still there */
	char config[256];
	char bpffs[128];
	struct fl_maps maps;
	int edge_fd;
	uint32_t service;              /**< id of the one called "bench" */
	fl_slot *settled[FL_FAMILIES]; /**< its slots, as the agent wrote them */
};

/**
 * Start fairleadd on a variant of reference.yaml and wait until all its endpoints
 * can be reached. Ends the program when that fails.
 * @param name       of the variant: "" is reference.yaml as it is
 * @param interface  which the agent attaches to
 */
void bench_subject_start(struct bench_subject *subject, const char *name, const char *forward,
	const char *interface);
/** End the agent, so that it writes nothing behind our back. */
void bench_subject_stop(struct bench_subject *subject);

/** Where all agents write their logs. */
#define BENCH_AGENT_LOG "/run/bench-agent.log"
/** Start fairleadd with a configuration and wait until it is ready.
 * @return its pid */
pid_t bench_agent_start(const char *config);
void bench_agent_stop(pid_t pid);

/** Packets of a reason so far, by the program's own count. */
uint64_t bench_subject_count(const struct bench_subject *subject, enum fl_reason reason);
