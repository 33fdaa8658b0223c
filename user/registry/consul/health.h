/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/problem.h"
#include "core/text.h"
#include "core/vec.h"
#include "registry/consul/settings.h"

/**
 * @file health.h
 * Answers of `/v1/health/service/NAME`: the instances of a service, with what their
 * checks say. Pure; safe on a worker thread.
 *
 * Address: the instance's own, else its node's; one that it names for the other address
 * family (`lan_ipv4`, `lan_ipv6`) is an endpoint as well. Checks: the worst counts.
 *
 *     passing                         up, weight Weights.Passing
 *     warning                         up, weight Weights.Warning (0 = no new flows)
 *     critical                        down
 *     maintenance, of node or service draining: it is the operator's wish, not a failure, and
 *                                     what it serves may end; down if a check of its own
 *                                     is critical besides
 *
 * An instance that cannot be used is left out and named; the others are used. An
 * answer that is no list of instances at all is refused as a whole.
 */
struct fl_consul_endpoint {
	struct fl_ip addr[FL_FAMILIES];
	uint16_t port[FL_FAMILIES]; /**< host order; 0 = the frontend's */
	bool has[FL_FAMILIES];      /**< it has an address of the family */
	uint16_t weight;
	uint8_t state;           /**< enum fl_state */
	uint32_t id, node, zone; /**< offsets in `texts`; 0 = none */
};

struct fl_consul_health {
	FL_VEC(struct fl_consul_endpoint) endpoints; /**< as Consul sent them */
	struct fl_text texts;                        /**< NUL-terminated; the first is "" */
	struct fl_consul_settings settings;          /**< what they say of the service */
	struct fl_problems problems;
	size_t own; /**< instances left out because this registry registered them */
};

/**
 * Read an answer.
 * @param body   changed while it is read
 * @param file   what messages call the place: "consul service web"
 * @param owner  instances with this owner are left out (owner.h); NULL = none
 * @param why    on -EBADMSG: what is wrong with the answer
 * @return 0; -EBADMSG: it is no such list; -ENOMEM. `ret` is empty then
 */
int fl_consul_health_parse(char *body, size_t length, const char *file, const char *owner,
	struct fl_consul_health *ret, char *why, size_t why_size);
void fl_consul_health_done(struct fl_consul_health *health);

/** A text of an instance. @return NULL = none */
static inline const char *fl_consul_text(const struct fl_consul_health *health, uint32_t offset)
{
	return offset ? health->texts.data + offset : NULL;
}

/** Put '?' in place of control characters: names in Consul may have any. @return `text` */
char *fl_consul_plain(char *text);

/** "web-1 on n1", fit for a message. @return `buffer` */
#define FL_CONSUL_INSTANCE_TEXT 160
char *fl_consul_instance_show(
	const char *id, const char *node, char buffer[FL_CONSUL_INSTANCE_TEXT]);
