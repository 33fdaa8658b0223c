/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

#include "model/service.h"

/**
 * @file ids.h
 * Numbers for services, frontends and endpoints: what slots, pins and flows
 * hold, and so what must not change while they do.
 *
 * A service is known by its name, a frontend by address, port and protocol, an
 * endpoint by its service, family, address and port. What is known keeps its
 * number; what is new gets the lowest that is free; what is gone is released
 * and, for endpoints, rests until nothing in the kernel can hold it any more.
 * The pinned maps are the truth: a new agent fills the tables from them
 * (fl_ids_adopt_*). Pure: times are handed in.
 */
struct fl_ids;

/** @return NULL when out of memory */
struct fl_ids *fl_ids_new(uint32_t services, uint32_t frontends, uint32_t endpoints);
void fl_ids_free(struct fl_ids *ids);

/** Take over a number found in pinned maps. @return 0, -EEXIST (number or key
 * is taken already), -ERANGE (number beyond the limit), -ENOMEM */
int fl_ids_adopt_service(struct fl_ids *ids, uint32_t id, const char *name);
int fl_ids_adopt_frontend(struct fl_ids *ids, uint32_t id, const struct fl_frontend *frontend);
int fl_ids_adopt_endpoint(struct fl_ids *ids, uint32_t id, uint32_t service, const struct fl_ip *addr,
	uint16_t port);

/**
 * Give the service, its frontends and endpoints their numbers.
 * @return 0; -ENOSPC when a table is full (nothing is given then, nothing lost); -ENOMEM
 */
int fl_ids_assign(struct fl_ids *ids, struct fl_service *service);

/** Let go of a number. An endpoint's rests (fl_ids_rested) but answers to its key. */
void fl_ids_release_service(struct fl_ids *ids, uint32_t id);
void fl_ids_release_frontend(struct fl_ids *ids, uint32_t id);
void fl_ids_release_endpoint(struct fl_ids *ids, uint32_t id, uint32_t now_s);

/** Numbers that rest since `released_s` or earlier, for the sweeper to prove unused.
 * @return how many were written to `ret` */
size_t fl_ids_resting(
	const struct fl_ids *ids, uint32_t released_before_s, uint32_t *ret, size_t room);
/** Nothing in the kernel holds it: it may be given out again. */
void fl_ids_rested(struct fl_ids *ids, uint32_t id);
