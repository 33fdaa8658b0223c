/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/problem.h"
#include "core/vec.h"
#include "model/service.h"

/**
 * @file kv.h
 * Answers of `/v1/kv/PREFIX/?recurse`: services that somebody defined in the key-value
 * store, one key each. Pure; safe on a worker thread.
 *
 * The name is the key behind the prefix; the value is the mapping of a service as in
 * `services:`, in YAML or JSON, without its name. With `endpoints` it stands for
 * itself; without, they are the instances of the Consul service of that name.
 */
#define FL_CONSUL_VALUE_MAX       (512u << 10) /**< bytes of a value: Consul's own limit */
#define FL_CONSUL_DEFINITIONS_MAX 65536

struct fl_consul_definition {
	char *name;
	char *text;         /**< the value, decoded; NULL = it could not be */
	size_t length;      /**< of the text */
	bool usable;        /**< the schema takes it; `problems` tells why not */
	bool has_endpoints; /**< it names them, perhaps none */
	struct fl_problems problems;
};

typedef FL_VEC(struct fl_consul_definition) fl_consul_definitions;

/**
 * Read an answer. Each value is tried with the schema's readers.
 * @param body      changed while it is read
 * @param prefix    of the keys, without '/' at its end
 * @param registry  name put into services
 * @param known     definitions of the last answer: one that is the same is not tried again
 * @param ret       sorted by name
 * @param why       on -EBADMSG: what is wrong with the answer
 * @return 0, -EBADMSG, -ENOMEM; `ret` is empty then
 */
int fl_consul_kv_parse(char *body, size_t length, const char *prefix, const char *registry,
	const fl_consul_definitions *known, fl_consul_definitions *ret, char *why, size_t why_size);
void fl_consul_definitions_done(fl_consul_definitions *definitions);
/** @return NULL when there is none of that name */
struct fl_consul_definition *fl_consul_definition_find(
	const fl_consul_definitions *definitions, const char *name);

/** What messages call a definition: "consul KV fairlead/services/web". @return `buffer` */
#define FL_CONSUL_FILE_TEXT 800
char *fl_consul_kv_file(const char *prefix, const char *name, char buffer[FL_CONSUL_FILE_TEXT]);

/**
 * Begin a definition's service: see fl_service_begin. It must have a text.
 * @param ret_has_endpoints  it names its endpoints, perhaps none
 */
int fl_consul_definition_begin(const struct fl_consul_definition *definition, const char *prefix,
	const char *registry, struct fl_problems *problems, struct fl_service **ret,
	bool *ret_has_endpoints);
