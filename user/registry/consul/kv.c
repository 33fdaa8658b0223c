/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/kv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/services.h"
#include "core/base64.h"
#include "core/cleanup.h"
#include "core/json_pull.h"
#include "registry/consul/health.h"

/* One answer as it is read. */
struct reading {
	struct fl_pull pull;
	const char *prefix, *registry;
	const fl_consul_definitions *known;
	fl_consul_definitions *found;
};

/* Members of an entry, as bits. */
enum { SEEN_KEY = 1, SEEN_VALUE = 2 };

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct fl_consul_definition *)a)->name,
		((const struct fl_consul_definition *)b)->name);
}

struct fl_consul_definition *fl_consul_definition_find(
	const fl_consul_definitions *definitions, const char *name)
{
	struct fl_consul_definition key = { .name = (char *)name };

	return definitions->count
		       ? bsearch(&key, definitions->items, definitions->count, sizeof(key), by_name)
		       : NULL;
}

static void definition_done(struct fl_consul_definition *definition)
{
	free(definition->name);
	free(definition->text);
	fl_problems_done(&definition->problems);
}

void fl_consul_definitions_done(fl_consul_definitions *definitions)
{
	for (size_t i = 0; i < definitions->count; i++)
		definition_done(&definitions->items[i]);
	fl_vec_done(definitions);
}

char *fl_consul_kv_file(const char *prefix, const char *name, char buffer[FL_CONSUL_FILE_TEXT])
{
	snprintf(buffer, FL_CONSUL_FILE_TEXT, "consul KV %.256s/%.512s", prefix, name);
	return fl_consul_plain(buffer);
}

/* ----------------------------------------------------------------- definitions */

int fl_consul_definition_begin(const struct fl_consul_definition *definition, const char *prefix,
	const char *registry, struct fl_problems *problems, struct fl_service **ret,
	bool *ret_has_endpoints)
{
	size_t errors = problems->errors;
	struct fl_service *service = NULL;
	char file[FL_CONSUL_FILE_TEXT];
	struct fl_yaml yaml = { 0 };
	int r;

	fl_consul_kv_file(prefix, definition->name, file);
	r = fl_yaml_parse(definition->text, definition->length, file, problems, &yaml);
	if (r == 0 && !yaml.root)
		fl_problem_add(problems, (struct fl_place){ file, 1, 1 },
			"is empty, expected the mapping of a service");
	else if (r == 0)
		r = fl_service_begin(
			yaml.root, definition->name, file, registry, problems, &service);
	if (r == 0 && problems->errors != errors) /* perhaps of a text that has a tree */
		r = -EINVAL;
	if (r == 0) {
		*ret_has_endpoints = fl_node_get(yaml.root, "endpoints") != NULL;
		*ret = TAKE_PTR(service);
	}
	fl_service_unref(service);
	fl_yaml_done(&yaml);
	return r;
}

/* Try it with the schema. What only the endpoints of Consul can tell comes later. */
static int try_definition(const struct reading *r, struct fl_consul_definition *definition)
{
	struct fl_service *service = NULL;
	struct fl_problems problems = { 0 };
	int error = fl_consul_definition_begin(definition, r->prefix, r->registry,
		&definition->problems, &service, &definition->has_endpoints);

	if (error < 0)
		return error == -ENOMEM ? error : 0;
	service->varies = !definition->has_endpoints;
	definition->usable = fl_service_finish(service, &problems);
	for (size_t i = 0; i < problems.count; i++) {
		const struct fl_problem *problem = &problems.items[i];
		struct fl_place place = { problem->file, problem->line, problem->column };

		if (!problem->warning)
			fl_problem_add(&definition->problems, place, "%s", problem->message);
		else if (definition->has_endpoints)
			fl_problem_warn(&definition->problems, place, "%s", problem->message);
	}
	fl_problems_done(&problems);
	fl_service_unref(service);
	return 0;
}

static bool is_known(const struct reading *r, struct fl_consul_definition *definition)
{
	const struct fl_consul_definition *known =
		fl_consul_definition_find(r->known, definition->name);

	if (!known || !known->text || known->length != definition->length ||
		memcmp(known->text, definition->text, known->length) != 0)
		return false;
	definition->usable = known->usable;
	definition->has_endpoints = known->has_endpoints;
	fl_problems_copy(&definition->problems, &known->problems);
	return true;
}

