/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/failure.h"

/**
 * @file cli.h
 * `fairlead OBJECT COMMAND`: what a command is, and how one is found.
 *
 * A command is a row of the table in commands.c and, mostly, one file. It fills
 * a JSON value; `-j` prints that, and the row's `show` prints it for people.
 */
struct fl_cli {
	bool json;          /**< -j or -p */
	bool pretty;        /**< -p */
	const char *socket; /**< never NULL */
	const char *bpffs;  /**< --bpffs or FAIRLEAD_BPFFS; NULL = the agent's, or the default */
	unsigned given;     /**< options of commands that are there, of enum fl_cli_option */
	int64_t deadline_s; /**< --deadline */
	int64_t quiet_s;    /**< --quiet */
	const char *note;   /**< --note; never NULL */
};

/** Options that only some commands take. */
enum fl_cli_option {
	FL_CLI_WAIT = 1,     /**< --wait */
	FL_CLI_DEADLINE = 2, /**< --deadline DURATION */
	FL_CLI_QUIET = 4,    /**< --quiet DURATION */
	FL_CLI_NOTE = 8,     /**< --note TEXT */
};

#define FL_CLI_ARGUMENTS_MAX 64

/** Exit codes of the contract. */
enum { FL_EXIT_OK = 0, FL_EXIT_REFUSED = 1, FL_EXIT_USAGE = 2, FL_EXIT_NO_AGENT = 3 };

struct fl_command {
	const char *object;
	const char *command;   /**< NULL = the object is the command */
	const char *arguments; /**< as help shows them: "[SERVICE]" */
	int min, max;          /**< how many */
	const char *help;      /**< one line */
	/**
	 * @param arguments  ends with NULL
	 * @param ret        the value to print; new reference
	 * @return 0, -errno with words: -ECONNREFUSED means that no agent answers, -EINVAL
	 *         that an argument is none. NULL = known, not supported by this version
	 */
	int (*run)(const struct fl_cli *cli, char **arguments, struct fl_failure *failure,
		json_t **ret);
	/** For people. NULL = `run` has printed everything itself, since there may be too
	 * much of it to hold, and leaves *ret alone. */
	void (*show)(json_t *value, FILE *out);
	unsigned options; /**< that it takes, of enum fl_cli_option */
};

struct fl_object {
	const char *name;
	const char *help; /**< one line */
};

/** Objects in order of preference for abbreviations; ends with a NULL name. */
extern const struct fl_object fl_objects[];
/** Grouped by object, in order of preference; ends with a NULL object. */
extern const struct fl_command fl_commands[];

/** What the command line asks for. */
struct fl_call {
	enum { FL_CALL_RUN, FL_CALL_HELP, FL_CALL_VERSION } what;
	const struct fl_object *object;   /**< NULL = none was named */
	const struct fl_command *command; /**< of FL_CALL_RUN; of FL_CALL_HELP perhaps */
	char *arguments[FL_CLI_ARGUMENTS_MAX + 1];
};

/**
 * Understand a command line. Options may stand anywhere before `--`; objects and
 * commands may be cut short, the first in order of preference is meant.
 * @param cli  filled, with the environment's values where options say nothing,
 *             also when this fails, so that the error can be printed as asked
 * @param ret  the same: after a failure it says how far it was understood
 * @return 0, -EINVAL (usage) with words
 */
int fl_cli_parse(
	int argc, char **argv, struct fl_cli *cli, struct fl_call *ret, struct fl_failure *failure);

/** Everything, or the commands of one object, or one command. */
void fl_cli_help(const struct fl_object *object, const struct fl_command *command, FILE *out);

/** Print a value as -j and -p say, without a newline at the end. */
void fl_cli_print_json(const struct fl_cli *cli, json_t *value, FILE *out);

/** Understand, do, print. @return exit code */
int fl_cli_main(int argc, char **argv);
