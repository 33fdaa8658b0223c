/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/cleanup.h"
#include "core/file.h"

#define NAME_ROOM   64
#define HEAD_ROOM   128
#define FILE_MAX    (256u << 20)
#define HEAD_FORMAT "# Fairlead's own: not used if changed. bytes=%zu xxh3=%016" PRIx64 "\n"
#define HEAD_SCAN   "# Fairlead's own: not used if changed. bytes=%zu xxh3=%" SCNx64

/* -------------------------------------------------------------------- store */

static int write_aside(int directory_fd, const char *aside, const char *text, size_t length)
{
	_cleanup_close_ int fd =
		openat(directory_fd, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char head[HEAD_ROOM];
	int r;

	if (fd < 0)
		return -errno;
	snprintf(head, sizeof(head), HEAD_FORMAT, length, (uint64_t)XXH3_64bits(text, length));
	r = fl_file_write(fd, head, strlen(head));
	if (r == 0)
		r = fl_file_write(fd, text, length);
	return r == 0 && fsync(fd) < 0 ? -errno : r;
}

int fl_sealed_store(const char *directory, const char *name, const char *text, size_t length)
{
	_cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char aside[NAME_ROOM];
	int r;

	if (fd < 0)
		return -errno;
	snprintf(aside, sizeof(aside), ".%s.new", name);
	r = write_aside(fd, aside, text, length);
	if (r == 0 && renameat(fd, aside, fd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(fd, aside, 0);
	else
		fsync(fd);
	return r;
}

/* --------------------------------------------------------------------- load */

/* @return what is wrong; NULL = nothing */
static const char *check(const char *text, size_t length, const char **ret_body)
{
	const char *end = memchr(text, '\n', length);
	uint64_t checksum;
	size_t bytes;

	if (!end || sscanf(text, HEAD_SCAN, &bytes, &checksum) != 2)
		return "its first line is none of ours";
	end++;
	if (length - (size_t)(end - text) != bytes)
		return "it was cut off or added to";
	if (XXH3_64bits(end, bytes) != checksum)
		return "its checksum does not fit: it was damaged or changed";
	*ret_body = end;
	return NULL;
}

static int set_aside(int directory_fd, const char *directory, const char *name, const char *why,
	struct fl_failure *failure)
{
	char bad[NAME_ROOM];
	bool moved;

	snprintf(bad, sizeof(bad), "%s.bad", name);
	moved = renameat(directory_fd, name, directory_fd, bad) == 0;
	return fl_fail(failure, -EBADMSG, "%s/%s: %s; it is not used%s%s", directory, name, why,
		moved ? " and was renamed to " : "", moved ? bad : "");
}

int fl_sealed_load(const char *directory, const char *name, struct fl_failure *failure,
	char **ret_text, size_t *ret_length)
{
	_cleanup_close_ int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	const char *body = NULL, *wrong;
	size_t length = 0;
	int r;

	if (directory_fd < 0)
		return errno == ENOENT
			       ? -ENOENT
			       : fl_fail(failure, -errno, "%s: %s", directory, strerror(errno));
	fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	r = fd < 0 ? -errno : fl_file_read(fd, FILE_MAX, NULL, &text, &length);
	if (r < 0)
		return fl_fail(failure, r, "%s/%s: %s", directory, name, strerror(-r));
	wrong = check(text, length, &body);
	if (wrong)
		return set_aside(directory_fd, directory, name, wrong, failure);
	length -= (size_t)(body - text);
	memmove(text, body, length + 1);
	*ret_text = TAKE_PTR(text);
	*ret_length = length;
	return 0;
}
