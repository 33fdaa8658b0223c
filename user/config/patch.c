/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The definition is printed as a registry would keep it, read as a tree, changed there, and
 * read as a service again: so every rule of the schema holds for the outcome, and
 * this file knows no key but three.
 */
#include "config/patch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/option.h"
#include "core/cleanup.h"

/* -------------------------------------------------------------------- trees */

/* The link to a key's value, or to the end of the mapping. */
static struct fl_node **find_link(struct fl_node *map, const char *key)
{
	struct fl_node **link = &map->first;

	while (*link && strcmp((*link)->key, key) != 0)
		link = &(*link)->next;
	return link;
}

static void remove_at(struct fl_node *map, struct fl_node **link)
{
	*link = (*link)->next;
	map->count--;
}

/* Put a value where a key is or will be. */
static void put_at(struct fl_node *map, struct fl_node **link, struct fl_node *value)
{
	map->count += !*link;
	value->next = *link ? (*link)->next : NULL;
	*link = value;
}

/* RFC 7396, section 2. Takes the nodes of the patch into the target. As deep as the reader
 * of YAML allows. */
static void merge(struct fl_node *target, struct fl_node *patch)
{
	struct fl_node *next;

	for (struct fl_node *entry = patch; entry; entry = next) {
		struct fl_node **link = find_link(target, entry->key);

		next = entry->next;
		if (fl_node_is_null(entry)) {
			if (*link)
				remove_at(target, link);
		} else if (entry->kind == FL_NODE_MAP && *link && (*link)->kind == FL_NODE_MAP) {
			merge(*link, entry->first);
		} else if (entry->kind == FL_NODE_MAP) {
			struct fl_node *inside = entry->first;

			entry->first = NULL;
			entry->count = 0;
			put_at(target, link, entry);
			merge(entry, inside);
		} else {
			put_at(target, link, entry);
		}
	}
}

/* --------------------------------------------------------------- definitions */

/* A definition being changed. */
struct work {
	struct fl_yaml yaml;
	struct fl_yaml patch;
	struct fl_node *service; /* in `yaml` */
	struct fl_node *changes; /* in `patch`: what is in its mapping */
};

static void work_done(struct work *work)
{
	fl_yaml_done(&work->yaml);
	fl_yaml_done(&work->patch);
}

static int print(const struct fl_service *old, const char *name, FILE *out)
{
	fputs("services:\n", out);
	if (old)
		return fl_service_print(old, out);
	fputs("  - name: ", out);
	fl_print_text(name, out);
	fputs("\n    endpoints: []\n", out);
	return 0;
}

static int open_definition(const struct fl_service *old, const char *name,
	const struct fl_patch *patch, struct fl_problems *problems, struct work *work)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);
	int r = memory ? print(old, name, memory) : -ENOMEM;

	if (memory && fclose(memory) != 0)
		r = -ENOMEM;
	if (r == 0)
		r = fl_yaml_parse(text, length, patch->registry, problems, &work->yaml);
	if (r == 0)
		work->service = work->yaml.root->first->first;
	return r;
}

static int open_patch(const struct fl_patch *patch, struct fl_problems *problems, struct work *work)
{
	const struct fl_node *root;
	char shown[FL_NODE_TEXT];
	int r = 0;

	if (patch->text)
		r = fl_yaml_parse(
			patch->text, patch->length, patch->registry, problems, &work->patch);
	root = work->patch.root;
	if (r < 0 || !root || fl_node_is_null(root))
		return r;
	if (root->kind == FL_NODE_MAP) {
		work->changes = root->first;
		return 0;
	}
	fl_problem_add(problems, (struct fl_place){ patch->registry, 0, 0 },
		"%s does not fit, expected a mapping of keys and values",
		fl_node_show(root, shown));
	return -EINVAL;
}

static int open_work(const struct fl_service *old, const char *name, const struct fl_patch *patch,
	struct fl_problems *problems, struct work *work)
{
	size_t errors = problems->errors;
	int r = open_definition(old, name, patch, problems, work);

