/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/copies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/yaml.h"
#include "core/cleanup.h"
#include "core/file.h"
#include "core/problem.h"

#define ASIDE ".new" /* what is being written; no registry file begins with a dot */

int fl_copies_make_directory(const char *directory)
{
	_cleanup_free_ char *copy = strdup(directory);

	if (!copy)
		return -ENOMEM;
	if (mkdir(dirname(copy), 0700) < 0 && errno != EEXIST)
		return -errno;
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

static int open_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Written aside and renamed, so that a copy is whole or not there. */
static int write_copy(int directory_fd, const char *name, const char *text, size_t length)
{
	_cleanup_close_ int fd =
		openat(directory_fd, ASIDE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = fl_file_write(fd, text, length);
	if (r == 0 && renameat(directory_fd, ASIDE, directory_fd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(directory_fd, ASIDE, 0);
	return r;
}

int fl_copies_store(const char *directory, const char *name, const char *text, size_t length)
{
	_cleanup_free_ char *stored = NULL;
	_cleanup_close_ int fd = -1;
	size_t stored_length = 0;
	int r = fl_copies_load(directory, name, &stored, &stored_length);

	if (r == 0 && stored_length == length && memcmp(stored, text, length) == 0)
		return 0;
	r = fl_copies_make_directory(directory);
	if (r < 0)
		return r;
	fd = open_directory(directory);
	if (fd < 0)
		return fd;
	return write_copy(fd, name, text, length);
}

int fl_copies_load(const char *directory, const char *name, char **ret, size_t *ret_length)
{
	struct fl_problems problems = { 0 };
	_cleanup_free_ char *path = NULL;
	int r;

	if (asprintf(&path, "%s/%s", directory, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = fl_yaml_read_file(path, &problems, ret, ret_length);
	fl_problems_done(&problems);
	return r;
}

static int by_bytes(const void *key, const void *item)
{
	return strcmp(key, *(char *const *)item);
}

void fl_copies_prune(const char *directory, char *const *names, size_t count)
{
	DIR *stream = opendir(directory);
	const struct dirent *entry;

	if (!stream)
		return;
	while ((entry = readdir(stream))) {
		if (entry->d_name[0] == '.')
			continue;
		if (!count || !bsearch(entry->d_name, names, count, sizeof(*names), by_bytes))
			unlinkat(dirfd(stream), entry->d_name, 0);
	}
	closedir(stream);
}
