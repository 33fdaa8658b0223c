/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Walks a tree by the rows of options.c.
 */
#include "config/option.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/vec.h"

#define KEY_TEXT 96

/* One struct that is being filled: a list's item, or the configuration. */
struct scope {
	enum fl_option_of of;
	void *target;
	unsigned line, column; /* of the mapping */
	bool *seen;            /* by row */
};

/* ------------------------------------------------------------------ errors */

static struct fl_place place_of(const struct fl_reader *reader, const struct fl_node *node)
{
	return (struct fl_place){ reader->file, node->line, node->column };
}

static void describe(const struct fl_option *option, char *buffer, size_t size)
{
	FILE *out = fmemopen(buffer, size, "w");

	buffer[0] = '\0';
	if (!out)
		return;
	option->type->describe(option, out);
	fclose(out);
}

bool fl_read_refuse(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, const char *why)
{
	char shown[FL_NODE_TEXT];
	char expected[160];

	if (node->broken)
		return false;
	describe(option, expected, sizeof(expected));
	if (fl_node_is_null(node))
		fl_problem_add(reader->problems, place_of(reader, node),
			"%s: no value, expected %s", option->key, expected);
	else
		fl_problem_add(reader->problems, place_of(reader, node), "%s: %s %s, expected %s",
			option->key, fl_node_show(node, shown), why, expected);
	return false;
}

bool fl_read_error(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, const char *format, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list arguments;
	int length;

	if (node->broken)
		return false;
	va_start(arguments, format);
	length = vasprintf(&message, format, arguments);
	va_end(arguments);
	if (length < 0) {
		message = NULL;
		return fl_read_no_memory(reader);
	}
	fl_problem_add(reader->problems, place_of(reader, node), "%s: %s", option->key, message);
	return false;
}

bool fl_read_no_memory(struct fl_reader *reader)
{
	reader->no_memory = true;
	return false;
}

bool fl_read_is_text(
	struct fl_reader *reader, const struct fl_option *option, const struct fl_node *node)
{
	if (node->kind != FL_NODE_SCALAR || fl_node_is_null(node))
		return fl_read_refuse(reader, option, node, "does not fit");
	return !node->broken;
}

bool fl_read_is_list(
	struct fl_reader *reader, const struct fl_option *option, const struct fl_node *node)
{
	if (node->kind == FL_NODE_LIST)
		return true;
	if (fl_node_is_null(node))
		return fl_read_error(reader, option, node, "no value, expected a list ([] = none)");
	return fl_read_refuse(reader, option, node, "is no list");
}

bool fl_node_is_off(const struct fl_node *node)
{
	const struct fl_node *enabled;

	if (node->kind == FL_NODE_SCALAR)
		return node->plain &&
		       (strcmp(node->text, "off") == 0 || strcmp(node->text, "false") == 0);
	enabled = node->kind == FL_NODE_MAP ? fl_node_get(node, "enabled") : NULL;
	return enabled && enabled->kind == FL_NODE_SCALAR && fl_node_is_off(enabled);
}

/* ----------------------------------------------------------------- origins */

static int by_target(const void *a, const void *b)
{
	const struct fl_option_origin *x = a;
	const struct fl_option_origin *y = b;

	if (x->target != y->target)
		return (uintptr_t)x->target < (uintptr_t)y->target ? -1 : 1;
	return x->option < y->option ? -1 : x->option > y->option;
}

void fl_origins_sort(struct fl_origins *origins)
{
	if (origins->count)
		qsort(origins->items, origins->count, sizeof(*origins->items), by_target);
}

const struct fl_option_origin *fl_origins_find(
	const struct fl_origins *origins, const struct fl_option *option, const void *target)
{
	struct fl_option_origin key = { .option = option, .target = target };

	if (!origins || !origins->count)
		return NULL;
	return bsearch(&key, origins->items, origins->count, sizeof(key), by_target);
}

static void remember(struct fl_reader *reader, const struct fl_option *option, const void *target,
	const struct fl_node *node)
{
	struct fl_option_origin *origin;

	if (!reader->origins)
		return;
	origin = fl_vec_push(reader->origins);
	if (!origin) {
		fl_read_no_memory(reader);
		return;
	}
	*origin = (struct fl_option_origin){ option, target, node->line, node->column };
}

/* ------------------------------------------------------------ unknown keys */

/* What follows `prefix.` in the row's key, or NULL when it is elsewhere. */
static const char *rest_of(const struct fl_option *option, const char *prefix)
{
	size_t length = strlen(prefix);

	if (!length)
		return option->key;
	if (strncmp(option->key, prefix, length) != 0 || option->key[length] != '.')
		return NULL;
	return option->key + length + 1;
}

/* Edit distance with swaps of neighbours (Damerau, "optimal string alignment"),
 * of words shorter than KEY_TEXT. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t rows[3][KEY_TEXT + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_length; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *oldest = before;

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
		before = last;
		last = row;
		row = oldest;
	}
	return last[b_length];
}

/* The key that was meant: one of the same mapping that is spelled nearly so, or
 * one of this struct that ends with that very word. */
static bool find_meant(
	const struct scope *scope, const char *prefix, const char *key, char meant[KEY_TEXT])
{
	size_t length = strlen(key);
	size_t nearest = length < 3 ? 2 : length < 8 ? 3 : 4; /* less than this is near */
	bool found = false;

	if (length >= KEY_TEXT)
		return false;
	for (const struct fl_option *option = fl_options; option->key; option++) {
		const char *rest = option->of == scope->of ? rest_of(option, prefix) : NULL;
		size_t rest_length = rest ? strcspn(rest, ".") : 0;
		size_t d = rest ? distance(key, length, rest, rest_length) : nearest;

		if (d < nearest) {
			snprintf(meant, KEY_TEXT, "%.*s", (int)rest_length, rest);
			nearest = d;
			found = true;
		}
	}
	for (const struct fl_option *option = fl_options; option->key && !found; option++) {
		const char *dot = strrchr(option->key, '.');

		found = option->of == scope->of && dot && strcmp(dot + 1, key) == 0;
		if (found)
			snprintf(meant, KEY_TEXT, "%s", option->key);
	}
	return found;
}

