/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/bpffs.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"

#define BPFFS_HOME "/sys/fs/bpf"

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* Cut the last component off. Returns false at the root. */
static bool to_parent(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || path[1] == '\0')
		return false;
	slash[slash == path ? 1 : 0] = '\0';
	return true;
}

bool fl_bpffs_holds(const char *path)
{
	char at[PATH_MAX];

	if (snprintf(at, sizeof(at), "%s", path) >= (int)sizeof(at))
		return false;
	while (access(at, F_OK) < 0) /* not only ENOENT: names with a dot give EPERM */
		if (!to_parent(at))
			return false;
	return is_bpffs(at);
}

static bool lies_below(const char *path, const char *parent)
{
	size_t length = strlen(parent);

	return strncmp(path, parent, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static int mount_home(struct fl_failure *failure)
{
	if (mount("bpf", BPFFS_HOME, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0) {
		int code = -errno;

		fl_fail(failure, code,
			"no bpffs is mounted at " BPFFS_HOME ", and mounting one failed: %s",
			strerror(-code));
		fl_fail_hint(failure,
			code == -EPERM
				? "mounting wants CAP_SYS_ADMIN: run as root, or mount -t bpf "
				  "bpf " BPFFS_HOME " before"
				: "the kernel needs CONFIG_BPF_SYSCALL and sysfs mounted at /sys");
		return code;
	}
	fl_log(FL_LOG_INFO, "kernel", "mounted a bpffs, it stays", FL_STR("path", BPFFS_HOME));
	return 0;
}

static int explain_mkdir(struct fl_failure *failure, int code, const char *path)
{
	fl_fail(failure, code, "cannot create the directory %s: %s", path, strerror(-code));
	if (code == -EPERM && strchr(path, '.')) {
		fl_fail_hint(failure, "a bpffs allows no dot in names: choose another `bpffs:`");
		return -EINVAL;
	}
	if (code == -EPERM || code == -EACCES)
		fl_fail_hint(failure, "run as root");
	return code;
}

static int make_dirs(const char *path, struct fl_failure *failure)
{
	char at[PATH_MAX];

	for (const char *end = path; *end;) {
		end = strchrnul(end + 1, '/');
		snprintf(at, sizeof(at), "%.*s", (int)(end - path), path);
		if (mkdir(at, 0700) < 0 && errno != EEXIST)
			return explain_mkdir(failure, -errno, at);
	}
	return 0;
}

int fl_bpffs_prepare(const char *path, struct fl_failure *failure)
{
	int r = 0;

	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return fl_fail(failure, -EINVAL, "bpffs: %s is not an absolute path", path);
	if (lies_below(path, BPFFS_HOME) && !is_bpffs(BPFFS_HOME))
		r = mount_home(failure);
	if (r < 0)
		return r;
	if (!fl_bpffs_holds(path)) {
		fl_fail(failure, -EINVAL, "bpffs: %s does not lie inside a bpffs", path);
		fl_fail_hint(failure, "choose a directory below " BPFFS_HOME
				      ", or mount -t bpf bpf DIRECTORY first");
		return -EINVAL;
	}
	r = make_dirs(path, failure);
	if (r < 0)
		return r;
	if (!fl_bpffs_is_there(path))
		return fl_fail(failure, -ENOTDIR, "bpffs: %s is not a directory", path);
	return 0;
}

bool fl_bpffs_is_there(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

int fl_bpffs_pin(int fd, const char *dir, const char *name)
{
	_cleanup_free_ char *path = NULL, *fresh = NULL;
	int r = 0;

	if (asprintf(&path, "%s/%s", dir, name) < 0 || asprintf(&fresh, "%s/%s_new", dir, name) < 0)
		return -ENOMEM;
	if (unlink(fresh) < 0 && errno != ENOENT)
		return -errno;
	if (bpf_obj_pin(fd, fresh) < 0)
		return -errno;
	if (rename(fresh, path) < 0) {
		r = -errno;
		unlink(fresh);
	}
	return r;
}

int fl_bpffs_remove_dir(const char *dir)
{
	DIR *entries = opendir(dir);
	int r = 0;

	if (!entries)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *entry; (entry = readdir(entries));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(entries), entry->d_name, 0) < 0 && errno != ENOENT)
			r = -errno;
	}
	closedir(entries);
	if (rmdir(dir) < 0 && errno != ENOENT && r == 0)
		r = -errno;
	return r;
}
