/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/maps.h"

/**
 * @file flows.h
 * How many flows nat remembers, without a walk over its tables: the programs
 * count the ports in use of each endpoint. Endpoints that are gone count too, as
 * long as they have flows.
 */

/** @return false when the maps are not there (NULL is welcome) */
bool fl_flows_count(const struct fl_maps *maps, uint64_t *ret);
