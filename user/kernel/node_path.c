/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/node_path.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf/sock_connect.skel.h"
#include "bpf/sock_explain.skel.h"
#include "bpf/sock_watch.skel.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "kernel/bpffs.h"
#include "kernel/canary.h"
#include "kernel/cgroup.h"
#include "kernel/libbpf_log.h"
#include "kernel/node_links.h"
#include "kernel/object.h"

static const struct fl_node_hook hooks[] = {
	{ "node-connect4", "node_connect4", BPF_CGROUP_INET4_CONNECT },
	{ "node-connect6", "node_connect6", BPF_CGROUP_INET6_CONNECT },
	{ "node-sendmsg4", "node_sendmsg4", BPF_CGROUP_UDP4_SENDMSG },
	{ "node-sendmsg6", "node_sendmsg6", BPF_CGROUP_UDP6_SENDMSG },
	{ "node-recvmsg4", "node_recvmsg4", BPF_CGROUP_UDP4_RECVMSG },
	{ "node-recvmsg6", "node_recvmsg6", BPF_CGROUP_UDP6_RECVMSG },
	{ "node-getpeername4", "node_getpeername4", BPF_CGROUP_INET4_GETPEERNAME },
	{ "node-getpeername6", "node_getpeername6", BPF_CGROUP_INET6_GETPEERNAME },
	{ "node-watch", "node_watch", BPF_CGROUP_SOCK_OPS },
	{ "node-release", "node_release", BPF_CGROUP_INET_SOCK_RELEASE },
};
#define HOOK_COUNT (sizeof(hooks) / sizeof(hooks[0]))

/* ----------------------------------------------------------------------- load */

/* Maps of both kinds sized, and those adopted that are pinned by now. */
static int size_object(const struct fl_kernel *kernel, const struct fl_config *config,
	struct bpf_object *object, struct fl_failure *failure)
{
	int r = fl_object_size_maps(object, &config->limits, failure);

	if (r == 0)
		r = fl_object_reuse_maps(object, &kernel->maps, failure);
	if (r == 0)
		r = fl_node_maps_size(object, &config->limits, failure);
	return r;
}

static int prepare_maps(const struct fl_kernel *kernel, const struct fl_config *config,
	struct fl_node_maps *maps, struct fl_failure *failure)
{
	struct sock_connect *object = sock_connect__open();
	int r = object ? size_object(kernel, config, object->obj, failure)
		       : fl_libbpf_log_explain(failure, -errno);

	if (r == 0)
		r = fl_node_maps_prepare(maps, object->obj, kernel->bpffs, failure);
	sock_connect__destroy(object);
	return r;
}

static int load_object(const struct fl_kernel *kernel, const struct fl_config *config,
	struct bpf_object *object, const struct fl_node_path *path, struct fl_failure *failure)
{
	int r = size_object(kernel, config, object, failure);

	if (r == 0)
		r = fl_node_maps_reuse(object, &path->maps, failure);
	if (r < 0)
		return r;
	r = bpf_object__load(object);
	return r < 0 ? fl_libbpf_log_explain(failure, r) : 0;
}

/* Load an object and put what it has on the cgroup. */
static int put_object(const struct fl_kernel *kernel, const struct fl_config *config,
	struct bpf_object *object, int cgroup, const struct fl_node_path *path,
	struct fl_failure *failure)
{
	int r = load_object(kernel, config, object, path, failure);

	if (r < 0)
		return r;
	return fl_node_links_attach(
		kernel, hooks, HOOK_COUNT, object, cgroup, path->cgroup, failure);
}

static int put_connect(const struct fl_kernel *kernel, const struct fl_config *config, int cgroup,
	const struct fl_node_path *path, struct fl_failure *failure)
{
	struct sock_connect *object = sock_connect__open();
	int r = object ? put_object(kernel, config, object->obj, cgroup, path, failure)
		       : fl_libbpf_log_explain(failure, -errno);

	sock_connect__destroy(object);
	return r;
}

static int put_watch(const struct fl_kernel *kernel, const struct fl_config *config, int cgroup,
	const struct fl_node_path *path, struct fl_failure *failure)
{
	struct sock_watch *object = sock_watch__open();
	int r = object ? put_object(kernel, config, object->obj, cgroup, path, failure)
		       : fl_libbpf_log_explain(failure, -errno);

	sock_watch__destroy(object);
	return r;
}

