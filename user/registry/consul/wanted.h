/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/vec.h"
#include "model/snapshot.h"
#include "registry/consul/document.h"

/**
 * @file wanted.h
 * The instances that shall stand in Consul, and what is known of each. Pure.
 */
struct fl_consul_wanted {
	struct fl_consul_instance instance;
	bool is_in_place;           /**< Consul has it, as it shall be */
	bool is_maintained;         /**< and was told of its maintenance */
	enum fl_consul_status told; /**< what its TTL check says */
};
typedef FL_VEC(struct fl_consul_wanted) fl_consul_wanted_vec; /**< sorted by id */

/**
 * Of every service that names the registry and was not read from there, the
 * endpoints; what is known of one that was wanted before stays known, as far
 * as it did not change.
 * @param snapshot  NULL = none
 * @return 0, -ENOMEM with `ret` empty
 */
int fl_consul_wanted_make(const struct fl_snapshot *snapshot, const char *registry,
	const struct fl_consul_registering *how, const fl_consul_wanted_vec *before,
	struct fl_problems *problems, fl_consul_wanted_vec *ret);
void fl_consul_wanted_done(fl_consul_wanted_vec *list);

/** @return NULL = it is not wanted */
struct fl_consul_wanted *fl_consul_wanted_find(const fl_consul_wanted_vec *list, const char *id);
/** Whether Consul would be told the same. */
bool fl_consul_wanted_equal(const fl_consul_wanted_vec *a, const fl_consul_wanted_vec *b);
