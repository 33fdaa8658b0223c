/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "control/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/cleanup.h"
#include "core/log.h"

#define BACKLOG 128

static int make_parents(const char *path, struct fl_failure *failure)
{
	_cleanup_free_ char *directory = strdup(path);

	if (!directory)
		return fl_fail(failure, -ENOMEM, "out of memory");
	for (char *slash = strchr(directory + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(directory, 0755) < 0 && errno != EEXIST)
			return fl_fail(failure, -errno,
				"cannot create the directory %s for the control socket: %s",
				directory, fl_log_errno(errno));
		*slash = '/';
	}
	return 0;
}

/* Whether somebody accepts connections at this address. */
static bool is_answered(const struct sockaddr_un *address)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return true;
	return errno != ECONNREFUSED && errno != ENOENT;
}

/* Make room at the path: remove what a dead agent left, and only that. */
static int clear_path(const struct sockaddr_un *address, struct fl_failure *failure)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0
				       : fl_fail(failure, -errno, "cannot look at %s: %s", path,
						 fl_log_errno(errno));
	if (!S_ISSOCK(st.st_mode)) {
		fl_fail(failure, -EEXIST, "%s exists and is no socket", path);
		fl_fail_hint(failure, "remove it, or set another path in control.socket");
		return -EEXIST;
	}
	if (is_answered(address)) {
		fl_fail(failure, -EADDRINUSE, "something already answers on the control socket %s",
			path);
		fl_fail_hint(
			failure, "another fairleadd runs; give this one its own control.socket");
		return -EADDRINUSE;
	}
	if (unlink(path) < 0 && errno != ENOENT)
		return fl_fail(failure, -errno, "cannot remove the stale socket %s: %s", path,
			fl_log_errno(errno));
	return 0;
}

/* The group's number. @return false when there is no such group */
static bool find_group(const char *name, gid_t *ret)
{
	struct group entry, *found = NULL;
	char buffer[16384];

	if (getgrnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
		return false;
	*ret = found->gr_gid;
	return true;
}

/* Open the socket's file to those who may use it. */
static int set_access(
	struct fl_unix_socket *made, mode_t mode, const char *group, struct fl_failure *failure)
{
	bool wanted = group && *group;
	gid_t gid = (gid_t)-1;

	if (wanted && !find_group(group, &gid)) {
		made->group_missing = true;
		mode &= 0700;
	}
	if (gid != (gid_t)-1 && lchown(made->path, (uid_t)-1, gid) < 0)
		return fl_fail(failure, -errno, "cannot give %s to group %s: %s", made->path, group,
			fl_log_errno(errno));
	if (fchmodat(AT_FDCWD, made->path, mode, 0) < 0)
		return fl_fail(failure, -errno, "cannot set the mode of %s: %s", made->path,
			fl_log_errno(errno));
	return 0;
}

static int bind_and_listen(struct fl_unix_socket *made, const struct sockaddr_un *address,
	mode_t mode, const char *group, struct fl_failure *failure)
{
	struct stat st;
	int r;

	made->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (made->fd < 0)
		return fl_fail(
			failure, -errno, "cannot create a Unix socket: %s", fl_log_errno(errno));
	/* The mode of an unbound socket is the one its file is born with. */
	if (fchmod(made->fd, 0600) < 0 ||
		bind(made->fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return fl_fail(failure, -errno, "cannot create the control socket %s: %s",
			address->sun_path, fl_log_errno(errno));
	made->path = strdup(address->sun_path);
	if (!made->path)
		return fl_fail(failure, -ENOMEM, "out of memory");
	r = set_access(made, mode, group, failure);
	if (r < 0)
		return r;
	if (lstat(made->path, &st) == 0) {
		made->device = st.st_dev;
		made->inode = st.st_ino;
	}
	if (listen(made->fd, BACKLOG) < 0)
		return fl_fail(failure, -errno, "cannot listen on %s: %s", made->path,
			fl_log_errno(errno));
	return 0;
}

int fl_unix_socket_listen(const char *path, mode_t mode, const char *group,
	struct fl_failure *failure, struct fl_unix_socket *ret)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct fl_unix_socket made = { .fd = -1 };
	int r;

	if (strlen(path) >= sizeof(address.sun_path)) {
		fl_fail(failure, -ENAMETOOLONG,
			"the control socket's path is longer than %zu bytes: %s",
			sizeof(address.sun_path) - 1, path);
		fl_fail_hint(failure, "set a shorter one in control.socket");
		return -ENAMETOOLONG;
	}
	strcpy(address.sun_path, path);
	r = make_parents(path, failure);
	if (r < 0)
		return r;
	r = clear_path(&address, failure);
	if (r < 0)
		return r;
	r = bind_and_listen(&made, &address, mode, group, failure);
	if (r < 0) {
		fl_unix_socket_close(&made);
		return r;
	}
	*ret = made;
	return 0;
}

void fl_unix_socket_close(struct fl_unix_socket *socket)
{
	struct stat st;

	if (socket->path && lstat(socket->path, &st) == 0 && st.st_dev == socket->device &&
		st.st_ino == socket->inode)
		unlink(socket->path);
	if (socket->fd >= 0)
		close(socket->fd);
	free(socket->path);
	*socket = (struct fl_unix_socket){ .fd = -1 };
}
