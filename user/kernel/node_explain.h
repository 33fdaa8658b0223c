/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>

#include "core/failure.h"
#include "kernel/explain.h"
#include "kernel/node_maps.h"

/**
 * @file node_explain.h
 * Which endpoint a connect of this node would get now, answered by the program that is
 * pinned at BPFFS/node/explain: the same choice as that of the programs on the cgroup. It
 * changes nothing.
 */

/** The question of a process like this one: in this network namespace and cgroup.
 * @return 0, -errno with words */
int fl_node_question_fill(const struct fl_question *question, struct fl_node_question *ret,
	struct fl_failure *failure);

/** Run the program, which answers in the question itself.
 * @return 0; -ENOENT (there is no node path below `bpffs`), -EPERM, -EPROTO, -errno */
int fl_node_ask(const char *bpffs, struct fl_node_question *question, struct fl_failure *failure);

/**
 * The answer with names: {service, frontend, endpoint, state, reason, path} as those of
 * fl_explanation_json, and {balance, key, affinity, kept, chance, candidates: [{endpoint, weight, tier, state, share,
 * connections, ejected}]}. `chance`: another connect may get another one; `share` is
 * null where it follows from load, `candidates` where there is no pool.
 * @return new reference, NULL when out of memory
 */
json_t *fl_node_explanation_json(const struct fl_maps *maps, const struct fl_node_maps *node,
	const struct fl_node_question *answered);
