/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/snapshot.h"

/**
 * @file index.h
 * Finds services by name without regard to case; part of the zone.
 *
 * It also knows the names that merely lie above others: with a service "a.b" there is
 * a name "b", though perhaps no service. DNS must not say of it that it does not exist
 * (RFC 8020). Pure.
 */
struct fl_dns_index {
	struct fl_dns_index_row *rows; /**< open addressing; a power of two of them */
	size_t room;
	struct fl_snapshot *snapshot; /**< what it fits; kept until it fits another */
};

/**
 * Make it fit the snapshot. If the names are those of the last one, as when an endpoint
 * changed, that takes a walk along two lists of pointers.
 * @return 0, -ENOMEM (and then it is empty)
 */
int fl_dns_index_follow(struct fl_dns_index *index, struct fl_snapshot *snapshot, uint64_t seed);
void fl_dns_index_done(struct fl_dns_index *index);

/**
 * Look a name up in the snapshot that the index fits.
 * @param ret_above  whether it lies above names of services
 * @return borrowed, NULL when no service has the name
 */
const struct fl_service *fl_dns_index_find(
	const struct fl_dns_index *index, uint64_t seed, const char *name, bool *ret_above);