/* Decode the value. @return 0 also when it cannot be (told), -ENOMEM */
static int decode(
	const struct reading *r, struct fl_consul_definition *definition, const char *value)
{
	size_t length = value ? strlen(value) : 0;
	char file[FL_CONSUL_FILE_TEXT];
	struct fl_place place = { .file = fl_consul_kv_file(r->prefix, definition->name, file) };

	if (FL_BASE64_DECODED(length) > FL_CONSUL_VALUE_MAX + 2) {
		fl_problem_add(&definition->problems, place,
			"is larger than the %u bytes that a value may have", FL_CONSUL_VALUE_MAX);
		return 0;
	}
	definition->text = malloc(FL_BASE64_DECODED(length) + 1);
	if (!definition->text)
		return -ENOMEM;
	if (fl_base64_decode(value ? value : "", length, definition->text, &definition->length) ==
		0)
		return 0;
	free(definition->text);
	definition->text = NULL;
	fl_problem_add(&definition->problems, place, "is no base64, in which Consul sends values");
	return 0;
}

/* -------------------------------------------------------------------- the answer */

/* What stands behind "PREFIX/"; NULL = it is no service: a folder, or something else */
static const char *name_of(const struct reading *r, const char *key)
{
	size_t length = strlen(r->prefix);

	if (strncmp(key, r->prefix, length) != 0 || key[length] != '/' || !key[length + 1] ||
		key[strlen(key) - 1] == '/')
		return NULL;
	return key + length + 1;
}

static int take(struct reading *r, const char *key, const char *value)
{
	const char *name = key ? name_of(r, key) : NULL;
	struct fl_consul_definition *definition;
	int error;

	if (!name)
		return 0;
	definition = fl_vec_push(r->found);
	if (!definition)
		return -ENOMEM;
	definition->name = strdup(name);
	if (!definition->name) {
		r->found->count--;
		return -ENOMEM;
	}
	error = decode(r, definition, value);
	if (error < 0 || !definition->text || is_known(r, definition))
		return error;
	return try_definition(r, definition);
}

static int read_entry(struct reading *r)
{
	const char *key = NULL, *value = NULL;
	unsigned seen = 0;
	const char *member;

	if (!fl_pull_enter(&r->pull, FL_PULL_OBJECT)) {
		fl_pull_fail(&r->pull, "an entry is no object");
		return 0;
	}
	while ((member = fl_pull_key(&r->pull))) {
		unsigned bit = strcmp(member, "Key") == 0     ? SEEN_KEY
			       : strcmp(member, "Value") == 0 ? SEEN_VALUE
							      : 0;

		if (seen & bit)
			fl_pull_fail(&r->pull, "a key stands twice");
		seen |= bit;
		if (bit == SEEN_KEY)
			key = fl_pull_text(&r->pull);
		else if (bit == SEEN_VALUE && fl_pull_peek(&r->pull) == FL_PULL_STRING)
			value = fl_pull_text(&r->pull);
		else if (bit == SEEN_VALUE && fl_pull_peek(&r->pull) != FL_PULL_NULL)
			fl_pull_fail(&r->pull, "a value is no text");
		else
			fl_pull_skip(&r->pull);
	}
	if (!r->pull.error && !key)
		fl_pull_fail(&r->pull, "an entry without a key");
	return r->pull.error ? 0 : take(r, key, value);
}

static bool has_twins(const fl_consul_definitions *list)
{
	for (size_t i = 1; i < list->count; i++)
		if (strcmp(list->items[i - 1].name, list->items[i].name) == 0)
			return true;
	return false;
}

int fl_consul_kv_parse(char *body, size_t length, const char *prefix, const char *registry,
	const fl_consul_definitions *known, fl_consul_definitions *ret, char *why, size_t why_size)
{
	struct reading r = { .prefix = prefix, .registry = registry, .known = known, .found = ret };
	int error = 0;

	*ret = (fl_consul_definitions){ 0 };
	fl_pull_open(&r.pull, body, length);
	if (fl_pull_peek(&r.pull) != FL_PULL_LIST)
		fl_pull_fail(&r.pull, "no list where one must be");
	if (fl_pull_enter(&r.pull, FL_PULL_LIST))
		while (error == 0 && fl_pull_item(&r.pull)) {
			error = read_entry(&r);
			if (ret->count > FL_CONSUL_DEFINITIONS_MAX)
				fl_pull_fail(&r.pull, "more definitions than can be");
		}
	if (error == 0)
		fl_pull_finish(&r.pull);
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_name);
	if (error == 0 && !r.pull.error && has_twins(ret))
		fl_pull_fail(&r.pull, "a definition stands twice");
	if (error == 0 && !r.pull.error)
		return 0;
	fl_consul_definitions_done(ret);
	if (error < 0)
		return error;
	snprintf(why, why_size, "%s, at byte %zu", r.pull.error, r.pull.where);
	return -EBADMSG;
}
