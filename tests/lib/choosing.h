/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/node.h"

/**
 * @file choosing.h
 * Real connections of this node to endpoints that listen, each of which is seen by the
 * endpoint itself, and judged in sum by chi-square tests.
 *
 * What is known of endpoints is set before each connect, so that it is what the story
 * says, whatever the machine is doing.
 */
#define CHOOSING_MOST 8 /**< endpoints: 192.0.2.1:8080, … */

struct choosing {
	struct test_node node;
	struct fl_live_row known[CHOOSING_MOST]; /**< before a connect; zeroed by _put */
	size_t count;                            /**< endpoints of the service */
	int listeners[CHOOSING_MOST];
};
extern struct choosing choosing;

/** For .init and .fini of a suite. */
void choosing_open(void);
void choosing_close(void);

/** A service "web" of 10.99.0.1:80 with an endpoint of each weight: "1:2:1"; "-" is one that is
 * down. The caller says how it chooses, and puts it. */
struct fl_service *choosing_service(const char *weights);
/** Put it in force; takes the reference over. */
void choosing_put(struct fl_service *service);

uint32_t choosing_id(size_t endpoint);
size_t choosing_index(uint32_t id);
/** Which endpoint the programs gave a socket. */
size_t choosing_of(int socket);

/** Write what is known into `live`. */
void choosing_know(void);
/** One connection that is accepted and closed. @param from  NULL = not bound @return the
 * endpoint */
size_t choosing_connect_from(const char *from);
/** choosing_know, and a connection that is not bound. */
size_t choosing_connect(void);
/** So many of them. @param seen  set: how many each endpoint has */
void choosing_sample(unsigned samples, unsigned seen[CHOOSING_MOST]);

/** Fail unless the shares are the expected ones, as far as chance goes (p < 1e-6).
 * @param share  in sum whatever; 0 = not a single one */
void choosing_expect(
	const char *name, const unsigned seen[CHOOSING_MOST], const double share[CHOOSING_MOST]);

/** Say where endpoints are; NULL = not known. This node is n1 in zone a. */
void choosing_place(struct fl_service *service, const char *const zones[CHOOSING_MOST],
	const char *const nodes[CHOOSING_MOST]);
