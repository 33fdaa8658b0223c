/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/cgroup.h"

#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "core/cleanup.h"

/* The root of the tree has inode 1, which is its id; that of a part of it has another. */
#define ROOT_INODE 1

/* "ID PARENT MAJOR:MINOR ROOT MOUNTPOINT … - TYPE SOURCE …" @return whether it is one, and
 * what is seen there is it */
static bool take_mount(const char *line, struct fl_cgroup2_mount *ret)
{
	const char *type = strstr(line, " - ");
	struct statfs fs;
	struct stat st;

	if (!type || strncmp(type, " - cgroup2 ", 11) != 0)
		return false;
	if (sscanf(line, "%*s %*s %*s %*s %255s", ret->path) != 1)
		return false;
	if (statfs(ret->path, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC ||
		stat(ret->path, &st) < 0)
		return false;
	ret->is_root = st.st_ino == ROOT_INODE;
	return true;
}

size_t fl_cgroup2_mounts(struct fl_cgroup2_mount *ret, size_t max)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0, count = 0;

	while (file && count < max && getline(&line, &room, file) > 0)
		count += take_mount(line, &ret[count]);
	return count;
}

bool fl_cgroup2_find(char *path, size_t size)
{
	struct fl_cgroup2_mount first;

	if (fl_cgroup2_mounts(&first, 1) == 0)
		return false;
	snprintf(path, size, "%s", first.path);
	return true;
}

/* "0::/PATH" of version 2, from the root of the cgroup namespace. */
static bool own_path(char *ret, size_t size)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0)
		if (strncmp(line, "0::/", 4) == 0) {
			line[strcspn(line, "\n")] = '\0';
			snprintf(ret, size, "%s", line + 3);
			return true;
		}
	return false;
}

uint64_t fl_cgroup2_own(void)
{
	char root[256], own[512], path[800];
	struct stat st;

	if (!fl_cgroup2_find(root, sizeof(root)) || !own_path(own, sizeof(own)))
		return 0;
	snprintf(path, sizeof(path), "%s%s", root, own);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}
