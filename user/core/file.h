/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <sys/stat.h>

/**
 * @file file.h
 * Files that are read and written as a whole. Blocks.
 */

/** @return 0, -errno (part of it may be written then) */
int fl_file_write(int fd, const char *bytes, size_t count);
/**
 * Read a regular file from where it stands, as long as it is now.
 * @param max       the most bytes that it may have
 * @param ret_stat  of the file; NULL = not wanted
 * @param ret_text  with a NUL behind it; to be freed
 * @return 0; -EFBIG: it is larger, or no regular file; -ENOMEM; -errno
 */
int fl_file_read(int fd, size_t max, struct stat *ret_stat, char **ret_text, size_t *ret_length);
