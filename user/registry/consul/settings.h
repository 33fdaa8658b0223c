/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/problem.h"
#include "core/vec.h"
#include "model/service.h"

/**
 * @file settings.h
 * What instances in Consul say about the service they belong to: its frontends and how
 * it is balanced. Metadata has keys such as `fairlead-settle-tcp`, tags are
 * `fairlead.settle.tcp=5m`; both mean the option of that name in the `services:` schema,
 * with the same words and checks. Pure.
 *
 * Instances are asked one by one, and may disagree, during a change for instance: what
 * most of them say counts, of equally many what the first instance by name says.
 */
#define FL_CONSUL_SETTINGS    22
#define FL_CONSUL_META_PREFIX "fairlead-"
#define FL_CONSUL_TAG_PREFIX  "fairlead."

enum { FL_CONSUL_FRONTENDS = 0 }; /**< index of the one that makes a service ours */

/** The options, below "services.", in order of their index. */
extern const char *const fl_consul_setting_keys[FL_CONSUL_SETTINGS];

/** What one instance, or the service, says; NULL = nothing about that option. */
struct fl_consul_settings {
	char *values[FL_CONSUL_SETTINGS];
};

/** Which option a word behind the prefix means; - . and _ are the same. @return -1 = none */
int fl_consul_setting_find(const char *word, size_t length);
void fl_consul_settings_done(struct fl_consul_settings *settings);
/** Whether it says anything at all. */
bool fl_consul_settings_any(const struct fl_consul_settings *settings);

/** What was said so far, and how often. */
struct fl_consul_vote {
	struct fl_consul_settings said;
	size_t count;
	char *first; /**< the first instance by name that says so */
};
#define FL_CONSUL_VOTES_MAX 16 /**< different ones; further ones are not counted */
typedef FL_VEC(struct fl_consul_vote) fl_consul_votes;

/**
 * Add what one instance says.
 * @param values  FL_CONSUL_SETTINGS of them; copied
 * @param by      the instance, for messages and order
 * @return 0, -ENOMEM
 */
int fl_consul_votes_add(fl_consul_votes *votes, const char *const *values, const char *by);
/**
 * Decide, and free the votes. Who lost is told as a warning, with who won.
 * @param file  what messages call the place
 * @param ret   empty when nobody said anything
 */
void fl_consul_votes_count(fl_consul_votes *votes, const char *file, struct fl_problems *problems,
	struct fl_consul_settings *ret);
void fl_consul_votes_done(fl_consul_votes *votes);

/** Begin a service with these settings: see fl_service_begin. */
int fl_consul_settings_begin(const struct fl_consul_settings *settings, const char *name,
	const char *file, const char *registry, struct fl_problems *problems,
	struct fl_service **ret);
