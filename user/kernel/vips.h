/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "kernel/maps.h"
#include "model/snapshot.h"

/**
 * @file vips.h
 * Rows of `vips`: the addresses that frontends have, see struct fl_frontend_row.
 */

/**
 * Make the map say what a snapshot does, writing only what differs. Costs a look
 * at each address. Ids must have been assigned.
 * @return rows written or removed; -ENOMEM, -errno
 */
int fl_vips_put(const struct fl_maps *maps, const struct fl_snapshot *snapshot);
