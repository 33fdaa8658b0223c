/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/service.h"

/**
 * @file ids.h
 * Numbers for services, frontends and endpoints: what slots, pins and flows
 * hold, and so what must not change while they do.
 *
 * A service is known by its name, a frontend by address, port and protocol, an
 * endpoint by its service, address and port. What is known keeps its number;
 * what is new gets the lowest that is free; what is gone is released and, for
 * endpoints, rests until nothing in the kernel can hold it any more. One that
 * returns while it rests gets its old number back. The pinned maps are the
 * truth: a new agent fills the tables from them (fl_ids_adopt_*).
 *
 * Numbers run from 1 to the limit; 0 means none. An array map that they index
 * needs one row more than the limit. Pure: times are handed in.
 */
struct fl_ids;

/** How many of each there may be. @return NULL when out of memory */
struct fl_ids *fl_ids_new(uint32_t services, uint32_t frontends, uint32_t endpoints);
/** NULL is welcome. */
void fl_ids_free(struct fl_ids *ids);

/** Take over a number found in pinned maps. @return 0, -EEXIST (number or key
 * is taken already), -ERANGE (0, or beyond the limit), -ENOMEM */
int fl_ids_adopt_service(struct fl_ids *ids, uint32_t id, const char *name);
int fl_ids_adopt_frontend(struct fl_ids *ids, uint32_t id, const struct fl_frontend *frontend);
int fl_ids_adopt_endpoint(
	struct fl_ids *ids, uint32_t id, uint32_t service, const struct fl_ip *addr, uint16_t port);

/**
 * Give the service, its frontends and endpoints their numbers: fills in the id
 * of each. Endpoints that rested are in use again.
 * @return 0; -ENOSPC when a table is full, resting numbers counted; -ENOMEM. On
 *         failure no number was given and none lost, and the service is untouched
 */
int fl_ids_assign(struct fl_ids *ids, struct fl_service *service);

/** Let go of a number that is in use. An endpoint's rests (fl_ids_rested) but
 * answers to its key; it must be released before its service is. */
void fl_ids_release_service(struct fl_ids *ids, uint32_t id);
void fl_ids_release_frontend(struct fl_ids *ids, uint32_t id);
void fl_ids_release_endpoint(struct fl_ids *ids, uint32_t id, uint32_t now_s);

/** Whether an endpoint's number rests. */
bool fl_ids_is_resting(const struct fl_ids *ids, uint32_t endpoint);
/** Numbers that rest since `released_before_s` or earlier, for the sweeper to prove
 * unused; longest first. Costs a look at each of them. @return how many were written to
 * `ret` */
size_t fl_ids_resting(
	const struct fl_ids *ids, uint32_t released_before_s, uint32_t *ret, size_t room);
/** Call `each` with every number that rests. */
void fl_ids_for_resting(
	const struct fl_ids *ids, void (*each)(void *context, uint32_t endpoint), void *context);
/** Nothing in the kernel holds it: it may be given out again. Without effect on
 * one that does not rest, since it may have come back into use meanwhile. */
void fl_ids_rested(struct fl_ids *ids, uint32_t id);
