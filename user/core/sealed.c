/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/cleanup.h"

#define NAME_ROOM   64
#define HEAD_ROOM   128
#define FILE_MAX    (256u << 20)
#define HEAD_FORMAT "# Fairlead's own: not used if changed. bytes=%zu xxh3=%016" PRIx64 "\n"
#define HEAD_SCAN   "# Fairlead's own: not used if changed. bytes=%zu xxh3=%" SCNx64

/* -------------------------------------------------------------------- store */

static int write_all(int fd, const char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t written = write(fd, bytes, count);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		bytes += written;
		count -= (size_t)written;
	}
	return 0;
}

static int write_aside(int directory_fd, const char *aside, const char *text, size_t length)
{
	_cleanup_close_ int fd =
		openat(directory_fd, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char head[HEAD_ROOM];
	int r;

	if (fd < 0)
		return -errno;
	snprintf(head, sizeof(head), HEAD_FORMAT, length, (uint64_t)XXH3_64bits(text, length));
	r = write_all(fd, head, strlen(head));
	if (r == 0)
		r = write_all(fd, text, length);
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

/* @param ret  with a NUL behind it */
static int read_all(int fd, char **ret, size_t *ret_length)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t at = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (at < (size_t)st.st_size) {
		ssize_t count = read(fd, text + at, (size_t)st.st_size - at);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			break;
		at += (size_t)count;
	}
	text[at] = '\0';
	*ret = TAKE_PTR(text);
	*ret_length = at;
	return 0;
}

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
	r = fd < 0 ? -errno : read_all(fd, &text, &length);
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
