/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/maps.h"
#include "kernel/node_maps.h"

/**
 * @file candidates.h
 * Among whom the programs of the node path choose, read from the pool of a service as
 * bpf/lib/choose_pick.h reads it: who can be had now, and how often it is.
 */
enum fl_candidate_state {
	FL_CANDIDATE_GOOD = 0,
	FL_CANDIDATE_TRIAL = 1,    /**< its ejection is over: the next connection tries it */
	FL_CANDIDATE_EJECTED = 2,  /**< passed over while there is another */
	FL_CANDIDATE_DOWN = 3,     /**< not up, though the pool still has it */
	FL_CANDIDATE_UNUSABLE = 4, /**< of a family that the socket cannot speak to */
};

struct fl_candidate {
	uint32_t endpoint;
	uint16_t weight;
	uint8_t tier; /**< 0 = nearest */
	enum fl_candidate_state state;
	uint32_t connections; /**< open or being made */
	uint64_t ejected_ns;  /**< for so much longer; 0 = not ejected */
	double share;         /**< of connections, 0-1; < 0 = follows from load, so not known */
};

struct fl_candidates {
	struct fl_pool_head head;
	struct fl_candidate *items;
	size_t count;
};

/**
 * @param service, family  of the frontend
 * @param ipv4_only        the socket is one of IPv4
 * @param tcp              datagrams take part in no trial
 * @param now_ns           CLOCK_MONOTONIC
 * @param ret              to be freed by fl_candidates_done
 * @return 0; -ENOENT (no pool: slots are drawn); -EPROTO (it makes no sense), -ENOMEM
 */
int fl_candidates_read(const struct fl_maps *maps, const struct fl_node_maps *node,
	uint32_t service, enum fl_family family, bool ipv4_only, bool tcp, uint64_t now_ns,
	struct fl_candidates *ret);
/** A zeroed one is welcome. */
void fl_candidates_done(struct fl_candidates *candidates);

/** "good", "trial", "ejected", "down", "unusable" */
const char *fl_candidate_state_name(enum fl_candidate_state state);
