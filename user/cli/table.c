/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/text.h"
#include "core/vec.h"

#define GAP 2 /**< spaces between columns */

/** One cell: its lines, each ended by NUL. */
struct cell {
	char *lines;
	size_t count;
};

struct table {
	const struct fl_column *columns;
	size_t width; /**< columns */
	int *widths;
	FL_VEC(struct cell) cells; /**< row by row; the first are the titles */
};

json_t *fl_json_at(json_t *value, const char *path)
{
	while (value && *path) {
		size_t length = strcspn(path, ".");
		char key[64];

		if (length >= sizeof(key))
			return NULL;
		memcpy(key, path, length);
		key[length] = '\0';
		value = json_object_get(value, key);
		path += length + (path[length] == '.');
	}
	return value;
}

/* ------------------------------------------------------------------- cells */

/* Any value as one line of text. @return to be freed */
static char *plain_text(json_t *value)
{
	if (!value || json_is_null(value))
		return strdup("-");
	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (json_is_boolean(value))
		return strdup(json_is_true(value) ? "yes" : "no");
	return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

static char *since_text(json_t *value, uint64_t now_s)
{
	const char *text = json_string_value(value);
	struct tm tm = { 0 };
	char buffer[24];
	uint64_t then_s;

	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return strdup("-");
	then_s = (uint64_t)timegm(&tm);
	return strdup(fl_duration_format(now_s > then_s ? now_s - then_s : 0, buffer));
}

static char *duration_text(json_t *value)
{
	char buffer[24];

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return strdup("-");
	return strdup(fl_duration_format((uint64_t)json_integer_value(value), buffer));
}

static struct cell list_cell(json_t *value)
{
	struct fl_text text = { 0 };
	struct cell cell = { 0 };
	json_t *item;
	size_t i;

	json_array_foreach(value, i, item) {
		_cleanup_free_ char *line = plain_text(item);

		if (!line)
			continue;
		fl_text_put(&text, line, strlen(line) + 1);
		cell.count++;
	}
	cell.lines = text.data;
	return cell;
}

static struct cell make_cell(json_t *value, enum fl_column_kind kind, uint64_t now_s)
{
	char *text;

	if (kind == FL_COLUMN_LIST && json_array_size(value))
		return list_cell(value);
	if (kind == FL_COLUMN_LIST)
		text = strdup("-");
	else if (kind == FL_COLUMN_SINCE)
		text = since_text(value, now_s);
	else if (kind == FL_COLUMN_DURATION)
		text = duration_text(value);
	else
		text = plain_text(value);
	return (struct cell){ .lines = text, .count = text ? 1 : 0 };
}

/* The line of a cell, "" beyond its last. */
static const char *line_of(const struct cell *cell, size_t number)
{
	const char *line = cell->lines;

	if (number >= cell->count)
		return "";
	while (number--)
		line += strlen(line) + 1;
	return line;
}

/* ------------------------------------------------------------------- table */

static bool add_cell(struct table *table, size_t column, struct cell made)
{
	struct cell *cell = fl_vec_push(&table->cells);

	if (!cell) {
		free(made.lines);
		return false;
	}
	*cell = made;
	for (size_t i = 0; i < made.count; i++) {
		int width = fl_text_width(line_of(cell, i));

		if (width > table->widths[column])
			table->widths[column] = width;
	}
	return true;
}

static bool fill(struct table *table, json_t *rows, uint64_t now_s)
{
	json_t *row;
	size_t i;

	for (size_t c = 0; c < table->width; c++)
		if (!add_cell(table, c, (struct cell){ strdup(table->columns[c].title), 1 }))
			return false;
	json_array_foreach(rows, i, row)
		for (size_t c = 0; c < table->width; c++) {
			const struct fl_column *column = &table->columns[c];

			if (!add_cell(table, c,
				    make_cell(fl_json_at(row, column->path), column->kind, now_s)))
				return false;
		}
	return true;
}

static bool is_right(const struct fl_column *column)
{
	return column->kind != FL_COLUMN_TEXT && column->kind != FL_COLUMN_LIST;
}

/* One line of one row. Spaces are owed until something follows them. */
static void put_line(
	const struct table *table, const struct cell *row, size_t number, int indent, FILE *out)
{
	int owed = indent;

	for (size_t i = 0; i < table->width; i++) {
		const char *line = line_of(&row[i], number);
		int pad = table->widths[i] - fl_text_width(line);
		bool right = is_right(&table->columns[i]);

		if (*line) {
			fprintf(out, "%*s", owed + (right ? pad : 0), "");
			fl_text_show(line, out);
			owed = 0;
		} else {
			owed += right ? pad : 0;
		}
		owed += GAP + (right ? 0 : pad);
	}
	fputc('\n', out);
}

static void put_row(const struct table *table, const struct cell *row, int indent, FILE *out)
{
	size_t lines = 1;

	for (size_t i = 0; i < table->width; i++)
		lines = row[i].count > lines ? row[i].count : lines;
	for (size_t i = 0; i < lines; i++)
		put_line(table, row, i, indent, out);
}

void fl_table_print(
	json_t *rows, const struct fl_column *columns, uint64_t now_s, int indent, FILE *out)
{
	struct table table = { .columns = columns };

	while (columns[table.width].title)
		table.width++;
	table.widths = calloc(table.width + 1, sizeof(*table.widths));
	if (table.widths && fill(&table, rows, now_s))
		for (size_t i = 0; i < table.cells.count; i += table.width)
			put_row(&table, &table.cells.items[i], indent, out);
	else
		fputs("out of memory\n", out);
	for (size_t i = 0; i < table.cells.count; i++)
		free(table.cells.items[i].lines);
	fl_vec_done(&table.cells);
	free(table.widths);
}

void fl_list_print(json_t *list, const char *title, FILE *out)
{
	json_t *line;
	size_t i;

	if (!json_array_size(list))
		return;
	fprintf(out, "\n%s\n", title);
	json_array_foreach(list, i, line) {
		fputs("  ", out);
		fl_text_show(json_string_value(line), out);
		fputc('\n', out);
	}
}
