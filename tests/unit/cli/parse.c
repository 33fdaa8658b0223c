/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "core/defaults.h"

/* Split a line into words as a shell would without quotes. @return argc */
static int split(char *line, char **argv, int room)
{
	int argc = 0;

	for (char *word = strtok(line, " "); word && argc < room - 1; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	return argc;
}

static const char *name_of(const struct fl_command *row)
{
	static char name[64];

	if (!row)
		return "";
	snprintf(name, sizeof(name), "%s%s%s", row->object, row->command ? " " : "",
		row->command ? row->command : "");
	return name;
}

static void quiet_environment(void)
{
	unsetenv("FAIRLEAD_SOCKET");
	unsetenv("FAIRLEAD_BPFFS");
}

TestSuite(cli_parse, .init = quiet_environment);

Test(cli_parse, which_command)
{
	static const struct {
		const char *line, *command, *arguments;
	} rows[] = {
		{ "fairlead service list", "service list", "" },
		{ "fairlead s l", "service list", "" },
		{ "fairlead serv li", "service list", "" },
		{ "fairlead se s web", "service show", "web" },
		{ "fairlead e l", "endpoint list", "" },
		{ "fairlead e l web", "endpoint list", "web" },
		{ "fairlead e", "", "endpoint needs a command" },
		{ "fairlead ex tcp a b", "explain", "tcp" },
		{ "fairlead st", "status", "" },
		{ "fairlead sta", "status", "" },
		{ "fairlead stat", "status", "" },
		{ "fairlead stats", "stats", "" },
		{ "fairlead stats team/web", "stats", "team/web" },
		{ "fairlead m d slots", "map dump", "slots" },
		{ "fairlead map l", "map list", "" },
		{ "fairlead r l", "registry list", "" },
		{ "fairlead -j r a x", "registry accept", "x" },
		{ "fairlead service show -- -x", "service show", "-x" },
		{ "fairlead service show web -j", "service show", "web" },
		{ "fairlead d", "doctor", "" },
		{ "fairlead f w", "flow watch", "" },
		{ "fairlead t", "top", "" },
		{ "fairlead p x.yaml", "plan", "" },
		{ "fairlead e d web 192.0.2.1:80", "endpoint drain", "web" },
		{ "fairlead e d web 192.0.2.1:80 --wait --quiet 5s --deadline 1m30s --note x",
			"endpoint drain", "web" },
		{ "fairlead e u web 192.0.2.1:80", "endpoint undrain", "web" },
		{ "fairlead e w web 192.0.2.1:80 3 --note x", "endpoint weight", "web" },
		{ "fairlead e m web 192.0.2.1:80", "endpoint maintenance", "web" },
		{ "fairlead endpoint up web 192.0.2.1:80", "endpoint up", "web" },
		{ "fairlead endpoint do web 192.0.2.1:80", "endpoint down", "web" },
		{ "fairlead s a web 10.0.0.1:80/tcp forward=ipip", "service add", "web" },
		{ "fairlead s s web", "service show", "web" },
		{ "fairlead service set web panic=3", "service set", "web" },
		{ "fairlead s d web", "service delete", "web" },
		{ "fairlead e a web 192.0.2.1:80 weight=2 zone=a", "endpoint add", "web" },
		{ "fairlead e s web 192.0.2.1:80 weight=2", "endpoint set", "web" },
		{ "fairlead endpoint del web 192.0.2.1:80", "endpoint delete", "web" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_failure failure = { 0 };
		char line[160], *argv[16];
		struct fl_call call;
		struct fl_cli cli;
		int argc, r;

		strcpy(line, rows[i].line);
		argc = split(line, argv, 16);
		r = fl_cli_parse(argc, argv, &cli, &call, &failure);
		cr_expect_str_eq(name_of(call.command), rows[i].command, "%s", rows[i].line);
		if (!*rows[i].command) {
			cr_expect_eq(r, -EINVAL);
			cr_expect_str_eq(failure.message, rows[i].arguments);
			continue;
		}
		cr_expect_eq(r, 0, "%s: %s", rows[i].line, failure.message);
		cr_expect_eq(call.what, FL_CALL_RUN, "%s", rows[i].line);
		if (call.command->run)
			cr_expect_str_eq(call.arguments[0] ? call.arguments[0] : "",
				rows[i].arguments, "%s", rows[i].line);
	}
}

Test(cli_parse, what_is_wrong)
{
	static const struct {
		const char *line, *words;
		bool json;
	} rows[] = {
		{ "fairlead", "an object is missing", false },
		{ "fairlead -j", "an object is missing", true },
		{ "fairlead foo", "there is no object \"foo\"", false },
		{ "fairlead service add web", "service add needs NAME FRONTEND... [KEY=VALUE]...",
			false },
		{ "fairlead servicex list", "there is no object \"servicex\"", false },
		{ "fairlead Service list", "there is no object \"Service\"", false },
		{ "fairlead service", "service needs a command", false },
		{ "fairlead service foo -p", "service has no command \"foo\"", true },
		{ "fairlead service show", "service show needs NAME", false },
		{ "fairlead service show a b", "service show: \"b\" is one argument too many",
			false },
		{ "fairlead status now", "status: \"now\" is one argument too many", false },
		{ "fairlead --nonsense status", "there is no option --nonsense", false },
		{ "fairlead --nonsense -j status", "there is no option --nonsense", true },
		{ "fairlead -x status", "there is no option -x", false },
		{ "fairlead -jx status", "there is no option -x", true },
		{ "fairlead status --socket", "option --socket needs a value", false },
		{ "fairlead status --wait", "status takes no option --wait", false },
		{ "fairlead e up web x --deadline 5m", "endpoint up takes no option --deadline",
			false },
		{ "fairlead e drain web x --deadline 5",
			"--deadline \"5\" is no duration, expected seconds or more with a unit "
			"(90s, 5m)",
			false },
		{ "fairlead -j e drain web x --quiet 1500ms",
			"--quiet \"1500ms\" is no duration, expected seconds or more with a unit "
			"(90s, 5m)",
			true },
		{ "fairlead --json=yes status", "there is no option --json=yes", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_failure failure = { 0 };
		char line[160], *argv[16];
		struct fl_call call;
		struct fl_cli cli;
		int argc;

		strcpy(line, rows[i].line);
		argc = split(line, argv, 16);
		cr_expect_eq(fl_cli_parse(argc, argv, &cli, &call, &failure), -EINVAL, "%s",
			rows[i].line);
		cr_expect_str_eq(
			failure.message, rows[i].words, "%s: %s", rows[i].line, failure.message);
		cr_expect_eq(cli.json, rows[i].json, "%s", rows[i].line);
	}
}

Test(cli_parse, help_at_every_level)
{
	static const struct {
		const char *line, *object, *command;
	} rows[] = {
		{ "fairlead help", "", "" }, { "fairlead --help", "", "" },
		{ "fairlead -h", "", "" }, { "fairlead help service", "service", "" },
		{ "fairlead service help", "service", "" },
		{ "fairlead service --help", "service", "" },
		{ "fairlead service show --help", "service", "service show" },
		{ "fairlead service show help", "service", "service show" },
		{ "fairlead help service show", "service", "service show" },
		{ "fairlead status help", "status", "status" },
		{ "fairlead status -h", "status", "status" },
		{ "fairlead e h", "endpoint", NULL }, /* "help" is not cut short */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_failure failure = { 0 };
		char line[160], *argv[16];
		struct fl_call call;
		struct fl_cli cli;
		int argc, r;

		strcpy(line, rows[i].line);
		argc = split(line, argv, 16);
		r = fl_cli_parse(argc, argv, &cli, &call, &failure);
		cr_expect_eq(
			r, rows[i].command ? 0 : -EINVAL, "%s: %s", rows[i].line, failure.message);
		cr_expect_str_eq(
			call.object ? call.object->name : "", rows[i].object, "%s", rows[i].line);
		if (!rows[i].command)
			continue;
		cr_expect_eq(call.what, FL_CALL_HELP, "%s", rows[i].line);
		cr_expect_str_eq(name_of(call.command), rows[i].command, "%s", rows[i].line);
	}
}

Test(cli_parse, where_the_agent_is)
{
	struct fl_failure failure = { 0 };
	char *plain[] = { "fairlead", "status", NULL };
	char *told[] = { "fairlead", "--socket", "/a", "status", "--bpffs=/b", NULL };
	struct fl_call call;
	struct fl_cli cli;

	cr_expect_eq(fl_cli_parse(2, plain, &cli, &call, &failure), 0);
	cr_expect_str_eq(cli.socket, FL_SOCKET_DEFAULT);
	cr_expect_null(cli.bpffs);
	setenv("FAIRLEAD_SOCKET", "", 1);
	cr_expect_eq(fl_cli_parse(2, plain, &cli, &call, &failure), 0);
	cr_expect_str_eq(cli.socket, FL_SOCKET_DEFAULT, "an empty variable counts as none");
	setenv("FAIRLEAD_SOCKET", "/c", 1);
	setenv("FAIRLEAD_BPFFS", "/d", 1);
	cr_expect_eq(fl_cli_parse(2, plain, &cli, &call, &failure), 0);
	cr_expect_str_eq(cli.socket, "/c");
	cr_expect_str_eq(cli.bpffs, "/d");
	cr_expect_eq(fl_cli_parse(5, told, &cli, &call, &failure), 0);
	cr_expect_str_eq(cli.socket, "/a");
	cr_expect_str_eq(cli.bpffs, "/b");
}

Test(cli_parse, every_row_can_be_reached_by_its_name)
{
	for (const struct fl_command *row = fl_commands; row->object; row++) {
		struct fl_failure failure = { 0 };
		char *argv[4 + FL_CLI_ARGUMENTS_MAX] = { "fairlead", (char *)row->object };
		struct fl_call call;
		struct fl_cli cli;
		int argc = 2;

		if (row->command)
			argv[argc++] = (char *)row->command;
		for (int i = 0; i < row->min; i++)
			argv[argc++] = "x";
		cr_expect_eq(
			fl_cli_parse(argc, argv, &cli, &call, &failure), 0, "%s", failure.message);
		cr_expect_eq(call.command, row, "%s", name_of(row));
		cr_expect_leq(row->max, FL_CLI_ARGUMENTS_MAX);
		cr_expect(row->run || !row->show, "%s", name_of(row));
	}
}
