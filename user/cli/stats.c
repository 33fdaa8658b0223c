/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdbool.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/table.h"
#include "model/reasons.h"

FL_COMMAND(stats)
{
	return fl_command_get(cli, "/api/v1/stats?service=", arguments[0], failure, ret);
}

/* What a reason means; the agent may know ones that we do not. */
static const char *meaning_of(const char *reason)
{
	const char *text = fl_reason_text(fl_reason_find(reason));

	return text ? text : "-";
}

/* Reasons that were counted at all, as rows. @return new reference */
static json_t *reason_rows(json_t *reasons)
{
	json_t *rows = json_array();
	const char *name;
	json_t *count;

	json_object_foreach(reasons, name, count)
		if (json_integer_value(count))
			json_array_append_new(
				rows, json_pack("{s:s,s:O,s:s}", "reason", name, "packets", count,
					      "meaning", meaning_of(name)));
	return rows;
}

/* @param counted  what is: "PACKETS" @param always  say so when there is nothing */
static void put_reasons(
	json_t *reasons, const char *title, const char *counted, bool always, FILE *out)
{
	const struct fl_column columns[] = {
		{ "REASON", "reason", FL_COLUMN_TEXT },
		{ counted, "packets", FL_COLUMN_NUMBER },
		{ "MEANING", "meaning", FL_COLUMN_TEXT },
		{ NULL },
	};
	json_t *rows = reason_rows(reasons);
	bool any = json_array_size(rows) > 0;

	if (any || always)
		fprintf(out, "%s%s\n", title, any ? "" : ": no packets yet");
	if (any)
		fl_table_print(rows, columns, 0, 2, out);
	if (any || always)
		fputc('\n', out);
	json_decref(rows);
}

void fl_show_stats(json_t *value, FILE *out)
{
	static const struct fl_column columns[] = {
		{ "SERVICE", "name", FL_COLUMN_TEXT },
		{ "FRONTEND", "frontend", FL_COLUMN_TEXT },
		{ "PACKETS", "packets", FL_COLUMN_NUMBER },
		{ "BYTES", "bytes", FL_COLUMN_NUMBER },
		{ "NEW FLOWS", "new_flows", FL_COLUMN_NUMBER },
		{ "REPLY PACKETS", "reply_packets", FL_COLUMN_NUMBER },
		{ "REPLY BYTES", "reply_bytes", FL_COLUMN_NUMBER },
		{ NULL },
	};
	json_t *services = json_object_get(value, "services");

	put_reasons(json_object_get(value, "reasons"), "edge path", "PACKETS", true, out);
	put_reasons(json_object_get(value, "target_reasons"), "target path", "PACKETS", false, out);
	put_reasons(json_object_get(value, "node_reasons"), "node path", "CONNECTS", false, out);
	if (json_array_size(services)) {
		fputs("services\n", out);
		fl_table_print(services, columns, 0, 2, out);
	} else {
		fputs("no services\n", out);
	}
}
