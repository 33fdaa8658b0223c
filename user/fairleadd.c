/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fairleadd: the node agent. This file is the wiring of its command line; what
 * the agent does is told in agent/.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/lock.h"
#include "agent/options.h"
#include "config/config.h"
#include "config/paths.h"
#include "core/failure.h"
#include "kernel/bpffs.h"
#include "kernel/kernel.h"
#include "registry/registry.h"

static void print_failure(const struct fl_failure *failure)
{
	fprintf(stderr, "fairleadd: %s\n", failure->message);
	if (failure->hint[0])
		fprintf(stderr, "fairleadd: %s\n", failure->hint);
}

/* Read the configuration; every problem goes to `out`, one a line. */
static int load(const char *file, FILE *out, struct fl_config **ret)
{
	struct fl_problems problems = { 0 };
	int r = fl_config_load(file, &problems, ret);

	fl_problems_print(&problems, out);
	fl_problems_done(&problems);
	return r;
}

static enum fl_exit check(const char *file)
{
	struct fl_config *config = NULL;
	struct fl_problems problems = { 0 };
	int r;

	if (load(file, stdout, &config) < 0)
		return FL_EXIT_CONFIG;
	r = fl_registry_check(config, &problems);
	fl_problems_print(&problems, stdout);
	fl_problems_done(&problems);
	fl_config_free(config);
	return r < 0 ? FL_EXIT_CONFIG : FL_EXIT_OK;
}

static enum fl_exit print_config(const char *file)
{
	struct fl_config *config = NULL;

	if (load(file, stderr, &config) < 0)
		return FL_EXIT_CONFIG;
	fl_config_print(config, stdout);
	fl_config_free(config);
	return FL_EXIT_OK;
}

static enum fl_exit run(const char *file)
{
	struct fl_config *config = NULL;

	if (load(file, stderr, &config) < 0)
		return FL_EXIT_CONFIG;
	return fl_agent_run(config);
}

/* Under the agent's lock, so that it cannot start meanwhile. */
static enum fl_exit detach_paths(const struct fl_paths *paths)
{
	struct fl_lock lock = FL_LOCK_NONE;
	struct fl_failure failure = { 0 };
	int r = fl_lock_take(&lock, paths->state_dir,
		fl_bpffs_is_there(paths->bpffs) ? paths->bpffs : NULL, &failure);

	if (r < 0) {
		print_failure(&failure);
		return r == -EWOULDBLOCK ? FL_EXIT_LOCKED : FL_EXIT_KERNEL;
	}
	r = fl_kernel_detach(paths->bpffs, &failure);
	fl_lock_release(&lock);
	if (r < 0) {
		print_failure(&failure);
		return FL_EXIT_KERNEL;
	}
	return FL_EXIT_OK;
}

static enum fl_exit detach(const char *file)
{
	struct fl_paths paths = { 0 };
	enum fl_exit code;
	int r = fl_paths_load(file, &paths);

	if (r < 0) {
		fprintf(stderr, "fairleadd: cannot read %s: %s\n", file, strerror(-r));
		return FL_EXIT_CONFIG;
	}
	code = detach_paths(&paths);
	fl_paths_done(&paths);
	return code;
}

int main(int argc, char **argv)
{
	struct fl_agent_options options;

	if (fl_agent_options_parse(argc, argv, stderr, &options) < 0)
		return FL_EXIT_USAGE;
	switch (options.mode) {
	case FL_AGENT_HELP:
		fl_agent_options_help(stdout);
		return FL_EXIT_OK;
	case FL_AGENT_VERSION:
		printf("fairleadd %s\n", FL_VERSION);
		return FL_EXIT_OK;
	case FL_AGENT_CHECK:
		return check(options.config);
	case FL_AGENT_PRINT_CONFIG:
		return print_config(options.config);
	case FL_AGENT_DETACH:
		return detach(options.config);
	case FL_AGENT_RUN:
		break;
	}
	return run(options.config);
}
