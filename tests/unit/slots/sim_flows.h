/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "unit/slots/sim_agent.h"

/**
 * @file sim_flows.h
 * Clients: some hundred flows at a time that open, talk, pause, close, and use
 * their tuples again. Each packet of a live flow has to reach the endpoint that the
 * flow is at, as long as that serves; what is exempt has a name, and is counted.
 */
#define SIM_EXEMPTIONS(X)                                                                          \
	X(SILENT, "silent for longer than W")                                                      \
	X(HALF_SILENT, "half-open or half-closed, and silent for longer than 64 s")                \
	X(SYN_REPEATED, "SYN repeated across a change")                                            \
	X(SECOND_INITIAL, "second QUIC Initial across a change")                                   \
	X(UNPROVEN_LOST, "unproven pin lost, or not made, under pressure")                         \
	X(STUCK_LOST, "proven pin lost that found the table of pins full")

#define SIM_EXEMPTION_ENUM(name, says) SIM_##name,
enum sim_exemption { SIM_EXEMPTIONS(SIM_EXEMPTION_ENUM) SIM_EXEMPTION_COUNT };

enum sim_phase { SIM_IDLE, SIM_OPENING_FLOW, SIM_TALKING, SIM_CLOSING };

/** What uses a tuple. */
struct sim_flow {
	enum sim_phase phase;
	uint32_t at;          /**< the endpoint's number; 0 = none */
	uint32_t incarnation; /**< of that number */
	uint32_t seen;        /**< second of the last packet */
	uint32_t next;        /**< second of the next */
	uint32_t opened_now;  /**< `now` of the slot when it opened */
	bool unpinned;        /**< needed a pin, and got none */
	bool forgone;         /**< … though it was not at `before` */
	bool proven;          /**< more than an opening was sent */
	uint8_t repeats;      /**< of the opening, to come */
};

struct sim_flows {
	struct sim_edge *edge;
	const struct sim_agent *agent;
	const struct sim_tuple *tuples;
	struct sim_flow flow[SIM_CLIENTS];
	uint64_t random;
	unsigned exempt[SIM_EXEMPTION_COUNT];
	unsigned opened, packets, ended; /**< ended: by the end of their endpoints */
	unsigned moving;                 /**< packets in slots that were marked */
	char broken[256];                /**< what went wrong first; empty = nothing */
};

/** Send what is due in this second, of every `parts`th tuple from `part` on. */
void sim_flows_tick(struct sim_flows *flows, uint32_t second, uint32_t part, uint32_t parts);
/** What a tuple of the watched ones is for. */
struct sim_tuple sim_flows_tuple(uint32_t tuple, uint64_t *random);
