/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/**
 * @file paths.h
 * Where an agent keeps its things, read from a configuration that may be broken
 * otherwise: what `fairleadd --detach` needs and no more.
 */
struct fl_paths {
	char *state_dir;
	char *bpffs;
};

/**
 * Read `state_dir` and `bpffs` at the top level of the file; what it does not
 * name is the default. Stops at the first syntax error and, for the rest of
 * the file, takes lines that begin with one of the two keys.
 * @return 0, -errno when the file cannot be read, -ENOMEM
 */
int fl_paths_load(const char *file, struct fl_paths *ret);
void fl_paths_done(struct fl_paths *paths);
