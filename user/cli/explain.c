/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/pins.h"
#include "cli/table.h"
#include "kernel/explain.h"
#include "kernel/node_explain.h"

/* ------------------------------------------------------------------- questions */

static int parse_age(const char *text, struct fl_question *question, struct fl_failure *failure)
{
	question->opens = !text || strcmp(text, "new") == 0;
	if (question->opens || strcmp(text, "old") == 0)
		return 0;
	return fl_fail(failure, -EINVAL, "\"%s\" is neither new nor old", text);
}

static int parse(char **arguments, struct fl_question *ret, struct fl_failure *failure)
{
	int r;

	if (!fl_question_is_of_node(arguments[1])) {
		r = fl_question_parse(arguments[0], arguments[1], arguments[2], ret, failure);
		return r < 0 ? r : parse_age(arguments[3], ret, failure);
	}
	if (arguments[3])
		return fl_fail(failure, -EINVAL,
			"\"%s\" does not go with a process of the node, which begins a connection",
			arguments[3]);
	return fl_question_parse_node(arguments[0], arguments[1], arguments[2], ret, failure);
}

/* --------------------------------------------------------------------- answers */

static int check_answer(json_t *answer, struct fl_failure *failure)
{
	return answer ? 0 : fl_fail(failure, -ENOMEM, "out of memory");
}

static int ask_edge(const struct fl_maps *maps, const char *bpffs,
	const struct fl_question *question, struct fl_failure *failure, json_t **ret)
{
	struct fl_explanation answer;
	int r = fl_explain(bpffs, question, &answer, failure);

	if (r < 0)
		return r;
	*ret = fl_explanation_json(maps, question, &answer);
	return check_answer(*ret, failure);
}

/* @return -ENOENT where there is no node path */
static int ask_node(const struct fl_maps *maps, const char *bpffs,
	const struct fl_question *question, struct fl_failure *failure, json_t **ret)
{
	struct fl_node_question answered;
	struct fl_node_maps node;
	int r = fl_node_question_fill(question, &answered, failure);

	if (r == 0)
		r = fl_node_ask(bpffs, &answered, failure);
	if (r == 0)
		r = fl_node_maps_open(&node, bpffs, failure);
	if (r < 0)
		return r;
	*ret = fl_node_explanation_json(maps, &node, &answered);
	fl_node_maps_close(&node);
	return check_answer(*ret, failure);
}

/* What clients out there meet and, beside it, what processes of this node do. */
static int ask_both(const struct fl_maps *maps, const char *bpffs,
	const struct fl_question *question, struct fl_failure *failure, json_t **ret)
{
	json_t *edge = NULL, *node = NULL;
	int r = ask_edge(maps, bpffs, question, failure, &edge);

	if (r == 0)
		r = ask_node(maps, bpffs, question, failure, &node);
	if (r == -ENOENT && edge) {
		node = json_null();
		r = 0;
	}
	if (r == 0 && json_object_set(edge, "node", node) < 0)
		r = fl_fail(failure, -ENOMEM, "out of memory");
	json_decref(node);
	if (r < 0)
		json_decref(edge);
	else
		*ret = edge;
	return r;
}

FL_COMMAND(explain)
{
	struct fl_question question;
	struct fl_maps maps;
	char bpffs[FL_BPFFS_MAX];
	int r = parse(arguments, &question, failure);

	if (r < 0)
		return r;
	r = fl_cli_open_maps(cli, &maps, bpffs, failure);
	if (r < 0)
		return r;
	r = fl_question_is_of_node(arguments[1]) ? ask_node(&maps, bpffs, &question, failure, ret)
						 : ask_both(&maps, bpffs, &question, failure, ret);
	fl_maps_close(&maps);
	return r;
}

/* ---------------------------------------------------------------------- people */

static void show_line(json_t *value, const char *key, FILE *out)
{
	json_t *item = json_object_get(value, key);

	fprintf(out, "%-10s", key);
	if (json_is_string(item))
		fl_text_show(json_string_value(item), out);
	else if (json_is_boolean(item))
		fputs(json_is_true(item) ? "yes" : "no", out);
	else if (json_is_integer(item))
		fprintf(out, "%lld", (long long)json_integer_value(item));
	else
		fputc('-', out);
	if (strcmp(key, "reason") == 0) {
		fputs(": ", out);
		fl_text_show(json_string_value(json_object_get(value, "text")), out);
	}
	if (strcmp(key, "endpoint") == 0 && json_is_true(json_object_get(value, "chance")))
		fputs(" by chance: another connection may get another", out);
	if (strcmp(key, "endpoint") == 0 && json_is_true(json_object_get(value, "kept")))
		fputs(" since this network namespace has it already", out);
	fputc('\n', out);
}

static void show_edge(json_t *value, FILE *out)
{
	static const char *const keys[] = { "service", "frontend", "slot", "moving", "pinned",
		"endpoint", "state", "reason", "forward", "path" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		show_line(value, keys[i], out);
}

/* A share is a fraction: people read percents. @return new reference */
static json_t *candidate_rows(json_t *candidates)
{
	json_t *rows = json_array(), *item;
	size_t i;

	json_array_foreach(candidates, i, item) {
		json_t *row = json_copy(item), *share = json_object_get(item, "share");
		char text[32];

		snprintf(text, sizeof(text), "%.1f %%", 100 * json_real_value(share));
		if (json_is_real(share))
			json_object_set_new(row, "share", json_string(text));
		json_array_append_new(rows, row);
	}
	return rows;
}

static void show_candidates(json_t *candidates, FILE *out)
{
	static const struct fl_column columns[] = {
		{ "ENDPOINT", "endpoint", FL_COLUMN_TEXT },
		{ "TIER", "tier", FL_COLUMN_NUMBER },
		{ "WEIGHT", "weight", FL_COLUMN_NUMBER },
		{ "SHARE", "share", FL_COLUMN_TEXT },
		{ "CONNECTIONS", "connections", FL_COLUMN_NUMBER },
		{ "STATE", "state", FL_COLUMN_TEXT },
		{ "EJECTED FOR", "ejected", FL_COLUMN_DURATION },
		{ NULL },
	};
	json_t *rows = candidate_rows(candidates);

	if (json_array_size(rows))
		fl_table_print(rows, columns, 0, 0, out);
	else
		fputs("candidates none\n", out);
	json_decref(rows);
}

static void show_node(json_t *value, FILE *out)
{
	static const char *const keys[] = { "service", "frontend", "balance", "key", "affinity",
		"endpoint", "state", "reason", "path" };
	bool drawn = json_is_null(json_object_get(value, "candidates")) &&
		     !json_is_null(json_object_get(value, "service"));

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		show_line(value, keys[i], out);
	if (drawn)
		fputs("it has no pool: slots of the service are drawn\n", out);
	else if (json_is_array(json_object_get(value, "candidates")))
		show_candidates(json_object_get(value, "candidates"), out);
}

void fl_show_explanation(json_t *value, FILE *out)
{
	json_t *node = json_object_get(value, "node");
	const char *path = json_string_value(json_object_get(value, "path"));

	if (path && strcmp(path, "node") == 0) {
		show_node(value, out);
		return;
	}
	show_edge(value, out);
	if (json_is_object(node)) {
		fputs("\na process of this node, now\n", out);
		show_node(node, out);
	}
}
