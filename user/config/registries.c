/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The list `registries:`. Each item is a mapping with one key, its type.
 */
#include "config/option.h"

#include <stdlib.h>
#include <string.h>

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

	return fl_read_error(reader, option, &key, "%s is no type of registry, expected file",
		fl_node_show(&key, shown));
}

static bool read_file(
	struct fl_reader *reader, const struct fl_node *node, struct fl_registry_config *registry)
{
	size_t errors = reader->problems->errors;

	registry->line = node->key_line;
	registry->column = node->key_column;
	registry->type = strdup("file");
	if (!registry->type)
		return fl_read_no_memory(reader);
	fl_read_options(reader, FL_OF_REGISTRY, "registries.file", node, registry);
	return registry->name && registry->path && reader->problems->errors == errors;
}

static bool has_own_name(struct fl_reader *reader, const struct fl_node *node,
	const struct fl_config *config, const struct fl_registry_config *registry)
{
	const struct fl_option *option = fl_option_find("registries.file.name");

	if (strcmp(registry->name, "inline") == 0)
		return fl_read_error(reader, option, node,
			"inline is the name of what stands in this file, expected another one");
	for (size_t i = 0; i < config->registry_count; i++)
		if (strcmp(config->registries[i].name, registry->name) == 0)
			return fl_read_error(reader, option, node,
				"%s is the name of the registry at %u:%u already, expected one of "
				"its own",
				registry->name, config->registries[i].line,
				config->registries[i].column);
	return true;
}

/* @param ret_used  false when the registry is one that is switched off */
static bool read_registry(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *item, const struct fl_config *config,
	struct fl_registry_config *registry, bool *ret_used)
{
	const struct fl_node *node = item->first;
	const struct fl_option *known;
	char key[64];

	*ret_used = false;
	if (item->kind != FL_NODE_MAP || item->count != 1)
		return fl_read_error(reader, option, item,
			"an item must be a mapping with one key, its type, expected file: { path: "
			"DIRECTORY }");
	if (strcmp(node->key, "file") == 0) {
		*ret_used = true;
		return read_file(reader, node, registry) &&
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
	config->registries = calloc(node->count + 1, sizeof(*config->registries));
	if (!config->registries)
		return fl_read_no_memory(reader);
	for (const struct fl_node *item = node->first; item; item = item->next) {
		struct fl_registry_config *registry = &config->registries[config->registry_count];
		bool used;

		if (!read_registry(reader, option, item, config, registry, &used))
			good = false;
		if (used && registry->name && registry->path)
			config->registry_count++;
		else
			fl_registry_config_done(registry);
	}
	return good;
}

/* One on a line, in print.c. */
static void print(const struct fl_option *option, const void *target, FILE *out)
{
	(void)option, (void)target, (void)out;
}

const struct fl_option_type fl_type_registries = { describe, read, print };