/* For `fairlead explain`: pinned beside the maps, and gone with them. */
static int put_explain(const struct fl_kernel *kernel, const struct fl_config *config,
	const struct fl_node_path *path, struct fl_failure *failure)
{
	struct sock_explain *object = sock_explain__open();
	int r = object ? load_object(kernel, config, object->obj, path, failure)
		       : fl_libbpf_log_explain(failure, -errno);
	char folder[512];

	if (r == 0) {
		snprintf(folder, sizeof(folder), "%s/node", kernel->bpffs);
		r = fl_bpffs_pin(bpf_program__fd(object->progs.node_explain), folder, "explain");
		if (r < 0)
			fl_fail(failure, r, "cannot pin %s/explain: %s", folder, fl_log_errno(r));
	}
	sock_explain__destroy(object);
	return r;
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
	int r;

	if (cgroup < 0)
		return cgroup;
	r = prepare_maps(kernel, config, &ret->maps, failure);
	/* Whoever counts is there before what is counted. */
	if (r == 0)
		r = put_watch(kernel, config, cgroup, ret, failure);
	if (r == 0)
		r = put_connect(kernel, config, cgroup, ret, failure);
	if (r == 0)
		r = put_explain(kernel, config, ret, failure);
	if (r == 0 && !fl_canary_sings(kernel, cgroup)) {
		r = fl_fail(failure, -EXDEV,
			"the programs are attached to %s, but a process in it connects unseen",
			ret->cgroup);
		fl_fail_hint(failure, "net_cls and net_prio of cgroup v1 switch them off on old "
				      "kernels: unmount these");
	}
	return r;
}

/* Half of the hooks would be worse than none. @return whether there was any */
static bool remove_all(const struct fl_kernel *kernel, struct fl_node_path *path)
{
	bool any = fl_node_links_remove(kernel, hooks, HOOK_COUNT);

	fl_node_maps_close(&path->maps);
	fl_node_maps_remove(kernel->bpffs);
	return any;
}

/* Without it connections can be made, and those to endpoints that went stay. */
static void open_walk(
	const struct fl_kernel *kernel, const struct fl_config *config, struct fl_node_path *path)
{
	struct fl_failure failure = { 0 };

	if (fl_sock_walk_open(
		    kernel, config, &path->maps, fl_sock_walk_way(), &failure, &path->walk) == 0)
		return;
	snprintf(path->walk_reason, sizeof(path->walk_reason), "%.199s", failure.message);
	fl_log(FL_LOG_WARNING, "node", "stale connections cannot be closed, they stay",
		FL_STR("err", path->walk_reason));
}

/* They are no reason not to start: all run, in a known order. */
static void find_neighbours(const struct fl_kernel *kernel, struct fl_node_path *path)
{
	int r = fl_neighbours_find(kernel->bpffs, path->cgroup, &path->neighbours);

	if (r < 0)
		fl_log(FL_LOG_WARNING, "node", "cannot see programs of others on the cgroup",
			FL_ERR(r));
	for (size_t i = 0; r == 0 && i < path->neighbours.count; i++) {
		const struct fl_neighbour *item = &path->neighbours.items[i];

		fl_log(FL_LOG_WARNING, "node",
			item->before ? "another program runs before ours"
				     : "another program runs after ours",
			FL_STR("hook", item->hook), FL_STR("program", item->name),
			FL_UINT("id", item->id), FL_STR("cgroup", item->cgroup));
	}
}

void fl_node_path_start(
	const struct fl_kernel *kernel, const struct fl_config *config, struct fl_node_path *ret)
{
	struct fl_failure failure = { 0 };

	*ret = (struct fl_node_path){ .maps = FL_NODE_MAPS_NONE, .walk = FL_SOCK_WALK_NONE };
	if (!config->node_path) {
		if (remove_all(kernel, ret))
			fl_log(FL_LOG_INFO, "node", "node path detached: node_path is not enabled");
		snprintf(ret->reason, sizeof(ret->reason), "not configured");
		return;
	}
	if (start(kernel, config, ret, &failure) < 0) {
		remove_all(kernel, ret);
		memcpy(ret->reason, failure.message, sizeof(ret->reason));
		memcpy(ret->hint, failure.hint, sizeof(ret->hint));
		fl_log(FL_LOG_ERROR, "node", "no node path", FL_STR("err", ret->reason),
			FL_STR("hint", ret->hint));
		return;
	}
	ret->enabled = true;
	find_neighbours(kernel, ret);
	open_walk(kernel, config, ret);
	fl_log(FL_LOG_INFO, "node", "node path attached", FL_STR("cgroup", ret->cgroup));
}

void fl_node_path_stop(struct fl_node_path *path)
{
	fl_neighbours_done(&path->neighbours);
	fl_sock_walk_close(&path->walk);
	fl_node_maps_close(&path->maps);
}
