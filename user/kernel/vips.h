/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "kernel/maps.h"
#include "model/snapshot.h"

/**
 * @file vips.h
 * Rows of `vips`: the addresses that frontends have, see struct fl_frontend_row.
 */

/**
 * Make the map say what a snapshot does, writing only what differs. Ids must have been
 * assigned.
 * @param last  what the map says, to look only at the addresses of services that are
 *              other objects in `snapshot`; NULL = not known: looks at every address
 * @return rows written or removed; -ENOMEM, -errno
 */
int fl_vips_put(const struct fl_maps *maps, const struct fl_snapshot *last,
	const struct fl_snapshot *snapshot);
