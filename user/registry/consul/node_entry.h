/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "model/snapshot.h"
#include "registry/consul/client.h"

/**
 * @file node_entry.h
 * What this node balances, written into Consul's store for others to look at:
 * PREFIX/NODE holds `{"node", "agent", "version", "generation", "services",
 * "endpoints", "written"}`.
 *
 * Written by compare-and-swap at the index that this agent wrote last. So two
 * agents that go by the same node name, which would also fight for each other's
 * registrations, are noticed and told of.
 */
struct fl_consul_node_entry;

/** Everything given is borrowed and must outlive it.
 * @param prefix  key without '/' at its end
 * @return 0, -ENOMEM */
int fl_consul_node_entry_start(uv_loop_t *loop, struct fl_consul_client *client, const char *prefix,
	const char *node, struct fl_consul_node_entry **ret);
/** The entry stays. NULL is welcome. */
void fl_consul_node_entry_stop(struct fl_consul_node_entry *entry);

/** Write it, at once or, when it was written just now, a little later. */
void fl_consul_node_entry_update(
	struct fl_consul_node_entry *entry, const struct fl_snapshot *snapshot);

/** The last failure, "" = none since the last success. */
const char *fl_consul_node_entry_error(const struct fl_consul_node_entry *entry);
