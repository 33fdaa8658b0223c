/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "model/snapshot.h"
#include "registry/consul/client.h"
#include "registry/consul/document.h"

/**
 * @file registrar.h
 * Keeps what Consul's agent says of our endpoints as our own files say it.
 *
 * It asks the agent what carries our owner mark, registers what is missing or
 * different, deregisters what nobody declares any more, and goes on doing so:
 * after each change, each failure (with backoff) and once a minute. So a Consul
 * that was wiped, and instances that a killed agent left, are put right
 * without memory of what was written. TTL checks with Fairlead's verdict are
 * renewed three times in their time, and at once when the verdict changes.
 *
 * Nothing is deregistered when the agent ends: forwarding goes on, too. What
 * nobody renews turns critical after its TTL.
 */
struct fl_consul_registrar;

struct fl_consul_registrar_stats {
	size_t wanted;     /**< instances that shall be registered */
	size_t in_place;   /**< of these, as Consul last confirmed */
	const char *error; /**< the last failure; "" = none since the last success */
};

/** Everything given is borrowed and must outlive it. @return 0, -ENOMEM */
int fl_consul_registrar_start(uv_loop_t *loop, struct fl_consul_client *client,
	const char *registry, const struct fl_consul_registering *how,
	struct fl_consul_registrar **ret);
/** Nothing more is written. Handles close in the next turns of the loop. NULL is welcome. */
void fl_consul_registrar_stop(struct fl_consul_registrar *registrar);

/** Register the services of the snapshot that name this registry, and no others.
 * @param snapshot  NULL = nothing (another node does it) */
void fl_consul_registrar_want(
	struct fl_consul_registrar *registrar, const struct fl_snapshot *snapshot);

/** Write nothing until something is wanted again: it is not known who may. */
void fl_consul_registrar_pause(struct fl_consul_registrar *registrar);

void fl_consul_registrar_stats(
	const struct fl_consul_registrar *registrar, struct fl_consul_registrar_stats *ret);
