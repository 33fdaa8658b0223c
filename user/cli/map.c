/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/pins.h"
#include "cli/table.h"
#include "core/log.h"
#include "kernel/node_reader.h"
#include "kernel/reader.h"

/* Where there is a node path. @return 0, -ENOMEM */
static int add_node_maps(const struct fl_maps *maps, const char *bpffs, json_t *list)
{
	struct fl_failure none;
	struct fl_node_maps node;
	int r;

	if (fl_node_maps_open(&node, bpffs, &none) < 0)
		return 0;
	r = fl_node_read_map_list(maps, &node, list);
	fl_node_maps_close(&node);
	return r;
}

FL_COMMAND(map_list)
{
	char bpffs[FL_BPFFS_MAX];
	struct fl_maps maps;
	int r = fl_cli_open_maps(cli, &maps, bpffs, failure);

	(void)arguments;
	if (r < 0)
		return r;
	*ret = fl_read_map_list(&maps);
	r = *ret ? add_node_maps(&maps, bpffs, *ret) : -ENOMEM;
	fl_maps_close(&maps);
	if (r == 0)
		return 0;
	json_decref(*ret);
	*ret = NULL;
	return fl_fail(failure, r, "out of memory");
}

void fl_show_maps(json_t *value, FILE *out)
{
	static const struct fl_column columns[] = {
		{ "NAME", "name", FL_COLUMN_TEXT },
		{ "TYPE", "type", FL_COLUMN_TEXT },
		{ "ENTRIES", "entries", FL_COLUMN_NUMBER },
		{ "MAX", "max_entries", FL_COLUMN_NUMBER },
		{ NULL },
	};

	fl_table_print(value, columns, 0, 0, out);
}

/* A value in one line: an object as "a=1 b={c=2}", a list as "1,2". */
static void put_value(json_t *value, bool inner, FILE *out)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_object(value)) {
		const char *space = inner ? "{" : "";

		json_object_foreach(value, key, item) {
			fprintf(out, "%s%s=", space, key);
			put_value(item, true, out);
			space = " ";
		}
		fputs(inner ? "}" : "", out);
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, item) {
			fputs(i ? "," : "", out);
			put_value(item, true, out);
		}
	} else if (json_is_string(value)) {
		fl_text_show(json_string_value(value), out);
	} else {
		json_dumpf(value, out, JSON_COMPACT | JSON_ENCODE_ANY);
	}
}

/* ------------------------------------------------------------------- dump */

struct dump {
	const struct fl_cli *cli;
	FILE *out;
	size_t rows;
};

/* A row, as a line or as an element of a list that is being written. */
static int put_row(void *context, json_t *row)
{
	struct dump *dump = context;

	if (dump->cli->json) {
		fputs(dump->rows ? (dump->cli->pretty ? ",\n" : ",") : "[", dump->out);
		fl_cli_print_json(dump->cli, row, dump->out);
	} else {
		put_value(json_object_get(row, "key"), false, dump->out);
		fputs("  ", dump->out);
		put_value(json_object_get(row, "value"), false, dump->out);
		fputc('\n', dump->out);
	}
	dump->rows++;
	json_decref(row);
	return ferror(dump->out) ? -EIO : 0;
}

static void end_dump(const struct dump *dump)
{
	if (dump->cli->json)
		fputs(dump->rows ? "]\n" : "[]\n", dump->out);
	else if (!dump->rows)
		fputs("no rows in use\n", dump->out);
}

/* @return -ENOENT too where there is no node path */
static int dump_node_map(
	const struct fl_maps *maps, const char *bpffs, const char *name, struct dump *dump)
{
	struct fl_failure none;
	struct fl_node_maps node;
	int r = fl_node_maps_open(&node, bpffs, &none);

	if (r < 0)
		return r;
	r = fl_node_read_map_rows(maps, &node, name, put_row, dump);
	fl_node_maps_close(&node);
	return r;
}

/* A million slots would take a gigabyte as one value: each row is printed as it
 * comes. */
FL_COMMAND(map_dump)
{
	struct dump dump = { .cli = cli, .out = stdout };
	char bpffs[FL_BPFFS_MAX];
	struct fl_maps maps;
	int r = fl_cli_open_maps(cli, &maps, bpffs, failure);

	(void)ret;
	if (r < 0)
		return r;
	r = fl_read_map_rows(&maps, arguments[0], put_row, &dump);
	if (r == -ENOENT && !dump.rows)
		r = dump_node_map(&maps, bpffs, arguments[0], &dump);
	fl_maps_close(&maps);
	if (r == -ENOENT && !dump.rows) {
		fl_fail(failure, r, "no map is called \"%s\"", arguments[0]);
		fl_fail_hint(failure, "see: fairlead map list");
	} else if (r < 0) {
		fl_fail(failure, r, "cannot read the map %s: %s", arguments[0], fl_log_errno(r));
	} else {
		end_dump(&dump);
	}
	return r;
}