	if (r == 0)
		r = open_patch(patch, problems, work);
	return r == 0 && problems->errors != errors ? -EINVAL : r;
}

/* Lines of a text that nobody keeps tell nothing. */
static void forget_places(struct fl_service *service)
{
	service->line = service->column = 0;
	for (size_t i = 0; i < service->frontend_count; i++)
		service->frontends[i].line = service->frontends[i].column = 0;
	for (size_t i = 0; i < service->endpoint_count; i++)
		service->endpoints[i].line = service->endpoints[i].column = 0;
}

static int read_back(const struct work *work, const struct fl_patch *patch,
	struct fl_problems *problems, struct fl_service **ret)
{
	struct fl_reader reader = {
		.file = patch->registry,
		.problems = problems,
		.registry = patch->registry,
		.remote = true,
		.varies = true,
	};
	fl_service_vec services = { 0 };
	int r = fl_services_read(&reader, work->yaml.root, &services);

	if (r == 0) {
		*ret = fl_service_ref(services.items[0]);
		forget_places(*ret);
	}
	fl_services_done(&services);
	return r;
}

int fl_service_patch(const struct fl_service *old, const char *name, const struct fl_patch *patch,
	struct fl_problems *problems, struct fl_service **ret)
{
	struct work work = { 0 };
	int r = open_work(old, name, patch, problems, &work);

	for (struct fl_node *entry = work.changes; entry && r == 0; entry = entry->next)
		if (strcmp(entry->key, "name") == 0) {
			fl_problem_add(problems, (struct fl_place){ patch->registry, 0, 0 },
				"services.name: is given beside the keys already, and a service "
				"keeps its name");
			r = -EINVAL;
		}
	if (r == 0) {
		merge(work.service, work.changes);
		r = read_back(&work, patch, problems, ret);
	}
	work_done(&work);
	return r;
}

/* ----------------------------------------------------------------- endpoints */

static bool is_same_address(const char *a, const char *b)
{
	struct fl_ip addr, other;
	uint16_t port, other_port;

	return fl_socket_parse(a, false, &addr, &port) == 0 &&
	       fl_socket_parse(b, false, &other, &other_port) == 0 && port == other_port &&
	       fl_ip_equal(&addr, &other);
}

/* The link to the endpoint's mapping, or to the end of the list. */
static struct fl_node **find_endpoint(struct fl_node *list, const char *address)
{
	struct fl_node **link = &list->first;

	while (*link && !is_same_address(fl_node_get(*link, "address")->text, address))
		link = &(*link)->next;
	return link;
}

int fl_endpoint_patch(const struct fl_service *old, const char *address,
	const struct fl_patch *patch, struct fl_problems *problems, struct fl_service **ret)
{
	struct fl_node own = { .kind = FL_NODE_SCALAR, .text = address, .key = "address" };
	struct fl_node fresh = { .kind = FL_NODE_MAP, .first = &own, .count = 1 };
	struct work work = { 0 };
	int r = open_work(old, old->name, patch, problems, &work);

	if (r == 0) {
		struct fl_node *list = *find_link(work.service, "endpoints");
		struct fl_node **link = find_endpoint(list, address);

		if (!*link) {
			*link = &fresh;
			list->count++;
		}
		merge(*link, work.changes);
		r = read_back(&work, patch, problems, ret);
	}
	work_done(&work);
	return r;
}

int fl_endpoint_drop(const struct fl_service *old, const char *address,
	const struct fl_patch *patch, struct fl_problems *problems, struct fl_service **ret)
{
	const struct fl_patch nothing = { .registry = patch->registry };
	struct work work = { 0 };
	int r = open_work(old, old->name, &nothing, problems, &work);

	if (r == 0) {
		struct fl_node *list = *find_link(work.service, "endpoints");
		struct fl_node **link = find_endpoint(list, address);

		if (*link)
			remove_at(list, link);
		r = read_back(&work, patch, problems, ret);
	}
	work_done(&work);
	return r;
}
