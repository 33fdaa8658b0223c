/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"

int fl_file_write(int fd, const char *bytes, size_t count)
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

int fl_file_read(int fd, size_t max, struct stat *ret_stat, char **ret_text, size_t *ret_length)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t at = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)max)
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
	if (ret_stat)
		*ret_stat = st;
	*ret_text = TAKE_PTR(text);
	*ret_length = at;
	return 0;
}
