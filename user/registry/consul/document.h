/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/service.h"

/**
 * @file document.h
 * One endpoint of a registered service as Consul is told of it: the document of
 * `PUT /v1/agent/service/register`, and what is said of its health. Pure.
 *
 * Consul's node is the agent's; the address is the endpoint's own. What other
 * nodes need to serve it as well (frontends, forward mode, zone) travels in the
 * metadata, under keys that begin with `fairlead-`.
 */

#define FL_CONSUL_META_HASH "fairlead-hash" /**< of the document, to see what changed */

/** How an endpoint's state reads in Consul. */
enum fl_consul_status { FL_CONSUL_PASSING, FL_CONSUL_WARNING, FL_CONSUL_CRITICAL };
const char *fl_consul_status_name(enum fl_consul_status status); /**< "passing" … */

/** What stands in `registries.consul.register`. */
struct fl_consul_registering {
	const char *owner;           /**< as owner.h writes it */
	bool verdict;                /**< keep a TTL check with Fairlead's verdict */
	uint32_t ttl_s;              /**< of that check */
	uint32_t deregister_after_s; /**< Consul removes what was critical this long; 0 = never */
};

#define FL_CONSUL_ID 200 /**< bytes of an id with its NUL */

struct fl_consul_instance {
	char id[FL_CONSUL_ID]; /**< of the service instance; safe in a URL */
	char *document;        /**< JSON; NULL = it could not be written */
	char hash[17];         /**< of what must be registered again when it changes */
	enum fl_consul_status status;
	bool maintenance; /**< the instance belongs into Consul's maintenance mode */
	char output[128]; /**< why it has that status */
};

/**
 * Write an endpoint's document.
 * @param service   with a registration
 * @param problems  what cannot be said in Consul is added as a warning
 * @return 0, -ENOMEM
 */
int fl_consul_instance_make(const struct fl_service *service, const struct fl_endpoint *endpoint,
	const struct fl_consul_registering *how, struct fl_problems *problems,
	struct fl_consul_instance *ret);
void fl_consul_instance_done(struct fl_consul_instance *instance);

/** The id of its verdict check. @return `buffer` */
char *fl_consul_verdict_id(const char *id, char buffer[FL_CONSUL_ID + 16]);
