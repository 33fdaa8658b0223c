/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdbool.h>

#include "cli/commands.h"
#include "cli/pins.h"
#include "cli/registry.h"
#include "cli/table.h"
#include "core/clock.h"

/* No agent answers: what is pinned says what goes on without one. */
static void look_at_pins(const struct fl_cli *cli, struct fl_failure *failure)
{
	uint64_t now_s = fl_clock_real_ms() / 1000, at_s;
	struct fl_failure ignored = { 0 };
	char bpffs[FL_BPFFS_MAX];
	struct fl_maps maps;

	if (fl_cli_open_maps(cli, &maps, bpffs, &ignored) < 0)
		return;
	at_s = maps.meta ? maps.meta->applied_at : 0;
	if (at_s)
		fl_fail_hint(failure,
			"what is pinned below %.200s goes on forwarding: generation %llu, applied "
			"%llu seconds ago",
			bpffs, (unsigned long long)maps.meta->generation,
			(unsigned long long)(now_s > at_s ? now_s - at_s : 0));
	fl_maps_close(&maps);
}

FL_COMMAND(status)
{
	int r = fl_command_get(cli, "/api/v1/status", NULL, failure, ret);

	(void)arguments;
	if (r == -ECONNREFUSED)
		look_at_pins(cli, failure);
	return r;
}

/* "config      /etc/fairlead/fairlead.yaml", unless it is null. */
static void put_field(const char *name, json_t *value, FILE *out)
{
	const char *text = json_string_value(value);

	if (!text)
		return;
	fprintf(out, "%-14s", name);
	fl_text_show(text, out);
	fputc('\n', out);
}

/* --------------------------------------------------------------------- status */

static void put_head(json_t *value, FILE *out)
{
	static const struct fl_column columns[] = {
		{ "NODE", "node", FL_COLUMN_TEXT },
		{ "VERSION", "version", FL_COLUMN_TEXT },
		{ "READY", "ready", FL_COLUMN_TEXT },
		{ "UP FOR", "uptime", FL_COLUMN_DURATION },
		{ "GENERATION", "generation", FL_COLUMN_NUMBER },
		{ "APPLIED AGO", "applied", FL_COLUMN_SINCE },
		{ NULL },
	};
	json_t *node_path = json_object_get(value, "node_path");
	json_t *rows = json_pack("[O]", value);

	fl_table_print(rows, columns, fl_clock_real_ms() / 1000, 0, out);
	json_decref(rows);
	fputc('\n', out);
	put_field("not ready", json_object_get(value, "not_ready"), out);
	put_field("last error", json_object_get(value, "last_error"), out);
	put_field("config", json_object_get(value, "config"), out);
	put_field("bpffs", json_object_get(value, "bpffs"), out);
	put_field(
		json_is_true(json_object_get(node_path, "enabled")) ? "node path" : "no node path",
		json_object_get(node_path,
			json_is_true(json_object_get(node_path, "enabled")) ? "cgroup" : "reason"),
		out);
}

static void put_table(json_t *rows, const char *title, const struct fl_column *columns, FILE *out)
{
	if (!json_array_size(rows))
		return;
	fprintf(out, "\n%s\n", title);
	fl_table_print(rows, columns, fl_clock_real_ms() / 1000, 2, out);
}

static void put_neighbours(json_t *node_path, FILE *out)
{
	static const struct fl_column columns[] = {
		{ "HOOK", "hook", FL_COLUMN_TEXT },
		{ "PROGRAM", "program", FL_COLUMN_TEXT },
		{ "ID", "id", FL_COLUMN_NUMBER },
		{ "RUNS", "runs", FL_COLUMN_TEXT },
		{ "CGROUP", "cgroup", FL_COLUMN_TEXT },
		{ NULL },
	};

	put_table(json_object_get(node_path, "neighbours"),
		"programs of others beside the node path's", columns, out);
}

/* Limits stand as { name: { used, limit } }: rows of a table. */
static void put_limits(json_t *limits, FILE *out)
{
	static const struct fl_column columns[] = {
		{ "LIMIT", "name", FL_COLUMN_TEXT },
		{ "USED", "used", FL_COLUMN_NUMBER },
		{ "OF", "limit", FL_COLUMN_NUMBER },
		{ NULL },
	};
	json_t *rows = json_array();
	const char *name;
	json_t *limit;

	json_object_foreach(limits, name, limit)
		json_array_append_new(rows, json_pack("{s:s,s:O*,s:O*}", "name", name, "used",
						    json_object_get(limit, "used"), "limit",
						    json_object_get(limit, "limit")));
	put_table(rows, "limits", columns, out);
	json_decref(rows);
}

/* Slots and pins stand as two objects: one row of a table. */
static void put_slots(json_t *slots, json_t *pins, FILE *out)
{
	static const struct fl_column columns[] = {
		{ "SETTLED", "settled", FL_COLUMN_NUMBER },
		{ "MOVING", "moving", FL_COLUMN_NUMBER },
		{ "HELD", "held", FL_COLUMN_NUMBER },
		{ "POSTPONED", "postponed", FL_COLUMN_NUMBER },
		{ "PINS REFUSED", "refused", FL_COLUMN_NUMBER },
		{ "PRESSURE", "pressure", FL_COLUMN_TEXT },
		{ NULL },
	};
	json_t *row = json_is_object(slots) ? json_copy(slots) : NULL;
	json_t *rows;

	if (!row)
		return;
	if (json_is_object(pins))
		json_object_update(row, pins);
	rows = json_pack("[o]", row);
	put_table(rows, "slots", columns, out);
	json_decref(rows);
}

void fl_show_status(json_t *value, FILE *out)
{
	static const struct fl_column interface_columns[] = {
		{ "NAME", "name", FL_COLUMN_TEXT },
		{ "PATH", "path", FL_COLUMN_TEXT },
		{ "MODE", "mode", FL_COLUMN_TEXT },
		{ "REASON", "reason", FL_COLUMN_TEXT },
		{ NULL },
	};

	put_head(value, out);
	put_table(json_object_get(value, "interfaces"), "interfaces", interface_columns, out);
	put_neighbours(json_object_get(value, "node_path"), out);
	put_table(json_object_get(value, "registries"), "registries", fl_registry_columns, out);
	put_limits(json_object_get(value, "limits"), out);
	put_slots(json_object_get(value, "slots"), json_object_get(value, "pins"), out);
	fl_registry_problems_print(json_object_get(value, "registries"), out);
	fl_list_print(json_object_get(value, "conflicts"), "conflicts", out);
	fl_list_print(json_object_get(value, "warnings"), "warnings", out);
}