/* "a, b or c": the keys that the mapping may have. */
static void list_keys(const struct scope *scope, const char *prefix, FILE *out)
{
	const char *last = "";
	size_t last_length = 0;

	for (const struct fl_option *option = fl_options; option->key; option++) {
		const char *rest = option->of == scope->of ? rest_of(option, prefix) : NULL;
		size_t length = rest ? strcspn(rest, ".") : 0;

		if (!rest || (length == last_length && strncmp(rest, last, length) == 0))
			continue;
		fprintf(out, "%s%.*s", last_length ? ", " : "", (int)length, rest);
		last = rest;
		last_length = length;
	}
}

static void refuse_unknown(struct fl_reader *reader, const struct scope *scope, const char *prefix,
	const struct fl_node *node)
{
	struct fl_node key = { .kind = FL_NODE_SCALAR, .text = node->key };
	struct fl_place place = { reader->file, node->key_line, node->key_column };
	char shown[FL_NODE_TEXT];
	char meant[KEY_TEXT];
	char keys[512] = "";
	FILE *out;

	fl_node_show(&key, shown);
	if (find_meant(scope, prefix, node->key, meant)) {
		fl_problem_add(reader->problems, place, "%s%s%s: unknown key, expected %s?", prefix,
			*prefix ? "." : "", shown, meant);
		return;
	}
	out = fmemopen(keys, sizeof(keys), "w");
	if (out) {
		list_keys(scope, prefix, out);
		fclose(out);
	}
	fl_problem_add(reader->problems, place, "%s%s%s: unknown key, expected one of %s", prefix,
		*prefix ? "." : "", shown, keys);
}

/* -------------------------------------------------------------------- walk */

static void read_option(struct fl_reader *reader, const struct scope *scope,
	const struct fl_option *option, const struct fl_node *node, bool section_is_off)
{
	scope->seen[option - fl_options] = true;
	if (!option->unsupported) {
		remember(reader, option, scope->target, node);
		option->type->read(reader, option, node, scope->target);
	} else if (!section_is_off && !fl_node_is_off(node) && !node->broken) {
		fl_problem_add(reader->problems,
			(struct fl_place){ reader->file, node->key_line, node->key_column },
			"%s: known, not supported by this version, expected it to be absent or off",
			option->key);
	}
}

static void read_section(struct fl_reader *reader, const struct scope *scope, const char *prefix,
	const struct fl_node *map);

/* A key is an option's, or begins the keys of a section, or is unknown. */
static void read_entry(struct fl_reader *reader, const struct scope *scope, const char *prefix,
	const struct fl_node *node, bool section_is_off)
{
	size_t length = strlen(node->key);
	bool is_section = false;
	char full[KEY_TEXT];

	for (const struct fl_option *option = fl_options; option->key; option++) {
		const char *rest = option->of == scope->of ? rest_of(option, prefix) : NULL;

		if (!rest || strncmp(rest, node->key, length) != 0)
			continue;
		if (!rest[length]) {
			read_option(reader, scope, option, node, section_is_off);
			return;
		}
		is_section |= rest[length] == '.';
	}
	if (!is_section) {
		refuse_unknown(reader, scope, prefix, node);
		return;
	}
	snprintf(full, sizeof(full), "%s%s%s", prefix, *prefix ? "." : "", node->key);
	read_section(reader, scope, full, node);
}

static void read_section(struct fl_reader *reader, const struct scope *scope, const char *prefix,
	const struct fl_node *map)
{
	char shown[FL_NODE_TEXT];

	if (map->broken || fl_node_is_null(map))
		return;
	if (map->kind != FL_NODE_MAP) {
		fl_problem_add(reader->problems, place_of(reader, map),
			"%s: %s does not fit, expected a mapping (key: value)",
			*prefix ? prefix : "configuration", fl_node_show(map, shown));
		return;
	}
	for (const struct fl_node *node = map->first; node; node = node->next)
		read_entry(reader, scope, prefix, node, fl_node_is_off(map));
}

static void use_fallback(
	struct fl_reader *reader, const struct scope *scope, const struct fl_option *option)
{
	struct fl_node node = {
		.kind = FL_NODE_SCALAR,
		.plain = true,
		.text = option->fallback,
		.line = scope->line,
		.column = scope->column,
	};

	if (option->unsupported)
		return;
	if (!option->fallback)
		fl_problem_add(reader->problems, place_of(reader, &node),
			"%s: missing, must be given", option->key);
	else if (*option->fallback)
		option->type->read(reader, option, &node, scope->target);
}

void fl_read_options(struct fl_reader *reader, enum fl_option_of of, const char *prefix,
	const struct fl_node *node, void *target)
{
	_cleanup_free_ bool *seen = calloc(fl_options_count(), sizeof(*seen));
	struct scope scope = { of, target, node ? node->line : 1, node ? node->column : 1, seen };

	if (!seen) {
		fl_read_no_memory(reader);
		return;
	}
	if (node)
		read_section(reader, &scope, prefix, node);
	if (node && node->kind != FL_NODE_MAP && !fl_node_is_null(node))
		return; /* told: what it lacks is no news */
	for (const struct fl_option *option = fl_options; option->key; option++)
		if (option->of == of && !seen[option - fl_options] && rest_of(option, prefix))
			use_fallback(reader, &scope, option);
}
