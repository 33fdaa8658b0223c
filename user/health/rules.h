/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "model/service.h"

/**
 * @file rules.h
 * What the endpoints of a service mean for each other: backups, and panic.
 *
 * Backups take new flows only while no other endpoint does (as nginx has it); until then
 * their weight is 0, so that flows which they have may end in peace.
 *
 * When fewer than `panic` percent of those that could serve are up, or fewer than
 * `min_healthy`, all of them are used (as Envoy has it): when most are down, it is more
 * likely that the checks are wrong, and what is left would be overrun. Whoever somebody
 * took out on purpose stays out: by maintenance, by draining, by the operator's word, by
 * weight 0. Pure.
 */

/** Whether the rules could change anything of this service. */
bool fl_service_has_rules(const struct fl_service *service);
/** Apply them to an overlay, whose endpoints have their own verdicts: changes state, weight and
 * cause of some, and sets `in_panic`. @return whether anything was changed */
bool fl_rules_apply(struct fl_service *overlay);
