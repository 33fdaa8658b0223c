/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "config/services.h"
#include "core/problem.h"
#include "core/vec.h"

/**
 * @file scan.h
 * One look at a directory of services files.
 *
 * Files are those whose name ends with .yaml and begins with no dot, in the order
 * of their names (bytes); symbolic links are followed. Files that are as they
 * were are not read again. It blocks, so the driver runs it on a worker thread:
 * a scan belongs to one thread at a time and shares nothing.
 */
#define FL_FILES_MAX 8192 /**< in one directory */

/** What tells whether a file is still the same. */
struct fl_file_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
	bool settled; /**< last changed well before it was read: the clock's grain hides nothing */
};

struct fl_file {
	char *name;
	struct fl_file_stamp stamp;
	bool is_link;
	bool kept;  /**< not read: it is as it was, or being written; nothing below is set */
	bool bad;   /**< had errors, which `problems` tells */
	bool sound; /**< `services` are all of a reading without errors, perhaps an earlier one */
	fl_service_vec services; /**< those without errors */
	struct fl_problems problems;
};
typedef FL_VEC(struct fl_file) fl_file_vec;

/** A file that is known from an earlier scan. */
struct fl_file_known {
	char *name;
	struct fl_file_stamp stamp;
	bool busy; /**< being written: leave it alone; without a stamp it is new */
	bool is_link;
};
typedef FL_VEC(struct fl_file_known) fl_file_known_vec;

struct fl_scan {
	char *directory;
	char *registry; /**< name put into services */
	char *copies;   /**< directory of last good copies, see copies.h; NULL = none are kept */
	fl_file_known_vec known;
	bool is_first; /**< nothing was adopted yet: copies stand in for what cannot be read */

	int error; /**< -errno of the directory; -ENOENT: it is absent; -E2BIG: too many files */
	fl_file_vec files; /**< in order of names */
	int copy_error;    /**< -errno when a copy could not be kept */
};

/** @param copies may be NULL. @return NULL when out of memory */
struct fl_scan *fl_scan_new(const char *directory, const char *registry, const char *copies);
/** Name a file that need not be read unless it changed (or is `busy`).
 * @param stamp  NULL = it is new. @return 0, -ENOMEM */
int fl_scan_know(struct fl_scan *scan, const char *name, const struct fl_file_stamp *stamp,
	bool busy, bool is_link);
/** Look. Blocks. The answer is in `error` and `files`. */
void fl_scan_run(struct fl_scan *scan);
void fl_scan_free(struct fl_scan *scan);

bool fl_file_name_is_used(const char *name);
bool fl_file_stamp_equal(const struct fl_file_stamp *a, const struct fl_file_stamp *b);
void fl_file_done(struct fl_file *file);
void fl_files_done(fl_file_vec *files);
