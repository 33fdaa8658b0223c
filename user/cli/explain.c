/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/pins.h"
#include "cli/table.h"
#include "kernel/explain.h"

FL_COMMAND(explain)
{
	struct fl_explanation answer;
	struct fl_question question;
	struct fl_maps maps;
	char bpffs[FL_BPFFS_MAX];
	int r = fl_question_parse(arguments[0], arguments[1], arguments[2], &question, failure);

	if (r == 0 && arguments[3]) {
		question.opens = strcmp(arguments[3], "new") == 0;
		if (!question.opens && strcmp(arguments[3], "old") != 0)
			r = fl_fail(
				failure, -EINVAL, "\"%s\" is neither new nor old", arguments[3]);
	}
	if (r < 0)
		return r;
	r = fl_cli_open_maps(cli, &maps, bpffs, failure);
	if (r < 0)
		return r;
	r = fl_explain(bpffs, &question, &answer, failure);
	if (r == 0) {
		*ret = fl_explanation_json(&maps, &question, &answer);
		if (!*ret)
			r = fl_fail(failure, -ENOMEM, "out of memory");
	}
	fl_maps_close(&maps);
	return r;
}

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
	fputc('\n', out);
}

void fl_show_explanation(json_t *value, FILE *out)
{
	static const char *const keys[] = { "service", "frontend", "slot", "moving", "pinned",
		"endpoint", "state", "reason", "forward", "path" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		show_line(value, keys[i], out);
}
