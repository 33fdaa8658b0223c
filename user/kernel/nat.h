/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"
#include "kernel/maps.h"

/**
 * @file nat.h
 * Room for nat flows: a table that begins small and grows with use.
 *
 * `nat` holds up to FL_NAT_GENERATIONS hash maps; [0] takes new flows. When it
 * fills, a larger one is put before it, and an old one that has emptied goes.
 */

/** Create the first table, unless an earlier agent left some. @return 0, -errno */
int fl_nat_open(struct fl_maps *maps, struct fl_failure *failure);

/**
 * Look once, about every second: grow or drop generations. Cheap while idle.
 * @return 0; -ENOMEM and others when it should grow and cannot
 */
int fl_nat_tick(struct fl_maps *maps, struct fl_failure *failure);
