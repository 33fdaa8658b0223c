/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "cli/commands.h"
#include "cli/table.h"
#include "core/clock.h"

FL_COMMAND(service_list)
{
	(void)arguments;
	return fl_command_get(cli, "/api/v1/services", NULL, failure, ret);
}

FL_COMMAND(service_show)
{
	return fl_command_get(cli, "/api/v1/services/", arguments[0], failure, ret);
}

FL_COMMAND(endpoint_list)
{
	return fl_command_get(cli, "/api/v1/endpoints?service=", arguments[0], failure, ret);
}

void fl_show_services(json_t *value, FILE *out)
{
	static const struct fl_column columns[] = {
		{ "NAME", "name", FL_COLUMN_TEXT },
		{ "FRONTENDS", "frontends", FL_COLUMN_LIST },
		{ "FORWARD", "forward", FL_COLUMN_TEXT },
		{ "UP", "endpoints.up", FL_COLUMN_NUMBER },
		{ "ENDPOINTS", "endpoints.total", FL_COLUMN_NUMBER },
		{ "SLOTS", "slots.size", FL_COLUMN_NUMBER },
		{ "MOVING", "slots.moving", FL_COLUMN_NUMBER },
		{ "REGISTRY", "registry", FL_COLUMN_TEXT },
		{ NULL },
	};

	if (json_array_size(value))
		fl_table_print(value, columns, 0, 0, out);
	else
		fputs("no services\n", out);
}

static const struct fl_column endpoint_columns[] = {
	{ "SERVICE", "service", FL_COLUMN_TEXT },
	{ "ADDRESS", "address", FL_COLUMN_TEXT },
	{ "WEIGHT", "weight", FL_COLUMN_NUMBER },
	{ "STATE", "state", FL_COLUMN_TEXT },
	{ "FOR", "since", FL_COLUMN_SINCE },
	{ "CONNECTIONS", "connections", FL_COLUMN_NUMBER },
	{ "ZONE", "zone", FL_COLUMN_TEXT },
	{ "REASON", "reason", FL_COLUMN_TEXT },
	{ NULL },
};

static void put_endpoints(json_t *value, const struct fl_column *columns, FILE *out)
{
	if (json_array_size(value))
		fl_table_print(value, columns, fl_clock_real_ms() / 1000, 0, out);
	else
		fputs("no endpoints\n", out);
}

void fl_show_endpoints(json_t *value, FILE *out)
{
	put_endpoints(value, endpoint_columns, out);
}

static void put_field(const char *name, json_t *value, FILE *out)
{
	const char *text = json_string_value(value);

	fprintf(out, "%-11s", name);
	fl_text_show(text ? text : "-", out);
	fputc('\n', out);
}

static long long number_at(json_t *value, const char *path)
{
	return (long long)json_integer_value(fl_json_at(value, path));
}

/* What is off is not shown. */
static void put_choice(json_t *choice, FILE *out)
{
	const char *key = json_string_value(json_object_get(choice, "key"));
	const char *locality = json_string_value(json_object_get(choice, "locality"));

	if (key && strcmp(key, "random") != 0)
		put_field("key", json_object_get(choice, "key"), out);
	if (number_at(choice, "affinity"))
		fprintf(out, "%-11s%lld s\n", "affinity", number_at(choice, "affinity"));
	if (!locality || strcmp(locality, "off") == 0)
		return;
	fprintf(out, "%-11s%s", "locality", locality);
	if (number_at(choice, "spill"))
		fprintf(out, ", spill %lld %%", number_at(choice, "spill"));
	fputc('\n', out);
}

void fl_show_service(json_t *value, FILE *out)
{
	json_t *frontend;
	size_t i;

	put_field("service", json_object_get(value, "name"), out);
	json_array_foreach(json_object_get(value, "frontends"), i, frontend)
		put_field(i ? "" : "frontends", frontend, out);
	put_field("forward", json_object_get(value, "forward"), out);
	put_field("balance", json_object_get(value, "balance"), out);
	put_choice(json_object_get(value, "choice"), out);
	put_field("registry", json_object_get(value, "registry"), out);
	fprintf(out, "%-11s%lld, %lld moving, %lld held\n\n", "slots",
		number_at(value, "slots.size"), number_at(value, "slots.moving"),
		number_at(value, "slots.held"));
	put_endpoints(json_object_get(value, "endpoints"), endpoint_columns + 1, out);
}
