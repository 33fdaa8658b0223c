/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The list `registries:`. Each item is a mapping with one key, its type.
 */
#include "config/option.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONSUL "http://127.0.0.1:8500"

static void describe(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a list of at most %lld registries, such as - file: { path: DIRECTORY }",
		(long long)option->max);
}

static bool refuse_type(
	struct fl_reader *reader, const struct fl_option *option, const struct fl_node *node)
{
	struct fl_node key = { .kind = FL_NODE_SCALAR,
		.text = node->key,
		.line = node->key_line,
		.column = node->key_column };
	char shown[FL_NODE_TEXT];

	return fl_read_error(reader, option, &key,
		"%s is no type of registry, expected file or consul", fl_node_show(&key, shown));
}

/* ------------------------------------------------------------------- types */

static bool check_nothing(
	struct fl_reader *reader, const struct fl_node *node, struct fl_registry_config *registry)
{
	(void)reader, (void)node, (void)registry;
	return true;
}

static bool has_https(const struct fl_consul_config *consul)
{
	for (size_t i = 0; i < consul->url_count; i++)
		if (strncmp(consul->urls[i], "https://", 8) == 0)
			return true;
	return false;
}

static bool uses_tls(const struct fl_tls_config *tls)
{
	return tls->ca || tls->cert || tls->key || tls->server_name;
}

/* What takes several options to see. */
static bool check_consul(
	struct fl_reader *reader, const struct fl_node *node, struct fl_registry_config *registry)
{
	struct fl_consul_config *consul = &registry->consul;

	if (consul->cached && consul->consistency == FL_CONSUL_CONSISTENT)
		return fl_read_error(reader, fl_option_find("registries.consul.cached"), node,
			"a cache is not consistent, expected cached: false, or another "
			"consistency");
	if (uses_tls(&consul->tls) && !has_https(consul))
		return fl_read_error(reader, fl_option_find("registries.consul.tls.ca"), node,
			"tls is for https:// addresses and there is none, expected url: "
			"https://HOST:8501");
	if (consul->tls.key && !consul->tls.cert)
		return fl_read_error(reader, fl_option_find("registries.consul.tls.key"), node,
			"a key without a certificate, expected tls.cert beside it");
	return true;
}

static bool default_consul(struct fl_registry_config *registry)
{
	struct fl_consul_config *consul = &registry->consul;

	if (consul->urls)
		return true;
	consul->urls = calloc(2, sizeof(*consul->urls));
	if (consul->urls)
		consul->urls[0] = strdup(DEFAULT_CONSUL);
	consul->url_count = consul->urls && consul->urls[0];
	return consul->url_count;
}

/* A type of registry that is supported. */
static const struct type {
	const char *name;
	const char *prefix; /* of its options */
	bool (*check)(struct fl_reader *reader, const struct fl_node *node,
		struct fl_registry_config *registry);
} types[] = {
	{ "file", "registries.file", check_nothing },
	{ "consul", "registries.consul", check_consul },
};

static const struct type *find_type(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

static bool read_typed(struct fl_reader *reader, const struct type *type,
	const struct fl_node *node, struct fl_registry_config *registry)
{
	size_t errors = reader->problems->errors;

	registry->line = node->key_line;
	registry->column = node->key_column;
	registry->type = strdup(type->name);
	if (!registry->type)
		return fl_read_no_memory(reader);
	fl_read_options(reader, FL_OF_REGISTRY, type->prefix, node, registry);
	if (reader->problems->errors != errors || !registry->name)
		return false;
	if (strcmp(type->name, "consul") == 0 && !default_consul(registry))
		return fl_read_no_memory(reader);
	return type->check(reader, node, registry);
}

/* -------------------------------------------------------------------- list */

static bool has_own_name(struct fl_reader *reader, const struct fl_node *node,
	const struct fl_config *config, const struct fl_registry_config *registry)
{
	const struct fl_option *option;
	char key[64];

	snprintf(key, sizeof(key), "registries.%s.name", registry->type);
	option = fl_option_find(key);

	if (strcmp(registry->name, "inline") == 0)
		return fl_read_error(reader, option, node,
			"inline is the name of what stands in this file, expected another one");
	if (strcmp(registry->name, "local") == 0)
		return fl_read_error(reader, option, node,
			"local is the name of what is declared by command, expected another one");
	for (size_t i = 0; i < config->registry_count; i++)
		if (strcmp(config->registries[i]->name, registry->name) == 0)
			return fl_read_error(reader, option, node,
				"%s is the name of the registry at %u:%u already, expected one of "
				"its own",
				registry->name, config->registries[i]->line,
				config->registries[i]->column);
	return true;
}

/* @param ret_used  false when the registry is one that is switched off */
static bool read_registry(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *item, const struct fl_config *config,
	struct fl_registry_config *registry, bool *ret_used)
{
	const struct fl_node *node = item->first;
	const struct fl_option *known;
	const struct type *type;
	char key[64];

	*ret_used = false;
	if (item->kind != FL_NODE_MAP || item->count != 1)
		return fl_read_error(reader, option, item,
			"an item must be a mapping with one key, its type, expected file: { path: "
			"DIRECTORY }");
	type = find_type(node->key);
	if (type && fl_node_is_off(node))
		return true;
	if (type) {
		*ret_used = true;
		return read_typed(reader, type, node, registry) &&
		       has_own_name(reader, node, config, registry);
	}
	snprintf(key, sizeof(key), "registries.%.40s", node->key);
	known = fl_option_find(key);
	if (!known || !known->unsupported)
		return refuse_type(reader, option, node);
	if (fl_node_is_off(node))
		return true;
	fl_problem_add(reader->problems,
		(struct fl_place){ reader->file, node->key_line, node->key_column },
		"%s: known, not supported by this version, expected it to be absent or off", key);
	return false;
}

static bool read(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	struct fl_config *config = target;
	bool good = true;

	if (!fl_read_is_list(reader, option, node))
		return false;
	if (node->count > (size_t)option->max)
		return fl_read_error(reader, option, node, "%zu items, expected at most %lld",
			node->count, (long long)option->max);
	config->registries = calloc(node->count + 1, sizeof(struct fl_registry_config *));
	if (!config->registries)
		return fl_read_no_memory(reader);
	for (const struct fl_node *item = node->first; item; item = item->next) {
		struct fl_registry_config *registry = fl_registry_config_new();
		bool used;

		if (!registry)
			return fl_read_no_memory(reader);
		if (!read_registry(reader, option, item, config, registry, &used))
			good = false;
		if (used && registry->name)
			config->registries[config->registry_count++] = registry;
		else
			fl_registry_config_unref(registry);
	}
	return good;
}

/* One on a line, in print.c. */
static void print(const struct fl_option *option, const void *target, FILE *out)
{
	(void)option, (void)target, (void)out;
}

const struct fl_option_type fl_type_registries = { describe, read, print };
