/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/catalog.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "core/json_pull.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void fl_consul_names_done(fl_consul_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	fl_vec_done(names);
}

bool fl_consul_names_has(const fl_consul_names *names, const char *name)
{
	return names->count &&
	       bsearch(&name, names->items, names->count, sizeof(*names->items), by_name);
}

static bool is_wanted(const struct fl_consul_config *config, const char *tag)
{
	for (size_t i = 0; i < config->tag_count; i++)
		if (strcmp(config->tags[i], tag) == 0)
			return true;
	return false;
}

/* The list of all tags that some instance has. @return whether one is wanted */
static bool read_tags(struct fl_pull *pull, const struct fl_consul_config *config)
{
	bool found = !config->tag_count;

	if (!fl_pull_enter(pull, FL_PULL_LIST))
		return found;
	while (fl_pull_item(pull)) {
		const char *tag = fl_pull_text(pull);

		found |= tag && is_wanted(config, tag);
	}
	return found;
}

static int take(const char *name, const struct fl_consul_config *config, bool has_tag,
	fl_consul_names *names)
{
	char **added;

	if (!*name || strlen(name) > FL_CONSUL_NAME_MAX || !has_tag ||
		(config->pattern && fnmatch(config->pattern, name, 0) != 0))
		return 0;
	added = fl_vec_push(names);
	if (!added)
		return -ENOMEM;
	*added = strdup(name);
	if (*added)
		return 0;
	names->count--;
	return -ENOMEM;
}

static bool has_twins(const fl_consul_names *names)
{
	for (size_t i = 1; i < names->count; i++)
		if (strcmp(names->items[i - 1], names->items[i]) == 0)
			return true;
	return false;
}

int fl_consul_catalog_parse(char *body, size_t length, const struct fl_consul_config *config,
	fl_consul_names *ret, char *why, size_t why_size)
{
	struct fl_pull pull;
	const char *name;
	size_t count = 0;
	int r = 0;

	*ret = (fl_consul_names){ 0 };
	fl_pull_open(&pull, body, length);
	if (fl_pull_peek(&pull) != FL_PULL_OBJECT)
		fl_pull_fail(&pull, "no object where one must be");
	if (fl_pull_enter(&pull, FL_PULL_OBJECT))
		while (r == 0 && (name = fl_pull_key(&pull))) {
			if (++count > FL_CONSUL_SERVICES_MAX)
				fl_pull_fail(&pull, "more services than can be");
			r = take(name, config, read_tags(&pull, config), ret);
		}
	if (r == 0)
		fl_pull_finish(&pull);
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_name);
	if (r == 0 && !pull.error && has_twins(ret))
		fl_pull_fail(&pull, "a key stands twice");
	if (r == 0 && !pull.error)
		return 0;
	fl_consul_names_done(ret);
	if (r == 0) {
		snprintf(why, why_size, "%s, at byte %zu", pull.error, pull.where);
		r = -EBADMSG;
	}
	return r;
}
