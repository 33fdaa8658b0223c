/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "registry/driver.h"

/**
 * @file publish.h
 * What set.c, publish.c and hold.c do with a registry's lists. Private to registry/.
 */

/* publish.c */

/** Put a list in force that the registry just declared; both move to the registry. */
void fl_registry_put_in_force(
	struct fl_registry *registry, fl_service_vec *services, struct fl_problems *problems);
/** Put a list in force that is as old as the one before. */
void fl_registry_reinstate(struct fl_registry *registry, fl_service_vec *services);
/** Put an earlier agent's snapshot in force, until the registry speaks. Its services
 * move to the registry; the set's owner is told. */
void fl_registry_restore(struct fl_registry *registry, fl_service_vec *services, uint64_t taken_ms);
bool fl_registry_is_same_list(const fl_service_vec *a, const fl_service_vec *b);
/** The first error of the last reading, in words, becomes the last error. */
void fl_registry_say_last_error(struct fl_registry *registry);
void fl_registry_tell_owner(struct fl_registry *registry);

/* hold.c */

/** Put a remote registry's list in force, or hold it back; both move to the registry.
 * @return false when out of memory (nothing moved, nothing changed) */
bool fl_registry_guard(
	struct fl_registry *registry, fl_service_vec *services, struct fl_problems *problems);
/** Put what is held back in force. @return false when nothing is */
bool fl_registry_accept(struct fl_registry *registry);
/** NULL is welcome. */
void fl_held_free(struct fl_held *held);
