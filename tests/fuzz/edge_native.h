/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>

#include "world.h"

/**
 * @file edge_native.h
 * bpf/xdp_edge.bpf.c, compiled for the host.
 */
int edge(struct xdp_md *ctx);
int explain(struct xdp_md *ctx);
int sweep(struct fl_sweep *args);

/** Make the maps. Once. */
void edge_native_open(void);
/** Fill maps that are empty. */
void edge_native_fill(const struct world *w);
/** Write states of endpoints, and slots: what an agent changes. */
void edge_native_change(const struct world *w);

/** Counters of the edge path, by reason. */
const __u64 *edge_native_reasons(void);
/** The nat entry of a tuple, NULL = none. */
const struct fl_nat_entry *edge_native_nat(const struct fl_flow *key);
