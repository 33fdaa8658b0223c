/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>

/**
 * @file copies.h
 * Copies of the files that a registry last read without errors, in the state
 * directory: what a restarted agent goes on with while a file is broken.
 * Blocks; used on worker threads.
 */

/**
 * Keep a copy; one that is the same already is left alone.
 * @param directory  made, with the one it is in; that one's must exist
 * @return 0, -errno
 */
int fl_copies_store(const char *directory, const char *name, const char *text, size_t length);

/** Make a directory and the one it is in, for us alone. @return 0, -errno */
int fl_copies_make_directory(const char *directory);

/** Read a copy. @param ret to be freed. @return 0, -ENOENT, -errno */
int fl_copies_load(const char *directory, const char *name, char **ret, size_t *ret_length);

/** Remove the copies of all files but these; names are sorted by bytes. */
void fl_copies_prune(const char *directory, char *const *names, size_t count);
