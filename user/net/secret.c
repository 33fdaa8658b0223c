/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/secret.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/clock.h"

#define SECRET_MAX  8192
#define INTERVAL_NS 1000000000ull

struct fl_secret {
	char *path;
	bool is_read;              /* and was not refused since */
	uint64_t read_ns;          /* CLOCK_MONOTONIC */
	int error;                 /* of the last reading */
	size_t start;              /* of the secret within the text */
	char text[SECRET_MAX + 2]; /* one more byte shows that it is too long; a NUL */
};

struct fl_secret *fl_secret_open(const char *path)
{
	struct fl_secret *secret = calloc(1, sizeof(*secret));

	if (!secret)
		return NULL;
	secret->path = strdup(path);
	if (!secret->path) {
		free(secret);
		return NULL;
	}
	return secret;
}

void fl_secret_close(struct fl_secret *secret)
{
	if (!secret)
		return;
	explicit_bzero(secret->text, sizeof(secret->text));
	free(secret->path);
	free(secret);
}

/* @return bytes, at most SECRET_MAX + 1; -errno */
static ssize_t read_text(struct fl_secret *secret)
{
	/* not blocking: whoever puts a pipe there must not stop the agent */
	_cleanup_close_ int fd = open(secret->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	size_t count = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	while (count <= SECRET_MAX) {
		ssize_t n = read(fd, secret->text + count, SECRET_MAX + 1 - count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		count += (size_t)n;
	}
	return (ssize_t)count;
}

/* Cut off the white space at both ends. @return 0, -EINVAL */
static int trim(struct fl_secret *secret, size_t count)
{
	size_t start = 0;

	if (count > SECRET_MAX)
		return -EINVAL;
	while (count && isspace((unsigned char)secret->text[count - 1]))
		count--;
	while (start < count && isspace((unsigned char)secret->text[start]))
		start++;
	if (start == count)
		return -EINVAL;
	for (size_t i = start; i < count; i++)
		if (iscntrl((unsigned char)secret->text[i]))
			return -EINVAL;
	secret->text[count] = '\0';
	secret->start = start;
	return 0;
}

/* The file is small: reading it costs no more than finding out whether it changed. */
int fl_secret_get(struct fl_secret *secret, const char **ret)
{
	uint64_t now_ns = fl_clock_mono_ns();

	if (!secret->is_read || now_ns - secret->read_ns >= INTERVAL_NS) {
		ssize_t count;

		explicit_bzero(secret->text, sizeof(secret->text));
		count = read_text(secret);
		secret->error = count < 0 ? (int)count : trim(secret, (size_t)count);
		secret->is_read = true;
		secret->read_ns = now_ns;
	}
	if (secret->error < 0)
		return secret->error;
	*ret = secret->text + secret->start;
	return 0;
}

void fl_secret_refused(struct fl_secret *secret)
{
	secret->is_read = false;
}
