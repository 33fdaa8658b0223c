/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "balance/regions.h"
#include "balance/settle.h"
#include "unit/slots/sim_edge.h"

/**
 * @file sim_agent.h
 * The agent's part: tables by balance/maglev at places of balance/regions, slots by
 * balance/settle, endpoints' numbers, and the order of a change. It works in small
 * steps, between which packets come and it may die; a new one takes over what it
 * finds in the edge.
 */
#define SIM_ADDRESSES 16 /**< per service */
#define SIM_SIZE_MAX  4093

/** What a registry says of an address. */
struct sim_member {
	bool exists;
	uint8_t weight;
	uint8_t wants; /**< enum fl_state: up, down or draining */
};

enum sim_job_stage { JOB_NONE, JOB_UP, JOB_SLOTS, JOB_STATES };

/** One change of one service. */
struct sim_job {
	enum sim_job_stage stage;
	uint32_t service;
	struct sim_member members[SIM_ADDRESSES]; /**< as they were when it began */
	uint32_t table[SIM_SIZE_MAX];
	fl_region region; /**< where it goes; another than that in force: a change of size */
	uint32_t cursor;
};

enum sim_sweep_stage { SWEEP_REST, SWEEP_OPENING, SWEEP_PINS, SWEEP_TABLES };

struct sim_agent {
	struct sim_edge *edge;
	const struct sim_tuple *tuples;
	struct sim_member declared[SIM_SERVICES][SIM_ADDRESSES];
	bool dirty[SIM_SERVICES]; /**< declared anew */
	bool waits[SIM_SERVICES]; /**< for another size */
	bool alive;
	/* Of its own; ids are in a file, too. */
	uint32_t id[SIM_SERVICES][SIM_ADDRESSES];  /**< 0 = none */
	uint32_t incarnation[SIM_ENDPOINTS + 1];   /**< grows when one is removed */
	uint32_t resting_since[SIM_ENDPOINTS + 1]; /**< 0 = it does not rest */
	bool leaving[SIM_ENDPOINTS + 1];           /**< is to drain, but not yet */
	struct fl_regions *regions;
	struct fl_settle *settle;
	struct sim_job job;
	enum sim_sweep_stage sweep;
	uint32_t sweep_begun, sweep_cursor, swept_old_pins;
	uint32_t generation;
	struct {
		unsigned jobs, resizes, sweeps, held, settled, freed, reused, deaths;
	} counts;
};

/** The slots of a table. */
fl_slot *sim_agent_slots(const struct sim_agent *agent, fl_region region);
/** Begin to live, with what is in the edge. Fails the test when out of memory. */
void sim_agent_start(struct sim_agent *agent, uint32_t second);
/** Die, whatever is under way. */
void sim_agent_kill(struct sim_agent *agent);
/** Go a step further in what is under way, if it lives. */
void sim_agent_step(struct sim_agent *agent, uint32_t second);
/** What is to be done once a second. */
void sim_agent_tick(struct sim_agent *agent, uint32_t second);
/** Go a step further in a sweep. */
void sim_agent_sweep(struct sim_agent *agent, uint32_t second);
/** Whether nothing is under way: slots settled, no pins, no old table, no number rests. */
bool sim_agent_is_at_rest(const struct sim_agent *agent);
