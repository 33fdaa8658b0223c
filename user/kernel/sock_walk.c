/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/sock_walk.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bpf/sock_close.skel.h"
#include "core/cleanup.h"
#include "core/vec.h"
#include "kernel/libbpf_log.h"
#include "kernel/namespaces.h"
#include "kernel/object.h"
#include "kernel/sock_diag.h"

const char *fl_close_way_name(enum fl_close_way way)
{
	static const char *const names[] = { "none", "bpf_sock_destroy", "sock_diag" };

	return names[way];
}

static bool has_destroy(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has = btf && btf__find_by_name_kind(btf, "bpf_sock_destroy", BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return has;
}

enum fl_close_way fl_sock_walk_way(void)
{
	if (has_destroy())
		return FL_CLOSE_BPF;
	return fl_sock_diag_probe() == 0 ? FL_CLOSE_DIAG : FL_CLOSE_NOT;
}

/* ------------------------------------------------------------------------ open */

static int link_program(const struct bpf_program *program, int map_fd)
{
	union bpf_iter_link_info info = { .map.map_fd = (uint32_t)map_fd };
	LIBBPF_OPTS(bpf_link_create_opts, options);
	int fd;

	if (map_fd >= 0) {
		options.iter_info = &info;
		options.iter_info_len = sizeof(info);
	}
	fd = bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_ITER, &options);
	return fd < 0 ? -errno : fd;
}

static int link_all(
	struct fl_sock_walk *walk, const struct sock_close *object, const struct fl_node_maps *maps)
{
	bool closes = walk->way == FL_CLOSE_BPF;

	if (bpf_program__autoload(object->progs.find)) {
		walk->find = link_program(object->progs.find, maps->fd[FL_NODE_MAP_sockets]);
		if (walk->find < 0)
			return walk->find;
	}
	walk->tcp = link_program(closes ? object->progs.close_tcp : object->progs.list_tcp, -1);
	if (walk->tcp < 0)
		return walk->tcp;
	walk->udp = link_program(closes ? object->progs.close_udp : object->progs.list_udp, -1);
	return walk->udp < 0 ? walk->udp : 0;
}

static int load(const struct fl_kernel *kernel, const struct fl_config *config,
	const struct fl_node_maps *maps, struct sock_close *object, enum fl_close_way way,
	struct fl_failure *failure)
{
	bool closes = way == FL_CLOSE_BPF;
	int r = fl_object_reuse_maps(object->obj, &kernel->maps, failure);

	bpf_program__set_autoload(object->progs.close_tcp, closes);
	bpf_program__set_autoload(object->progs.close_udp, closes);
	bpf_program__set_autoload(object->progs.list_tcp, !closes);
	bpf_program__set_autoload(object->progs.list_udp, !closes);
	if (r == 0)
		r = fl_node_maps_size(object->obj, &config->limits, failure);
	if (r == 0)
		r = fl_node_maps_reuse(object->obj, maps, failure);
	if (r < 0)
		return r;
	r = sock_close__load(object);
	return r < 0 ? fl_libbpf_log_explain(failure, r) : 0;
}

/* @param finds  with the program that looks through what sockets remember */
static int open_walk(const struct fl_kernel *kernel, const struct fl_config *config,
	const struct fl_node_maps *maps, bool finds, struct fl_failure *failure,
	struct fl_sock_walk *walk)
{
	struct sock_close *object = sock_close__open();
	int r;

	if (!object)
		return fl_libbpf_log_explain(failure, -errno);
	bpf_program__set_autoload(object->progs.find, finds);
	r = load(kernel, config, maps, object, walk->way, failure);
	if (r == 0) {
		r = link_all(walk, object, maps);
		if (r < 0)
			fl_fail(failure, r, "cannot make an iterator over sockets: %s",
				strerror(-r));
	}
	sock_close__destroy(object);
	return r;
}

int fl_sock_walk_open(const struct fl_kernel *kernel, const struct fl_config *config,
	const struct fl_node_maps *maps, enum fl_close_way way, struct fl_failure *failure,
	struct fl_sock_walk *ret)
{
	struct fl_sock_walk walk = FL_SOCK_WALK_NONE;
	int r;

