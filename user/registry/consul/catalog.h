/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "core/vec.h"

/**
 * @file catalog.h
 * Answers of `/v1/catalog/services`: which services exist, and which of them are
 * read. Pure; safe on a worker thread.
 */
#define FL_CONSUL_SERVICES_MAX 65536 /**< in one catalogue */
#define FL_CONSUL_NAME_MAX     512   /**< bytes of a service's name in Consul */

typedef FL_VEC(char *) fl_consul_names;

/**
 * Read an answer, and choose: a name that matches `pattern` and, when `tags` are given, has one
 * of them on some instance.
 * @param body  changed while it is read
 * @param ret   names, sorted by bytes
 * @param why   on -EBADMSG: what is wrong with the answer
 * @return 0, -EBADMSG, -ENOMEM; `ret` is empty then
 */
int fl_consul_catalog_parse(char *body, size_t length, const struct fl_consul_config *config,
	fl_consul_names *ret, char *why, size_t why_size);
void fl_consul_names_done(fl_consul_names *names);
bool fl_consul_names_has(const fl_consul_names *names, const char *name);
