/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/abi.h"

/**
 * @file sim.h
 * What the parts of the random test share: three services with whole tables, one
 * for each way with UDP, some hundred flows at a time, and a clock that a test
 * moves. Everything is smaller than in a kernel, so that it fills up.
 *
 *   sim_edge    the packet path: slots, endpoints' states, pins, pressure
 *   sim_agent   changes tables and states, sweeps, dies and comes back
 *   sim_flows   clients: what they send, what they were promised, what is exempt
 *   random      the test: traces of changes and traffic from a seed
 */
#define SIM_SERVICES  3  /* the service's number is its enum fl_udp */
#define SIM_ENDPOINTS 64 /* the largest number */
#define SIM_SLOTS     32768
#define SIM_CLIENTS   4096 /* tuples of flows that are watched */
#define SIM_TUPLES    8192 /* the rest is for floods */
#define SIM_PINS      2048
#define SIM_OPENING   512

/** W and E. */
#define SIM_TCP_S 90
#define SIM_UDP_S 40

/** What the random test takes away once, to see that it notices. */
enum sim_flaw {
	SIM_FLAWLESS,
	SIM_LOSS_UNWRITTEN, /**< a loss does not make the slot wait anew */
	SIM_OLD_UNPINNED,   /**< flows older than a change get no pin */
	SIM_OLD_FORGOTTEN,  /**< a new table does not ask the old one */
	SIM_STATE_FIRST,    /**< an endpoint leaves before the slots do */
	SIM_SWEEP_BLIND,    /**< a sweep looks at `pins` alone */
	SIM_SWEEP_EAGER,    /**< a sweep deletes pins after half of E */
	SIM_FLAWS
};

/** A 5-tuple. Reused by one flow after the other. */
struct sim_tuple {
	uint32_t hash;
	uint8_t service;
	uint8_t proto;
};

/** SplitMix64 (Steele et al., 2014). @return a number below `limit` */
static inline uint32_t sim_random(uint64_t *state, uint32_t limit)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) >> 32) % limit;
}

/** Whether what happens once in `times` happens. */
static inline bool sim_happens(uint64_t *state, uint32_t times)
{
	return sim_random(state, times) == 0;
}
