/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "core/defaults.h"
#include "core/duration.h"

enum { OPTION_SOCKET = 256, OPTION_BPFFS, OPTION_WAIT, OPTION_DEADLINE, OPTION_QUIET, OPTION_NOTE };

#define QUIET_DEFAULT_S 60

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "pretty", no_argument, NULL, 'p' },
	{ "socket", required_argument, NULL, OPTION_SOCKET },
	{ "bpffs", required_argument, NULL, OPTION_BPFFS },
	{ "wait", no_argument, NULL, OPTION_WAIT },
	{ "deadline", required_argument, NULL, OPTION_DEADLINE },
	{ "quiet", required_argument, NULL, OPTION_QUIET },
	{ "note", required_argument, NULL, OPTION_NOTE },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char *from_environment(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && *value ? value : fallback;
}

static bool is_help(const char *word)
{
	return word && strcmp(word, "help") == 0;
}

static bool is_short_for(const char *word, const char *whole)
{
	return *word && strncmp(word, whole, strlen(word)) == 0;
}

static const struct fl_object *find_object(const char *word)
{
	for (const struct fl_object *object = fl_objects; object->name; object++)
		if (is_short_for(word, object->name))
			return object;
	return NULL;
}

/* @param word  NULL = the command that the object is by itself, as `status` */
static const struct fl_command *find_command(const struct fl_object *object, const char *word)
{
	for (const struct fl_command *row = fl_commands; row->object; row++) {
		if (strcmp(row->object, object->name) != 0)
			continue;
		if (word ? row->command && is_short_for(word, row->command) : !row->command)
			return row;
	}
	return NULL;
}

/* ------------------------------------------------------------------ options */

/* What getopt did not like. */
static int bad_option(const char *word, int code, struct fl_failure *failure)
{
	if (code == ':')
		return fl_fail(failure, -EINVAL, "option %s needs a value", word);
	if (word[0] == '-' && word[1] == '-')
		return fl_fail(failure, -EINVAL, "there is no option %s", word);
	return fl_fail(failure, -EINVAL, "there is no option -%c", optopt);
}

/* Of seconds, at least one. */
static int read_seconds(const char *option, int64_t *ret, struct fl_failure *failure)
{
	int64_t ms;

	if (fl_duration_parse(optarg, &ms) < 0 || ms < 1000 || ms % 1000)
		return fl_fail(failure, -EINVAL,
			"%s \"%s\" is no duration, expected seconds or more with a unit (90s, 5m)",
			option, optarg);
	*ret = ms / 1000;
	return 0;
}

/* An option that only some commands take. @return 0, -EINVAL */
static int take_special(int code, struct fl_cli *cli, struct fl_failure *failure)
{
	switch (code) {
	case OPTION_WAIT:
		cli->given |= FL_CLI_WAIT;
		break;
	case OPTION_DEADLINE:
		cli->given |= FL_CLI_DEADLINE;
		return read_seconds("--deadline", &cli->deadline_s, failure);
	case OPTION_QUIET:
		cli->given |= FL_CLI_QUIET;
		return read_seconds("--quiet", &cli->quiet_s, failure);
	case OPTION_NOTE:
		cli->given |= FL_CLI_NOTE;
		cli->note = optarg;
		break;
	}
	return 0;
}

static const char *special_name(unsigned option)
{
	switch (option) {
	case FL_CLI_WAIT:
		return "--wait";
	case FL_CLI_DEADLINE:
		return "--deadline";
	case FL_CLI_QUIET:
		return "--quiet";
	}
	return "--note";
}

/* Whether the command takes what is given. */
static int check_special(
	const struct fl_cli *cli, const struct fl_command *row, struct fl_failure *failure)
{
	unsigned wrong = cli->given & ~row->options;

	if (!wrong)
		return 0;
	return fl_fail(failure, -EINVAL, "%s%s%s takes no option %s", row->object,
		row->command ? " " : "", row->command ? row->command : "",
		special_name(wrong & -wrong));
}

