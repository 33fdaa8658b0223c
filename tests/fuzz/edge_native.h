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
/** Write frontends: what an agent changes when services do. */
void edge_native_move(const struct world *w);
/** Make the other one of two nat tables the newest, as when another becomes full. */
void edge_native_turn(void);

/** Counters of the edge path, by reason. */
const __u64 *edge_native_reasons(void);
/** More of what it counts, by row. */
struct fl_frontend_stats *edge_native_frontend_stats(uint32_t frontend);
struct fl_endpoint_stats *edge_native_endpoint_stats(uint32_t endpoint);
/** Zeroes where nothing was opened. */
struct fl_answers edge_native_answers(uint32_t endpoint);
const struct fl_pressure_row *edge_native_pressure(void);
/** A slot of a service's table. */
const fl_slot *edge_native_slot(uint32_t service, enum fl_family family, uint32_t index);
/** The nat entry of a tuple, NULL = none. */
const struct fl_nat_entry *edge_native_nat(const struct fl_flow *key);
