/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/table.h"
#include "core/cleanup.h"
#include "core/defaults.h"
#include "kernel/doctor.h"

/* Whose interfaces and directories are meant: as told, else the running agent's, else
 * the usual file, else none. @return to be freed, or NULL */
static char *choose_config(const struct fl_cli *cli, const char *told)
{
	struct fl_failure ignored;
	json_t *status = NULL;
	char *file = NULL;

	if (told)
		return strdup(told);
	if (fl_command_get(cli, "/api/v1/status", NULL, &ignored, &status) == 0 &&
		json_is_string(json_object_get(status, "config")))
		file = strdup(json_string_value(json_object_get(status, "config")));
	json_decref(status);
	if (!file && access(FL_CONFIG_DEFAULT, R_OK) == 0)
		file = strdup(FL_CONFIG_DEFAULT);
	return file;
}

FL_COMMAND(doctor)
{
	_cleanup_free_ char *file = choose_config(cli, arguments[0]);

	if (arguments[0] && access(arguments[0], R_OK) < 0)
		return fl_fail(
			failure, -errno, "cannot read %s: %s", arguments[0], strerror(errno));
	*ret = fl_doctor(file);
	return *ret ? 0 : fl_fail(failure, -ENOMEM, "out of memory");
}

static void show_row(json_t *row, FILE *out)
{
	const char *subject = json_string_value(json_object_get(row, "subject"));
	const char *hint = json_string_value(json_object_get(row, "hint"));

	fprintf(out, "%-5s", json_string_value(json_object_get(row, "result")));
	fl_text_show(json_string_value(json_object_get(row, "check")), out);
	if (subject) {
		fputc(' ', out);
		fl_text_show(subject, out);
	}
	fputs(": ", out);
	fl_text_show(json_string_value(json_object_get(row, "found")), out);
	if (hint) {
		fputs("\n     → ", out);
		fl_text_show(hint, out);
	}
	fputc('\n', out);
}

void fl_show_doctor(json_t *value, FILE *out)
{
	json_t *row;
	size_t i;

	json_array_foreach(value, i, row)
		show_row(row, out);
}
