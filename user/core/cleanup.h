/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/**
 * @file cleanup.h
 * Scope-bound ownership: a variable marked `_cleanup_…_` is released when it
 * leaves its scope, and TAKE_PTR/TAKE_FD mark the moment ownership moves on.
 */

#define _cleanup_(function) __attribute__((cleanup(function)))

/** Hand a pointer on: its value, and NULL stays behind. */
#define TAKE_PTR(pointer)                                                                          \
	({                                                                                         \
		__auto_type _taken = (pointer);                                                    \
		(pointer) = NULL;                                                                  \
		_taken;                                                                            \
	})

/** Hand a file descriptor on: its value, and -1 stays behind. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int _taken = (fd);                                                                 \
		(fd) = -1;                                                                         \
		_taken;                                                                            \
	})

/** Define `name(T *)` for _cleanup_: calls `release` on what the variable holds. */
#define FL_DEFINE_CLEANUP(type, release)                                                           \
	static inline void release##p(type *variable)                                              \
	{                                                                                          \
		if (*variable)                                                                     \
			release(*variable);                                                        \
	}

static inline void fl_cleanup_free(void *variable)
{
	free(*(void **)variable);
}

static inline void fl_cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fl_cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define _cleanup_free_   _cleanup_(fl_cleanup_free)
#define _cleanup_close_  _cleanup_(fl_cleanup_close)
#define _cleanup_fclose_ _cleanup_(fl_cleanup_fclose)
