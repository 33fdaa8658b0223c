/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/node_path.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/sock_connect.skel.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "fairlead/reasons.h"
#include "kernel/bpffs.h"
#include "kernel/cgroup.h"
#include "kernel/libbpf_log.h"
#include "kernel/object.h"
#include "kernel/reader.h"

#define PIN_PATH 512

static const struct {
	const char *name;    /* of the pin */
	const char *program; /* in the object */
	enum bpf_attach_type type;
} hooks[FL_NODE_HOOKS] = {
	{ "node-connect4", "node_connect4", BPF_CGROUP_INET4_CONNECT },
	{ "node-connect6", "node_connect6", BPF_CGROUP_INET6_CONNECT },
	{ "node-sendmsg4", "node_sendmsg4", BPF_CGROUP_UDP4_SENDMSG },
	{ "node-sendmsg6", "node_sendmsg6", BPF_CGROUP_UDP6_SENDMSG },
	{ "node-recvmsg4", "node_recvmsg4", BPF_CGROUP_UDP4_RECVMSG },
	{ "node-recvmsg6", "node_recvmsg6", BPF_CGROUP_UDP6_RECVMSG },
	{ "node-getpeername4", "node_getpeername4", BPF_CGROUP_INET4_GETPEERNAME },
	{ "node-getpeername6", "node_getpeername6", BPF_CGROUP_INET6_GETPEERNAME },
};

/* ----------------------------------------------------------------------- pins */

static char *pin_path(const struct fl_kernel *kernel, size_t hook, char buffer[PIN_PATH])
{
	snprintf(buffer, PIN_PATH, "%s/links/%s", kernel->bpffs, hooks[hook].name);
	return buffer;
}

/* Detached as well as unpinned, so that it is gone even while somebody holds it. */
static void remove_link(const struct fl_kernel *kernel, size_t hook)
{
	char path[PIN_PATH];
	_cleanup_close_ int fd = bpf_obj_get(pin_path(kernel, hook, path));

	if (fd >= 0)
		bpf_link_detach(fd);
	unlink(path);
}