	walk.way = way;
	if (way == FL_CLOSE_NOT)
		return fl_fail(failure, -EOPNOTSUPP,
			"this kernel lets nobody close sockets: it has neither bpf_sock_destroy "
			"(Linux 6.5) nor CONFIG_INET_DIAG_DESTROY");
	r = open_walk(kernel, config, maps, true, failure, &walk);
	if (r < 0) {
		fl_sock_walk_close(&walk);
		r = open_walk(kernel, config, maps, false, failure, &walk);
	}
	if (r < 0) {
		fl_sock_walk_close(&walk);
		return r;
	}
	*ret = walk;
	return 0;
}

void fl_sock_walk_close(struct fl_sock_walk *walk)
{
	fl_cleanup_close(&walk->find);
	fl_cleanup_close(&walk->tcp);
	fl_cleanup_close(&walk->udp);
	walk->find = walk->tcp = walk->udp = -1;
}

/* ------------------------------------------------------------------------ read */

typedef int read_fn(void *context, const void *record);

/* Run an iterator and hand each record to `each`. Records are whole, however much is
 * read at once, but may be cut by the end of the buffer. */
static int run(int link, size_t record_size, read_fn *each, void *context)
{
	_cleanup_close_ int fd = bpf_iter_create(link);
	char buffer[64 * sizeof(struct fl_stale_socket)];
	size_t have = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t count = read(fd, buffer + have, sizeof(buffer) - have);
		size_t at = 0;

		if (count < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (count <= 0)
			return count < 0 ? -errno : 0;
		have += (size_t)count;
		for (; have - at >= record_size; at += record_size) {
			int r = each(context, buffer + at);

			if (r)
				return r;
		}
		memmove(buffer, buffer + at, have - at);
		have -= at;
	}
}

/* ------------------------------------------------------------------------ walk */

typedef FL_VEC(uint32_t) inode_vec;

static int note_inode(void *context, const void *record)
{
	inode_vec *inodes = context;
	uint32_t inode, *added;

	memcpy(&inode, record, sizeof(inode));
	for (size_t i = 0; i < inodes->count; i++)
		if (inodes->items[i] == inode)
			return 0;
	added = fl_vec_push(inodes);
	if (!added)
		return -ENOMEM;
	*added = inode;
	return 0;
}

struct tour {
	const struct fl_sock_walk *walk;
	fl_sock_walk_fn *each;
	void *context;
};

static int meet(void *context, const void *record)
{
	const struct tour *tour = context;
	struct fl_stale_socket socket;
	int r;

	memcpy(&socket, record, sizeof(socket));
	if (tour->walk->way == FL_CLOSE_DIAG) {
		r = fl_sock_diag_destroy(&socket);
		if (r == -ENOENT)
			return 0; /* it closed by itself */
		socket.closed = r == 0;
	}
	return tour->each(tour->context, &socket);
}

static int walk_here(void *context)
{
	struct tour *tour = context;
	int r = run(tour->walk->tcp, sizeof(struct fl_stale_socket), meet, tour);

	return r ? r : run(tour->walk->udp, sizeof(struct fl_stale_socket), meet, tour);
}

/* One that went, or that nothing leads to any more, has no sockets that we could know of. */
static int walk_everywhere(struct tour *tour)
{
	_cleanup_free_ uint32_t *inodes = NULL;
	size_t count;
	int r = fl_namespaces_list(&inodes, &count);

	if (r == 0)
		r = fl_namespaces_visit(inodes, count, walk_here, tour);
	return r < 0 ? r : 0;
}

int fl_sock_walk(const struct fl_sock_walk *walk, fl_sock_walk_fn *each, void *context)
{
	struct tour tour = { walk, each, context };
	inode_vec inodes = { 0 };
	int r;

	if (walk->find < 0)
		return walk_everywhere(&tour);
	r = run(walk->find, sizeof(uint32_t), note_inode, &inodes);
	if (r == 0 && inodes.count)
		r = fl_namespaces_visit(inodes.items, inodes.count, walk_here, &tour);
	if (r >= 0)
		r = (size_t)r == inodes.count ? 0 : -ENOENT;
	fl_vec_done(&inodes);
	return r;
}
