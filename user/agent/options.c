/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/options.h"

#include <errno.h>
#include <string.h>

#include "core/defaults.h"

static const struct fl_agent_option rows[] = {
	{ "--config", "-c", "FILE", "configuration file (default " FL_CONFIG_DEFAULT ")" },
	{ "--check", NULL, NULL, "check the configuration, print every error, and exit" },
	{ "--print-config", NULL, NULL,
		"print effective values and where each came from, and exit" },
	{ "--detach", NULL, NULL,
		"remove every program, link and map of a stopped agent, and exit" },
	{ "--version", NULL, NULL, "print the version and exit" },
	{ "--help", "-h", NULL, "print this and exit" },
	{ NULL },
};

/* What each row asks for; one that is not here carries a value. */
static const struct {
	const char *name;
	enum fl_agent_mode mode;
} modes[] = {
	{ "--check", FL_AGENT_CHECK },
	{ "--print-config", FL_AGENT_PRINT_CONFIG },
	{ "--detach", FL_AGENT_DETACH },
	{ "--version", FL_AGENT_VERSION },
	{ "--help", FL_AGENT_HELP },
};

const struct fl_agent_option *fl_agent_options(void)
{
	return rows;
}

/* The row that `word` names, in whole or before a '='. */
static const struct fl_agent_option *find_row(const char *word, const char **ret_value)
{
	for (const struct fl_agent_option *row = rows; row->name; row++) {
		size_t length = strlen(row->name);

		*ret_value = NULL;
		if (strcmp(word, row->name) == 0 || (row->letter && strcmp(word, row->letter) == 0))
			return row;
		if (strncmp(word, row->name, length) == 0 && word[length] == '=') {
			*ret_value = word + length + 1;
			return row;
		}
	}
	return NULL;
}

static int complain(FILE *errors, const char *what, const char *word)
{
	fprintf(errors, "fairleadd: %s: %s\nTry: fairleadd --help\n", word, what);
	return -EINVAL;
}

static int take_mode(struct fl_agent_options *options, const char *name, FILE *errors)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, name) != 0)
			continue;
		if (options->mode != FL_AGENT_RUN && options->mode != modes[i].mode)
			return complain(
				errors, "cannot be combined with another of its kind", name);
		options->mode = modes[i].mode;
	}
	return 0;
}

int fl_agent_options_parse(int argc, char **argv, FILE *errors, struct fl_agent_options *ret)
{
	struct fl_agent_options options = { .mode = FL_AGENT_RUN, .config = FL_CONFIG_DEFAULT };

	for (int i = 1; i < argc; i++) {
		const char *value;
		const struct fl_agent_option *row = find_row(argv[i], &value);

		if (!row)
			return complain(errors, "unknown option or argument", argv[i]);
		if (!row->argument && value)
			return complain(errors, "takes no value", row->name);
		if (!row->argument) {
			if (take_mode(&options, row->name, errors) < 0)
				return -EINVAL;
			continue;
		}
		if (!value && i + 1 < argc)
			value = argv[++i];
		if (!value || !*value)
			return complain(errors, "wants a value: the name of a file", row->name);
		options.config = value;
	}
	*ret = options;
	return 0;
}

void fl_agent_options_help(FILE *out)
{
	fputs("Usage: fairleadd [OPTION...]\n"
	      "Balance load in the kernel as a service registry says; stays in the foreground.\n\n",
		out);
	for (const struct fl_agent_option *row = rows; row->name; row++) {
		char left[40];

		snprintf(left, sizeof(left), "%s%s%s%s%s", row->letter ? row->letter : "  ",
			row->letter ? ", " : "  ", row->name, row->argument ? " " : "",
			row->argument ? row->argument : "");
		fprintf(out, "  %-22s %s\n", left, row->help);
	}
	fputs("\nExit status: 0 stopped or fine, 1 configuration, 2 usage, 3 refused by the kernel "
	      "or for\n"
	      "lack of permission, 4 another agent holds the lock. See fairleadd(8), "
	      "fairlead.yaml(5).\n",
		out);
}
