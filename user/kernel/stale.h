/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "kernel/node_maps.h"
#include "model/service.h"

/**
 * @file stale.h
 * Endpoints that went, whose connections from this node are to be closed: at once, or when
 * their time is over, as the service says (`stale:`).
 *
 * When one is due it gets a row in the map `stale`, and walks over all sockets (sock_walk.h) are
 * wanted until one that began a second later found none of its connections any more: one
 * that chose it in the moment in which it went is met by the next walk. Rows outlive the
 * agent; the next one goes on with them.
 */
struct fl_stale;

/** Takes over the rows of an earlier agent.
 * @param maps  open for writing; must outlive it @return 0, -ENOMEM */
int fl_stale_new(struct fl_node_maps *maps, uint32_t services, struct fl_stale **ret);
/** NULL is welcome. */
void fl_stale_free(struct fl_stale *stale);

/** An endpoint takes no traffic any more; without effect where the service keeps connections, or
 * out of memory (then they are kept). @param service  it need not have the endpoint any more */
void fl_stale_gone(struct fl_stale *stale, const struct fl_service *service, uint32_t endpoint,
	const struct fl_ip *addr, uint32_t now_s);
/** It takes traffic again: what is left of its connections stays. */
void fl_stale_back(struct fl_stale *stale, uint32_t endpoint);
/** Whether its number is needed here. */
bool fl_stale_holds(const struct fl_stale *stale, uint32_t endpoint);

/** Put rows of those that are due. @return whether a walk is wanted */
bool fl_stale_is_due(struct fl_stale *stale, uint32_t now_s);
/** A walk begins. */
void fl_stale_walk_begins(struct fl_stale *stale, uint32_t now_s);
/** It met a socket. @return its endpoint's service by name; NULL = not known */
const char *fl_stale_met(struct fl_stale *stale, const struct fl_stale_socket *socket);
/** It has come to its end. @param error  0, or why not all could be visited */
void fl_stale_walked(struct fl_stale *stale, int error);

/** Sockets closed, of one service by its number, and of all. */
uint64_t fl_stale_closed(const struct fl_stale *stale, uint32_t service);
uint64_t fl_stale_closed_total(const struct fl_stale *stale);
