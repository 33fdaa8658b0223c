/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/json_pull.h"
#include "core/text.h"
#include "registry/consul/settings.h"

/**
 * @file instance.h
 * One item of an answer of `/v1/health/service/NAME`, as it stands there: which members
 * it has, and of which type. What they mean is health.h's. Private to these two.
 */

/** Texts point into the body; NULL = absent, or null. */
struct fl_consul_item {
	uint64_t seen;     /**< members that stood there, each at most once */
	const char *wrong; /**< the first member that is missing or of another type, in words */
	const char *node, *node_address, *node_zone;
	const char *node_tagged[FL_FAMILIES];
	const char *id, *address;
	int64_t port;
	const char *tagged[FL_FAMILIES];
	int64_t tagged_port[FL_FAMILIES];
	int64_t passing, warning; /**< weights; 1 when absent */
	const char *zone, *our_zone, *our_node, *owner;
	const char *settings[FL_CONSUL_SETTINGS];
	const char *unknown;      /**< a key of ours that is none */
	struct fl_text frontends; /**< of tags, which may be several */
	bool is_critical, is_warned, is_maintained;
	const char *odd_status;
};

/**
 * Read the next value of a list as an instance. What it lacks or has of another type is noted
 * in `wrong`; a key that stands twice ends the reading (fl_pull_fail).
 */
void fl_consul_item_read(struct fl_pull *pull, struct fl_consul_item *ret);
void fl_consul_item_done(struct fl_consul_item *item);
