/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "registry/consul/client.h"
#include "registry/driver.h"

/**
 * @file writer.h
 * What Fairlead writes into Consul: the services that name the registry, while
 * this node holds the lock if there is one, and the node's own entry.
 */
struct fl_consul_writer;

/** @param client  borrowed; must outlive it. @return 0, -ENOMEM */
int fl_consul_writer_start(struct fl_registry *registry, struct fl_consul_client *client,
	struct fl_consul_writer **ret);
/** Handles close in the next turns of the loop. NULL is welcome. */
void fl_consul_writer_stop(struct fl_consul_writer *writer);
/** The driver's `written`. */
void fl_consul_writer_written(const struct fl_consul_writer *writer, struct fl_written *ret);
/** The driver's `applied`. */
void fl_consul_writer_applied(struct fl_consul_writer *writer, const struct fl_snapshot *snapshot);
