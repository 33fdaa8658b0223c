/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "cli/cli.h"
#include "kernel/maps.h"

/**
 * @file pins.h
 * The pinned maps, for commands that need no agent.
 */
#define FL_BPFFS_MAX 4096

/**
 * Open the maps for reading: below --bpffs or FAIRLEAD_BPFFS, else where the
 * agent says it has them, else the usual place.
 * @param ret_bpffs  FL_BPFFS_MAX bytes: the directory that was chosen
 * @return 0; -ENOENT, -EPERM and others with message and hint
 */
int fl_cli_open_maps(const struct fl_cli *cli, struct fl_maps *maps, char *ret_bpffs,
	struct fl_failure *failure);
