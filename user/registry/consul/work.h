/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "config/config.h"
#include "registry/consul/catalog.h"
#include "registry/consul/health.h"
#include "registry/consul/kv.h"

/**
 * @file work.h
 * Reading an answer: a small one at once, a large one on a worker thread, so that the
 * loop is never held for longer than about a millisecond.
 */
enum fl_consul_kind { FL_CONSUL_OF_CATALOG, FL_CONSUL_OF_KV, FL_CONSUL_OF_SERVICE };

struct fl_consul_work {
	enum fl_consul_kind kind;
	/** Called once, on the loop, perhaps from within fl_consul_work_start; then it is
	 * freed: what shall stay is taken out of it. */
	void (*done)(struct fl_consul_work *work);
	void *context;
	void *watch;

	/** What it is read by; copied or referenced by start. */
	struct fl_registry_config *config;
	const fl_consul_definitions *known; /**< of the store; must not change meanwhile */
	char file[64 + FL_CONSUL_NAME_MAX];
	char owner[320];

	int error; /**< 0, -EBADMSG with `why`, -ENOMEM */
	char why[160];
	fl_consul_names names;             /**< of a catalogue */
	fl_consul_definitions definitions; /**< of the store */
	struct fl_consul_health health;    /**< of a service */

	char *body;
	size_t length;
	uv_work_t request;
};

/** Read. @param work  from malloc; filled in above `error`; taken over. @param body  taken over */
void fl_consul_work_start(uv_loop_t *loop, struct fl_consul_work *work, char *body, size_t length);
