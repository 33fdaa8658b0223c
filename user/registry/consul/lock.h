/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "registry/consul/client.h"

/**
 * @file lock.h
 * One node of many: a lock on a key of Consul's store, held by a session.
 *
 * The session lives as long as it is renewed. It is given up, and `changed` told,
 * as soon as Consul says that it is gone, that somebody else holds the key, or when
 * the last renewal that succeeded was sent longer ago than the session's time to
 * live: Consul does not end it earlier, so nobody else can hold it before we have
 * noticed, however Consul or the way to it failed. Like every lock of this kind
 * it is advisory: a holder that sleeps between looking and doing may be late.
 *
 * The key's value says who holds it. An agent that finds its own name there goes
 * on with the session of its earlier run, so a restart leaves no gap.
 *
 * Algorithm: Consul's guide to leader election by sessions.
 */
struct fl_consul_lock;

enum fl_consul_lock_state {
	FL_CONSUL_LOCK_UNKNOWN = 0, /**< nobody may act as its holder here, and perhaps nowhere */
	FL_CONSUL_LOCK_HELD,        /**< by this agent */
	FL_CONSUL_LOCK_ELSEWHERE,   /**< Consul said that another node holds it */
};

/** Of the session, unless a caller knows better: the shortest but one that Consul takes. */
#define FL_CONSUL_LOCK_TTL_S 15

struct fl_consul_lock_options {
	const char *key;      /**< "fairlead/registrar"; escaped by the lock */
	const char *identity; /**< written as the key's value: who holds it; unique to this node */
	uint32_t ttl_s;       /**< of the session, 10-86400 */
};

/** Everything given is borrowed and must outlive it.
 * @param changed  called on the loop when the state is another
 * @return 0, -ENOMEM */
int fl_consul_lock_start(uv_loop_t *loop, struct fl_consul_client *client,
	const struct fl_consul_lock_options *options, void (*changed)(void *context), void *context,
	struct fl_consul_lock **ret);

/** The session is left to the next run, or to its time to live. `changed` is not called any
 * more; handles close in the next turns of the loop. NULL is welcome. */
void fl_consul_lock_stop(struct fl_consul_lock *lock);

enum fl_consul_lock_state fl_consul_lock_state(const struct fl_consul_lock *lock);
/** The last failure, "" = none since the last success. */
const char *fl_consul_lock_error(const struct fl_consul_lock *lock);