static void take_option(int code, struct fl_cli *cli, struct fl_call *call)
{
	switch (code) {
	case 'p':
		cli->pretty = true;
		cli->json = true;
		break;
	case 'j':
		cli->json = true;
		break;
	case 'V':
		call->what = FL_CALL_VERSION;
		break;
	case 'h':
		call->what = call->what == FL_CALL_RUN ? FL_CALL_HELP : call->what;
		break;
	case OPTION_SOCKET:
		cli->socket = optarg;
		break;
	case OPTION_BPFFS:
		cli->bpffs = optarg;
		break;
	}
}

/* All of them, also behind a wrong one: how to print the error is among them. */
static int parse_options(
	int argc, char **argv, struct fl_cli *cli, struct fl_call *call, struct fl_failure *failure)
{
	int r = 0;
	int code;

	optind = 0; /* glibc: start anew */
	opterr = 0;
	while ((code = getopt_long(argc, argv, ":jpVh", options, NULL)) != -1) {
		if (code == ':' || code == '?')
			r = r ? r : bad_option(argv[optind - 1], code, failure);
		else if (code >= OPTION_WAIT)
			r = r ? r : take_special(code, cli, failure);
		else
			take_option(code, cli, call);
	}
	return r;
}

/* -------------------------------------------------------------------- words */

static int take_arguments(struct fl_call *call, char **words, struct fl_failure *failure)
{
	const struct fl_command *row = call->command;
	const char *space = row->command ? " " : "";
	const char *command = row->command ? row->command : "";
	int count = 0;

	if (!row->run) /* whatever its arguments are: it says that it is not supported */
		return 0;
	for (; words[count]; count++) {
		if (count == row->max)
			return fl_fail(failure, -EINVAL, "%s%s%s: \"%s\" is one argument too many",
				row->object, space, command, words[count]);
		call->arguments[count] = words[count];
	}
	if (count < row->min)
		return fl_fail(failure, -EINVAL, "%s%s%s needs %s", row->object, space, command,
			row->arguments);
	return 0;
}

/* The object is known. `words` come after it; `help` may be the last of them. */
static int parse_command(struct fl_call *call, char **words, struct fl_failure *failure)
{
	const char *object = call->object->name;

	call->command = find_command(call->object, NULL);
	if (!call->command && (!words[0] || is_help(words[0]))) {
		if (words[0])
			call->what = FL_CALL_HELP;
		return call->what == FL_CALL_HELP
			       ? 0
			       : fl_fail(failure, -EINVAL, "%s needs a command", object);
	}
	if (!call->command) {
		call->command = find_command(call->object, words[0]);
		if (!call->command)
			return fl_fail(
				failure, -EINVAL, "%s has no command \"%s\"", object, words[0]);
		words++;
	}
	if (is_help(words[0]) && !words[1])
		call->what = FL_CALL_HELP;
	return call->what == FL_CALL_HELP ? 0 : take_arguments(call, words, failure);
}

static int parse_words(struct fl_call *call, char **words, struct fl_failure *failure)
{
	if (is_help(words[0])) {
		call->what = FL_CALL_HELP;
		words++;
	}
	if (!words[0])
		return call->what == FL_CALL_HELP
			       ? 0
			       : fl_fail(failure, -EINVAL, "an object is missing");
	call->object = find_object(words[0]);
	if (!call->object)
		return fl_fail(failure, -EINVAL, "there is no object \"%s\"", words[0]);
	return parse_command(call, words + 1, failure);
}

int fl_cli_parse(
	int argc, char **argv, struct fl_cli *cli, struct fl_call *ret, struct fl_failure *failure)
{
	int r;

	*ret = (struct fl_call){ .what = FL_CALL_RUN };
	*cli = (struct fl_cli){
		.socket = from_environment("FAIRLEAD_SOCKET", FL_SOCKET_DEFAULT),
		.bpffs = from_environment("FAIRLEAD_BPFFS", NULL),
		.quiet_s = QUIET_DEFAULT_S,
		.note = "",
	};
	r = parse_options(argc, argv, cli, ret, failure);
	if (r < 0 || ret->what == FL_CALL_VERSION)
		return r;
	r = parse_words(ret, argv + optind, failure);
	return r == 0 && ret->what == FL_CALL_RUN ? check_special(cli, ret->command, failure) : r;
}
