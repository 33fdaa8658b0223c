/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/node_links.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"

#define PIN_PATH 512

/* ----------------------------------------------------------------------- pins */

static char *pin_path(
	const struct fl_kernel *kernel, const struct fl_node_hook *hook, char buffer[PIN_PATH])
{
	snprintf(buffer, PIN_PATH, "%s/links/%s", kernel->bpffs, hook->pin);
	return buffer;
}

/* Detached as well as unpinned, so that it is gone even while somebody holds it. */
static void remove_link(const struct fl_kernel *kernel, const struct fl_node_hook *hook)
{
	char path[PIN_PATH];
	_cleanup_close_ int fd = bpf_obj_get(pin_path(kernel, hook, path));

	if (fd >= 0)
		bpf_link_detach(fd);
	unlink(path);
}

bool fl_node_links_remove(
	const struct fl_kernel *kernel, const struct fl_node_hook *hooks, size_t count)
{
	char path[PIN_PATH];
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		any |= access(pin_path(kernel, &hooks[i], path), F_OK) == 0;
		remove_link(kernel, &hooks[i]);
	}
	return any;
}

/* ---------------------------------------------------------------------- attach */

static uint64_t cgroup_id(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

static uint64_t link_cgroup(int fd)
{
	struct bpf_link_info info = { 0 };
	uint32_t length = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &length) < 0 || info.type != BPF_LINK_TYPE_CGROUP)
		return 0;
	return info.cgroup.cgroup_id;
}

/* Of an earlier agent, on the same cgroup: connections see one program or the other.
 * @return 0; -ENOENT = there is none, -errno */
static int replace(
	const struct fl_kernel *kernel, const struct fl_node_hook *hook, int program, int cgroup)
{
	char path[PIN_PATH];
	_cleanup_close_ int fd = bpf_obj_get(pin_path(kernel, hook, path));

	if (fd < 0)
		return -ENOENT;
	if (link_cgroup(fd) != cgroup_id(cgroup)) {
		remove_link(kernel, hook);
		return -ENOENT;
	}
	return bpf_link_update(fd, program, NULL) < 0 ? -errno : 0;
}

static int attach(
	const struct fl_kernel *kernel, const struct fl_node_hook *hook, int program, int cgroup)
{
	int r = replace(kernel, hook, program, cgroup);
	_cleanup_close_ int fd = -1;
	char path[PIN_PATH];

	if (r != -ENOENT)
		return r;
	fd = bpf_link_create(program, cgroup, hook->type, NULL);
	if (fd < 0)
		return -errno;
	unlink(pin_path(kernel, hook, path));
	return bpf_obj_pin(fd, path) < 0 ? -errno : 0;
}

/* What others have there runs beside us; one that was attached to be alone does not. */
static int explain_attach(
	const struct fl_node_hook *hook, int code, const char *cgroup, struct fl_failure *failure)
{
	fl_fail(failure, code, "cannot attach %s to %s: %s", hook->program, cgroup,
		code == -EBADF ? "it is no cgroup of a cgroup2" : fl_log_errno(code));
	if (code == -EPERM)
		fl_fail_hint(failure,
			"another agent's program was attached there to be alone: bpftool cgroup "
			"show %s",
			cgroup);
	if (code == -EBADF)
		fl_fail_hint(failure,
			"node_path.cgroup is a directory of a cgroup2: findmnt -t cgroup2 "
			"shows where one is mounted");
	return code;
}

int fl_node_links_attach(const struct fl_kernel *kernel, const struct fl_node_hook *hooks,
	size_t count, const struct bpf_object *object, int cgroup, const char *path,
	struct fl_failure *failure)
{
	char links[PIN_PATH];

	snprintf(links, sizeof(links), "%s/links", kernel->bpffs);
	if (mkdir(links, 0700) < 0 && errno != EEXIST)
		return fl_fail(failure, -errno, "cannot make %s: %s", links, strerror(errno));
	for (size_t i = 0; i < count; i++) {
		const struct bpf_program *program =
			bpf_object__find_program_by_name(object, hooks[i].program);
		int r = program ? attach(kernel, &hooks[i], bpf_program__fd(program), cgroup) : 0;

		if (r < 0)
			return explain_attach(&hooks[i], r, path, failure);
	}
	return 0;
}
