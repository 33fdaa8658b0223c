/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/services.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/option.h"
#include "core/cleanup.h"

/* Only `services:` may stand in such a file, and it must: a file that somebody
 * has begun to write is no word that all its services shall go. */
static const struct fl_node *find_list(struct fl_reader *reader, const struct fl_node *root)
{
	struct fl_place place = { reader->file, root ? root->line : 1, root ? root->column : 1 };
	const struct fl_node *list = NULL;
	char shown[FL_NODE_TEXT];

	if (root && root->kind != FL_NODE_MAP) {
		fl_problem_add(reader->problems, place,
			"services: %s does not fit, expected services: [...]",
			fl_node_show(root, shown));
		return NULL;
	}
	for (const struct fl_node *node = root ? root->first : NULL; node; node = node->next) {
		struct fl_node key = { .kind = FL_NODE_SCALAR, .text = node->key };

		if (strcmp(node->key, "services") == 0)
			list = node;
		else
			fl_problem_add(reader->problems,
				(struct fl_place){ reader->file, node->key_line, node->key_column },
				"%s: unknown key, expected services and no other in this file",
				fl_node_show(&key, shown));
	}
	if (!list)
		fl_problem_add(reader->problems, place,
			"services: missing, must be given (services: [] = none)");
	return list;
}

int fl_services_read(struct fl_reader *reader, const struct fl_node *root, fl_service_vec *ret)
{
	const struct fl_option *option = fl_option_find("services");
	const struct fl_node *list = find_list(reader, root);
	size_t errors = reader->problems->errors;
	struct fl_config config = { 0 };

	if (!list)
		return -EINVAL;
	option->type->read(reader, option, list, &config);
	ret->items = config.services;
	ret->count = ret->room = config.service_count;
	if (reader->no_memory) {
		fl_services_done(ret);
		return -ENOMEM;
	}
	return reader->problems->errors == errors ? 0 : -EINVAL;
}

static int parse(struct fl_reader *reader, const char *text, size_t length, fl_service_vec *ret)
{
	struct fl_problems *problems = reader->problems;
	size_t errors = problems->errors;
	fl_service_vec services = { 0 };
	struct fl_yaml yaml = { 0 };
	int r = fl_yaml_parse(text, length, reader->file, problems, &yaml);

	if (r == 0)
		r = fl_services_read(reader, yaml.root, &services);
	fl_yaml_done(&yaml);
	if (r == -ENOMEM)
		return r;
	*ret = services;
	return problems->errors == errors ? 0 : -EINVAL;
}

int fl_services_parse(const char *text, size_t length, const char *name, const char *registry,
	struct fl_problems *problems, fl_service_vec *ret)
{
	struct fl_reader reader = { .file = name, .problems = problems, .registry = registry };

	return parse(&reader, text, length, ret);
}

int fl_services_parse_kept(const char *text, size_t length, const char *name, const char *registry,
	struct fl_problems *problems, fl_service_vec *ret)
{
	struct fl_reader reader = {
		.file = name,
		.problems = problems,
		.registry = registry,
		.remote = true,
		.varies = true,
	};

	return parse(&reader, text, length, ret);
}

int fl_services_load(
	const char *file, const char *registry, struct fl_problems *problems, fl_service_vec *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	int r = fl_yaml_read_file(file, problems, &text, &length);

	if (r < 0) {
		*ret = (fl_service_vec){ 0 };
		return r;
	}
	return fl_services_parse(text, length, file, registry, problems, ret);
}

/* Add what stands elsewhere. @param more  lives as long as the answer is used */
static struct fl_node complete(const struct fl_node *map, const char *name, struct fl_node more[2])
{
	struct fl_node whole = *map;

	more[0] = (struct fl_node){ .kind = FL_NODE_SCALAR,
		.line = map->line,
		.column = map->column,
		.text = name,
		.key = "name",
		.key_line = map->line,
		.key_column = map->column };
	more[1] = more[0];
	more[1].kind = FL_NODE_LIST;
	more[1].key = "endpoints";
	if (fl_node_is_null(map))
		whole.kind = FL_NODE_MAP; /* of nothing */
	if (whole.kind != FL_NODE_MAP)
		return whole;
	for (int i = 0; i < 2; i++) {
		if (fl_node_get(&whole, more[i].key))
			continue;
		more[i].next = whole.first;
		whole.first = &more[i];
		whole.count++;
	}
	return whole;
}

int fl_service_begin(const struct fl_node *map, const char *name, const char *file,
	const char *registry, struct fl_problems *problems, struct fl_service **ret)
{
	struct fl_reader reader = {
		.file = file, .problems = problems, .registry = registry, .remote = true
	};
	struct fl_node more[2];
	struct fl_node whole = complete(map, name, more);
	const struct fl_node *own = map->kind == FL_NODE_MAP ? fl_node_get(map, "name") : NULL;
	struct fl_service *service = fl_read_service(&reader, &whole);

	if (service && own && !service->incomplete && strcmp(service->name, name) != 0) {
		fl_read_error(&reader, fl_option_find("services.name"), own,
			"is %s here, expected %s or none: the place names it", service->name, name);
		service->incomplete = true;
	}
	if (service && !service->incomplete && map->kind == FL_NODE_MAP) {
		*ret = service;
		return 0;
	}
	fl_service_unref(service);
	return reader.no_memory ? -ENOMEM : -EINVAL;
}

void fl_services_done(fl_service_vec *services)
{
	for (size_t i = 0; i < services->count; i++)
		fl_service_unref(services->items[i]);
	fl_vec_done(services);
}
