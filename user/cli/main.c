/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"

void fl_cli_print_json(const struct fl_cli *cli, json_t *value, FILE *out)
{
	json_dumpf(value, out, JSON_ENCODE_ANY | (cli->pretty ? JSON_INDENT(2) : JSON_COMPACT));
}

static void print_json(const struct fl_cli *cli, json_t *value)
{
	fl_cli_print_json(cli, value, stdout);
	fputc('\n', stdout);
}

/* Text for JSON, which takes UTF-8 only. */
static json_t *json_text(const char *text)
{
	json_t *value = *text ? json_string(text) : json_null();

	return value ? value : json_string("(words that are no UTF-8)");
}

/* With -j on standard output, so that who reads JSON always gets some. */
static void print_failure(const struct fl_cli *cli, const struct fl_failure *failure)
{
	json_t *value;

	if (!cli->json) {
		fputs("fairlead: ", stderr);
		fl_text_show(failure->message, stderr);
		fputs(*failure->hint ? "\nhint: " : "", stderr);
		fl_text_show(failure->hint, stderr);
		fputc('\n', stderr);
		return;
	}
	value = json_pack("{s:{s:o,s:o}}", "error", "message", json_text(failure->message), "hint",
		json_text(failure->hint));
	print_json(cli, value);
	json_decref(value);
}

static int refuse_usage(
	const struct fl_cli *cli, const struct fl_call *call, struct fl_failure *failure)
{
	if (!call->object)
		fl_fail_hint(failure, "see: fairlead help");
	else
		fl_fail_hint(failure, "see: fairlead %s help", call->object->name);
	print_failure(cli, failure);
	return FL_EXIT_USAGE;
}

static int exit_code(int r)
{
	if (r == -ECONNREFUSED)
		return FL_EXIT_NO_AGENT;
	return r == -EINVAL ? FL_EXIT_USAGE : FL_EXIT_REFUSED;
}

static int run(const struct fl_cli *cli, struct fl_call *call, struct fl_failure *failure)
{
	const struct fl_command *row = call->command;
	json_t *value = NULL;
	int r = -EOPNOTSUPP;

	if (row->run)
		r = row->run(cli, call->arguments, failure, &value);
	else
		fl_fail(failure, r, "%s%s%s: known, not supported by this version", row->object,
			row->command ? " " : "", row->command ? row->command : "");
	if (r < 0) {
		print_failure(cli, failure);
		return exit_code(r);
	}
	if (row->show && cli->json)
		print_json(cli, value);
	else if (row->show)
		row->show(value, stdout);
	json_decref(value);
	return FL_EXIT_OK;
}

/* Nothing was asked: say what could be. */
static bool is_bare(const struct fl_cli *cli, const struct fl_call *call, int argc)
{
	return !cli->json && (argc < 2 || (argc == 2 && call->object && !call->command));
}

int fl_cli_main(int argc, char **argv)
{
	struct fl_failure failure = { 0 };
	struct fl_call call;
	struct fl_cli cli;
	int code = FL_EXIT_OK;
	int r = fl_cli_parse(argc, argv, &cli, &call, &failure);

	if (r < 0 && is_bare(&cli, &call, argc)) {
		fl_cli_help(call.object, NULL, stderr);
		code = FL_EXIT_USAGE;
	} else if (r < 0) {
		code = refuse_usage(&cli, &call, &failure);
	} else if (call.what == FL_CALL_VERSION) {
		puts("fairlead " FL_VERSION);
	} else if (call.what == FL_CALL_HELP) {
		fl_cli_help(call.object, call.command, stdout);
	} else {
		code = run(&cli, &call, &failure);
	}
	if (fflush(stdout) != 0 && code == FL_EXIT_OK)
		code = FL_EXIT_REFUSED;
	return code;
}
