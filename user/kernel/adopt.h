/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"
#include "kernel/maps.h"
#include "model/ids.h"

/**
 * @file adopt.h
 * What an earlier agent left in the maps, as ids. Part of the writer.
 */

/**
 * Enter the numbers of all services, frontends and endpoints that the maps hold.
 * @return 0; -EPROTO (a number or a name stands twice or beyond the limits: the
 *         maps were damaged); -ENOMEM, -errno
 */
int fl_adopt_ids(const struct fl_maps *maps, struct fl_ids *ids, struct fl_failure *failure);
