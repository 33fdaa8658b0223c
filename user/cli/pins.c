/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/pins.h"

#include <errno.h>
#include <stdio.h>

#include "cli/commands.h"
#include "core/defaults.h"

static void find_bpffs(const struct fl_cli *cli, char *buffer)
{
	struct fl_failure ignored;
	json_t *status = NULL;
	const char *told = cli->bpffs;

	if (!told && fl_command_get(cli, "/api/v1/status", NULL, &ignored, &status) == 0)
		told = json_string_value(json_object_get(status, "bpffs"));
	snprintf(buffer, FL_BPFFS_MAX, "%s", told ? told : FL_BPFFS_DEFAULT);
	json_decref(status);
}

int fl_cli_open_maps(
	const struct fl_cli *cli, struct fl_maps *maps, char *ret_bpffs, struct fl_failure *failure)
{
	int r;

	find_bpffs(cli, ret_bpffs);
	r = fl_maps_open(maps, ret_bpffs, false, failure);
	if (r == -ENOENT) {
		fl_fail(failure, r, "no maps are pinned below %s", ret_bpffs);
		fl_fail_hint(failure, "name the directory with --bpffs or FAIRLEAD_BPFFS");
	} else if ((r == -EPERM || r == -EACCES) && !*failure->hint) {
		fl_fail_hint(failure, "reading the kernel's maps needs root");
	}
	return r;
}
