/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>

#include "model/service.h"
#include "registry/consul/health.h"
#include "registry/consul/kv.h"
#include "registry/consul/settings.h"

/**
 * @file entry.h
 * One service of Consul: what is known of it, and the service that this makes. Pure.
 *
 * Who defines it, in this order: the key-value store; its instances. A service that
 * has instances and that nobody defines is not ours. A definition with errors is no
 * word at all: what it was before stands, and the endpoints follow their instances;
 * where there is no before, what was last published stands.
 */
struct fl_consul_entry {
	char *name;
	char file[64 + FL_NAME_MAX]; /**< what messages call it: "consul service web" */

	bool answered; /**< `health` is known, perhaps that there is nobody */
	struct fl_consul_health health;
	char *trouble;     /**< why it could not be asked last time; NULL = it could */
	unsigned failures; /**< in a row */

	struct fl_consul_definition good;   /**< the last usable definition; without a text: none */
	struct fl_consul_settings settings; /**< the last usable ones that instances gave */
	struct fl_service *service;         /**< what all that makes; NULL = nothing, or not ours */
	struct fl_problems problems;
};

/** What an entry is judged by, the same for all of a registry. */
struct fl_consul_context {
	const char *registry; /**< name put into services */
	const char *prefix;   /**< of the key-value store; NULL = it is not read */
	const fl_consul_definitions *definitions;
	/** What was last published under a name, perhaps by an earlier agent: borrowed; NULL =
	 * nothing. Asked only where there is no other word. */
	struct fl_service *(*before)(void *of, const char *name);
	void *of;
};

int fl_consul_entry_init(struct fl_consul_entry *entry, const char *name);
void fl_consul_entry_done(struct fl_consul_entry *entry);

/** Take over what was read. */
void fl_consul_entry_answer(struct fl_consul_entry *entry, struct fl_consul_health *health);

/**
 * Make the service anew from what is known. One that did not change stays the same object.
 * @param ret_news  whether its problems are others than before: to be logged
 * @return whether the service or its problems changed
 */
bool fl_consul_entry_build(
	struct fl_consul_entry *entry, const struct fl_consul_context *context, bool *ret_news);
