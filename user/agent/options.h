/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdio.h>

/**
 * @file options.h
 * The command line of fairleadd. Each option is a row; --help and the check of
 * fairleadd(8) come from the rows.
 */
enum fl_agent_mode {
	FL_AGENT_RUN,
	FL_AGENT_CHECK,
	FL_AGENT_PRINT_CONFIG,
	FL_AGENT_DETACH,
	FL_AGENT_VERSION,
	FL_AGENT_HELP,
};

struct fl_agent_options {
	enum fl_agent_mode mode;
	const char *config; /**< borrowed from argv, or FL_CONFIG_DEFAULT */
};

struct fl_agent_option {
	const char *name;     /**< "--config" */
	const char *letter;   /**< "-c", or NULL */
	const char *argument; /**< "FILE", or NULL when it takes none */
	const char *help;
};

/** @return array that ends with a NULL name; static */
const struct fl_agent_option *fl_agent_options(void);

/**
 * Parse the command line. At most one of the modes may be asked for.
 * @param errors  where a complaint is written
 * @return 0, -EINVAL
 */
int fl_agent_options_parse(int argc, char **argv, FILE *errors, struct fl_agent_options *ret);
void fl_agent_options_help(FILE *out);
