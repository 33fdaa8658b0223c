/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>

#include "core/failure.h"

/**
 * @file sealed.h
 * A small file in the state directory that the agent writes for its next start:
 * text that people can read, behind a first line with its length and checksum (XXH3, 64
 * bits). It is written aside and renamed, so that it is whole or the one before; one
 * that was cut off, damaged or edited is not obeyed. Blocks.
 */

/**
 * @param directory  must exist
 * @param name       of the file, such as "health"
 * @return 0, -errno (the one before is still there)
 */
int fl_sealed_store(const char *directory, const char *name, const char *text, size_t length);

/**
 * @param failure   says what is wrong with it and what became of it; untouched on -ENOENT
 * @param ret_text  without the first line; a NUL follows; to be freed
 * @return 0; -ENOENT: there is none; -EBADMSG: it was renamed to NAME.bad; -errno
 */
int fl_sealed_load(const char *directory, const char *name, struct fl_failure *failure,
	char **ret_text, size_t *ret_length);