static bool remove_all(const struct fl_kernel *kernel)
{
	char path[PIN_PATH];
	bool any = false;

	for (size_t i = 0; i < FL_NODE_HOOKS; i++) {
		any |= access(pin_path(kernel, i, path), F_OK) == 0;
		remove_link(kernel, i);
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
static int replace(const struct fl_kernel *kernel, size_t hook, int program, int cgroup)
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

static int attach(const struct fl_kernel *kernel, size_t hook, int program, int cgroup)
{
	int r = replace(kernel, hook, program, cgroup);
	_cleanup_close_ int fd = -1;
	char path[PIN_PATH];

	if (r != -ENOENT)
		return r;
	fd = bpf_link_create(program, cgroup, hooks[hook].type, NULL);
	if (fd < 0)
		return -errno;
	unlink(pin_path(kernel, hook, path));
	return bpf_obj_pin(fd, path) < 0 ? -errno : 0;
}

/* What others have there runs beside us; one that was attached to be alone does not. */
static int explain_attach(size_t hook, int code, const char *cgroup, struct fl_failure *failure)
{
	fl_fail(failure, code, "cannot attach %s to %s: %s", hooks[hook].program, cgroup,
		code == -EBADF ? "it is no cgroup of a cgroup2" : fl_log_errno(code));
	if (code == -EPERM)
		fl_fail_hint(failure,
			"another agent's program was attached there to be alone: bpftool cgroup "
			"show %s",
			cgroup);
	return code;
}

static int attach_all(const struct fl_kernel *kernel, const struct sock_connect *object, int cgroup,
	const char *path, struct fl_failure *failure)
{
	char links[PIN_PATH];

	snprintf(links, sizeof(links), "%s/links", kernel->bpffs);
	if (mkdir(links, 0700) < 0 && errno != EEXIST)
		return fl_fail(failure, -errno, "cannot make %s: %s", links, strerror(errno));
	for (size_t i = 0; i < FL_NODE_HOOKS; i++) {
		const struct bpf_program *program =
			bpf_object__find_program_by_name(object->obj, hooks[i].program);
		int r = attach(kernel, i, bpf_program__fd(program), cgroup);

		if (r < 0)
			return explain_attach(i, r, path, failure);
	}
	return 0;
}

/* ---------------------------------------------------------------------- canary */

static uint64_t count_seen(const struct fl_kernel *kernel)
{
	uint64_t counts[FL_REASON_COUNT];
	uint64_t sum = 0;

	if (fl_read_reasons(&kernel->maps, FL_PATH_NODE, counts) < 0)
		return 0;
	for (int i = 0; i < FL_REASON_COUNT; i++)
		sum += counts[i];
	return sum;
}

/* In the child: go where the programs are and connect, to nowhere; a datagram socket
 * sends nothing for that. Calls that are safe after fork(2) only. */
static int sing(int cgroup)
{
	const struct sockaddr_in nowhere = { .sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int procs = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	int fd;

	if (procs < 0 || write(procs, "0", 1) != 1)
		return 1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* belongs to the cgroup of now */
	return fd < 0 || connect(fd, (const struct sockaddr *)&nowhere, sizeof(nowhere)) < 0;
}

/* That a hook is attached does not mean that it fires: on a machine that mixes cgroups
 * of both versions it may not. So a process looks. @return false when it does not */
static bool canary_sings(const struct fl_kernel *kernel, int cgroup)
{
	uint64_t before = count_seen(kernel);
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(sing(cgroup));
	if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) ||
		WEXITSTATUS(status) != 0) {
		fl_log(FL_LOG_WARNING, "node", "cannot see whether the hooks fire");
		return true;
	}
	return count_seen(kernel) > before;
}

/* ----------------------------------------------------------------------- start */

static int load(const struct fl_kernel *kernel, const struct fl_config *config,
	struct sock_connect *object, struct fl_failure *failure)
{
	int r = fl_object_size_maps(object->obj, &config->limits, failure);

	if (r == 0)
		r = fl_object_reuse_maps(object->obj, &kernel->maps, failure);
	if (r < 0)
		return r;
	r = sock_connect__load(object);
	return r < 0 ? fl_libbpf_log_explain(failure, r) : 0;
}

static int open_cgroup(const struct fl_config *config, char path[256], struct fl_failure *failure)
{
	int fd;

	if (config->node_cgroup) {
		snprintf(path, 256, "%s", config->node_cgroup);
	} else if (!fl_cgroup2_find(path, 256)) {
		fl_fail(failure, -ENOENT, "no cgroup2 is mounted");
		fl_fail_hint(failure, "mount -t cgroup2 none /sys/fs/cgroup");
		return -ENOENT;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? fl_fail(failure, -errno, "cannot open the cgroup %s: %s", path,
				strerror(errno))
		      : fd;
}

static int start(const struct fl_kernel *kernel, const struct fl_config *config,
	struct fl_node_path *ret, struct fl_failure *failure)
{
	_cleanup_close_ int cgroup = open_cgroup(config, ret->cgroup, failure);
	struct sock_connect *object;
	int r;

	if (cgroup < 0)
		return cgroup;
	object = sock_connect__open();
	if (!object)
		return fl_libbpf_log_explain(failure, -errno);
	r = load(kernel, config, object, failure);
	if (r == 0)
		r = attach_all(kernel, object, cgroup, ret->cgroup, failure);
	sock_connect__destroy(object);
	if (r == 0 && !canary_sings(kernel, cgroup)) {
		r = fl_fail(failure, -EXDEV,
			"the programs are attached to %s, but a process in it connects unseen",
			ret->cgroup);
		fl_fail_hint(failure, "net_cls and net_prio of cgroup v1 switch them off on old "
				      "kernels: unmount these");
	}
	return r;
}

void fl_node_path_start(
	const struct fl_kernel *kernel, const struct fl_config *config, struct fl_node_path *ret)
{
	struct fl_failure failure = { 0 };

	*ret = (struct fl_node_path){ 0 };
	if (!config->node_path) {
		if (remove_all(kernel))
			fl_log(FL_LOG_INFO, "node", "node path detached: node_path is not enabled");
		snprintf(ret->reason, sizeof(ret->reason), "not configured");
		return;
	}
	if (start(kernel, config, ret, &failure) < 0) {
		remove_all(kernel); /* half of the hooks would be worse than none */
		memcpy(ret->reason, failure.message, sizeof(ret->reason));
		memcpy(ret->hint, failure.hint, sizeof(ret->hint));
		fl_log(FL_LOG_ERROR, "node", "no node path", FL_STR("err", ret->reason),
			FL_STR("hint", ret->hint));
		return;
	}
	ret->enabled = true;
	fl_log(FL_LOG_INFO, "node", "node path attached", FL_STR("cgroup", ret->cgroup));
}
