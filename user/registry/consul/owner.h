/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdio.h>

/**
 * @file owner.h
 * How an instance in Consul says which Fairlead registered it.
 *
 * What a registry writes carries this key in `Meta`. Other nodes use such an
 * instance as any other; the registry that wrote it leaves it out when it reads,
 * so that a service does not come back to where it came from.
 */
#define FL_CONSUL_OWNER_META "fairlead-owner"
#define FL_CONSUL_OWNER_TEXT 320 /**< "NODE/REGISTRY" with NUL: 253 + 1 + 63 */

/** The key's value. @return `buffer` */
static inline char *fl_consul_owner_format(
	const char *node, const char *registry, char buffer[FL_CONSUL_OWNER_TEXT])
{
	snprintf(buffer, FL_CONSUL_OWNER_TEXT, "%.253s/%.63s", node, registry);
	return buffer;
}
