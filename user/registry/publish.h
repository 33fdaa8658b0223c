/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "registry/driver.h"

/**
 * @file publish.h
 * What set.c does with a registry's lists, beside what drivers do (driver.h).
 */

/** Put an earlier agent's snapshot in force, until the registry speaks. Its services
 * move to the registry; the set's owner is told. */
void fl_registry_restore(struct fl_registry *registry, fl_service_vec *services, uint64_t taken_ms);
/** Put what is held back in force. @return false when nothing is */
bool fl_registry_accept(struct fl_registry *registry);
/** NULL is welcome. */
void fl_held_free(struct fl_held *held);
