/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/registry.h"

#include <errno.h>

#include "cli/commands.h"
#include "control/client.h"
#include "core/cleanup.h"

FL_COMMAND(registry_list)
{
	(void)arguments;
	return fl_command_get(cli, "/api/v1/registries", NULL, failure, ret);
}

FL_COMMAND(registry_accept)
{
	_cleanup_free_ char *name = fl_client_encode(arguments[0]);
	_cleanup_free_ char *path = NULL;

	if (!name || asprintf(&path, "/api/v1/registries/%s/accept", name) < 0) {
		path = NULL;
		return fl_fail(failure, -ENOMEM, "out of memory");
	}
	return fl_client_post(cli->socket, path, NULL, failure, ret);
}

const struct fl_column fl_registry_columns[] = {
	{ "NAME", "name", FL_COLUMN_TEXT },
	{ "TYPE", "type", FL_COLUMN_TEXT },
	{ "UP", "up", FL_COLUMN_TEXT },
	{ "AGE", "age", FL_COLUMN_DURATION },
	{ "SERVICES", "services", FL_COLUMN_NUMBER },
	{ "ENDPOINTS", "endpoints", FL_COLUMN_NUMBER },
	{ "HELD", "held.endpoints", FL_COLUMN_NUMBER },
	{ "REGISTERED", "registered.in_place", FL_COLUMN_NUMBER },
	{ "LAST ERROR", "last_error", FL_COLUMN_TEXT },
	{ NULL },
};

void fl_registry_problems_print(json_t *registries, FILE *out)
{
	json_t *registry;
	size_t i;

	json_array_foreach(registries, i, registry) {
		const char *name = json_string_value(json_object_get(registry, "name"));
		char title[160];

		snprintf(title, sizeof(title), "problems in registry %s", name ? name : "?");
		fl_list_print(json_object_get(registry, "problems"), title, out);
	}
}

static void print_held(json_t *registries, FILE *out)
{
	json_t *registry;
	size_t i;

	json_array_foreach(registries, i, registry) {
		const char *name = json_string_value(json_object_get(registry, "name"));
		const char *since = json_string_value(fl_json_at(registry, "held.since"));

		if (!json_is_object(json_object_get(registry, "held")))
			continue;
		fprintf(out,
			"\nHELD BACK in registry %s since %s: an answer that would remove "
			"%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
			" endpoints\n  if that is right: fairlead registry accept %s\n",
			name, since ? since : "?",
			json_integer_value(fl_json_at(registry, "held.endpoints")),
			json_integer_value(fl_json_at(registry, "held.of")), name);
	}
}

void fl_show_registries(json_t *value, FILE *out)
{
	if (!json_array_size(value))
		fputs("no registries\n", out);
	else
		fl_table_print(value, fl_registry_columns, 0, 0, out);
	print_held(value, out);
	fl_registry_problems_print(value, out);
}

void fl_show_accepted(json_t *value, FILE *out)
{
	fprintf(out,
		"accepted: registry %s declares %" JSON_INTEGER_FORMAT
		" services with %" JSON_INTEGER_FORMAT " endpoints now\n",
		json_string_value(json_object_get(value, "name")),
		json_integer_value(json_object_get(value, "services")),
		json_integer_value(json_object_get(value, "endpoints")));
}
