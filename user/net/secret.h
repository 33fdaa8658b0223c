/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>

/**
 * @file secret.h
 * A secret that lies in a file (a token, a password) and may be rotated there.
 *
 * It is read again when the file changed (looked at no more often than once a
 * second) and when somebody says it was refused. White space at its ends does not count. It is
 * never logged, and wiped when it is freed.
 */
struct fl_secret;

/** The file need not exist yet. @return NULL when out of memory */
struct fl_secret *fl_secret_open(const char *path);
void fl_secret_close(struct fl_secret *secret);
/**
 * The secret as it is now; reads the file (a small local one; blocks no longer than that).
 * @param ret  borrowed until the next call
 * @return 0, -errno of the file, -EINVAL (empty, longer than 8 KiB, control characters within)
 */
int fl_secret_get(struct fl_secret *secret, const char **ret);
/** It was refused: read the file again at the next fl_secret_get. */
void fl_secret_refused(struct fl_secret *secret);
