/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"
#include "registry/driver.h"

/**
 * @file local.h
 * Services that are declared by command (`fairlead service add`, `endpoint add`), as users of
 * ipvsadm expect it: a registry of its own, called "local", behind all others.
 *
 * It is kept in the state directory (kept.h), and on disk before a command is answered, so
 * it outlives agent and machine. A change is made in two steps, so that
 * somebody may look at the outcome before it counts.
 */
#define FL_LOCAL_NAME "local"

enum fl_local_verb {
	FL_LOCAL_ADD = 0, /**< it must not exist */
	FL_LOCAL_SET,     /**< it must */
	FL_LOCAL_DELETE,  /**< it must */
	FL_LOCAL_VERBS
};

struct fl_local_change {
	enum fl_local_verb verb;
	const char *service;
	const char *endpoint; /**< its address; NULL = the service itself */
	const char *text;     /**< the keys (config/patch.h); unused by deletes; may be NULL */
	size_t length;
};

/** "add", "set", "delete". @return 0, -EINVAL */
int fl_local_verb_find(const char *name, enum fl_local_verb *ret);

/**
 * The list as it would be.
 * @param ret  of references; those that do not change are the same objects
 * @return 0; -ENOENT, -EEXIST: what is to be changed is not there, or is; -EINVAL: what
 *         stands in the text or the address makes no sense; -ENOMEM; each with words
 */
int fl_local_plan(const struct fl_registry *registry, const struct fl_local_change *change,
	struct fl_failure *failure, fl_service_vec *ret);
/**
 * Keep a list, and put it in force. Blocks until it is on the disk.
 * @param services  empty afterwards, if this succeeds
 * @return 0; -errno with words: nothing changed
 */
int fl_local_commit(
	struct fl_registry *registry, fl_service_vec *services, struct fl_failure *failure);
