/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/neighbours.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/cleanup.h"

static const struct {
	const char *name;
	const char *pin; /* of our own link, below BPFFS/links */
	enum bpf_attach_type type;
} hooks[] = {
	{ "connect4", "node-connect4", BPF_CGROUP_INET4_CONNECT },
	{ "connect6", "node-connect6", BPF_CGROUP_INET6_CONNECT },
	{ "sendmsg4", "node-sendmsg4", BPF_CGROUP_UDP4_SENDMSG },
	{ "sendmsg6", "node-sendmsg6", BPF_CGROUP_UDP6_SENDMSG },
	{ "recvmsg4", "node-recvmsg4", BPF_CGROUP_UDP4_RECVMSG },
	{ "recvmsg6", "node-recvmsg6", BPF_CGROUP_UDP6_RECVMSG },
	{ "getpeername4", "node-getpeername4", BPF_CGROUP_INET4_GETPEERNAME },
	{ "getpeername6", "node-getpeername6", BPF_CGROUP_INET6_GETPEERNAME },
	{ "sockops", "node-watch", BPF_CGROUP_SOCK_OPS },
};
#define HOOKS       (sizeof(hooks) / sizeof(hooks[0]))
#define PROGRAMS    64 /* at one hook of one cgroup; the kernel's limit */
#define DEPTH_MAX   32
#define CGROUP_PATH 256

/* What one hook of one cgroup has. */
struct programs {
	uint32_t id[PROGRAMS];
	uint32_t count;
};

struct search {
	uint32_t own[HOOKS];             /* 0 = ours is not attached */
	struct programs in_force[HOOKS]; /* of our cgroup, in the order in which they run */
	unsigned visited;
	struct fl_neighbours *found;
};

/* ---------------------------------------------------------------------- asking */

/* @return 0; -EINVAL = this kernel has no such hook */
static int query(int cgroup, size_t hook, uint32_t flags, struct programs *ret)
{
	ret->count = PROGRAMS;
	if (bpf_prog_query(cgroup, hooks[hook].type, flags, NULL, ret->id, &ret->count) == 0)
		return 0;
	ret->count = 0;
	return errno == EINVAL ? 0 : -errno;
}

static uint32_t own_program(const char *bpffs, size_t hook)
{
	char path[4096];
	struct bpf_link_info info = { 0 };
	uint32_t length = sizeof(info);
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/links/%s", bpffs, hooks[hook].pin);
	fd = bpf_obj_get(path);
	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info.prog_id : 0;
}

static void read_name(uint32_t id, char ret[16])
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);

	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0)
		snprintf(ret, 16, "%s", info.name);
}

/* ----------------------------------------------------------------------- order */

static size_t place_of(const struct programs *programs, uint32_t id)
{
	size_t place = 0;

	while (place < programs->count && programs->id[place] != id)
		place++;
	return place;
}

/* What is not in force at our own cgroup is below it, and runs first. */
static bool runs_before(const struct search *search, size_t hook, uint32_t id)
{
	const struct programs *programs = &search->in_force[hook];
	size_t place = place_of(programs, id);

	return place == programs->count || place < place_of(programs, search->own[hook]);
}

/* --------------------------------------------------------------------- looking */

static void add(struct search *search, const char *cgroup, size_t hook, uint32_t id)
{
	struct fl_neighbours *found = search->found;
	struct fl_neighbour *item;

	if (id == search->own[hook])
		return;
	if (found->count == FL_NEIGHBOURS_MAX) {
		found->incomplete = true;
		return;
	}
	item = &found->items[found->count++];
	*item = (struct fl_neighbour){
		.id = id, .hook = hooks[hook].name, .before = runs_before(search, hook, id)
	};
	snprintf(item->cgroup, sizeof(item->cgroup), "%s", cgroup);
	read_name(id, item->name);
}

static int look_at(struct search *search, int fd, const char *cgroup)
{
	struct programs programs;

	search->visited++;
	for (size_t hook = 0; hook < HOOKS; hook++) {
		int r = query(fd, hook, 0, &programs);

		if (r < 0)
			return r;
		for (uint32_t i = 0; i < programs.count; i++)
			add(search, cgroup, hook, programs.id[i]);
	}
	return 0;
}

static int open_cgroup(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Up to where the tree ends, or what can be seen of it. */
static int look_above(struct search *search, const char *cgroup)
{
	char path[CGROUP_PATH];
	char *slash;

	snprintf(path, sizeof(path), "%s", cgroup);
	while ((slash = strrchr(path, '/')) && slash != path) {
		_cleanup_close_ int fd = -1;
		struct statfs fs;
		int r;

		*slash = '\0';
		fd = open_cgroup(path);
		if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
			return 0;
		r = look_at(search, fd, path);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One that goes while it is looked at has nothing any more. */
static int look_below(struct search *search, const char *cgroup, int depth)
{
	DIR *entries = opendir(cgroup);
	int r = 0;

	for (struct dirent *entry; entries && r == 0 && (entry = readdir(entries));) {
		_cleanup_close_ int fd = -1;
		char path[CGROUP_PATH];

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (search->visited >= FL_NEIGHBOURS_CGROUPS_MAX || depth >= DEPTH_MAX ||
			snprintf(path, sizeof(path), "%s/%s", cgroup, entry->d_name) >=
				CGROUP_PATH) {
			search->found->incomplete = true;
			continue;
		}
		fd = open_cgroup(path);
		if (fd < 0)
			continue;
		r = look_at(search, fd, path);
		if (r == 0)
			r = look_below(search, path, depth + 1);
	}
	if (entries)
		closedir(entries);
	return r;
}

static int look_everywhere(struct search *search, const char *bpffs, const char *cgroup)
{
	_cleanup_close_ int fd = open_cgroup(cgroup);
	int r = fd < 0 ? fd : 0;

	for (size_t hook = 0; hook < HOOKS && r == 0; hook++) {
		search->own[hook] = own_program(bpffs, hook);
		r = query(fd, hook, BPF_F_QUERY_EFFECTIVE, &search->in_force[hook]);
	}
	if (r == 0)
		r = look_at(search, fd, cgroup);
	if (r == 0)
		r = look_above(search, cgroup);
	return r == 0 ? look_below(search, cgroup, 0) : r;
}

int fl_neighbours_find(const char *bpffs, const char *cgroup, struct fl_neighbours *ret)
{
	struct fl_neighbours found = { .items = calloc(FL_NEIGHBOURS_MAX, sizeof(*found.items)) };
	struct search *search = calloc(1, sizeof(*search));
	int r = -ENOMEM;

	if (found.items && search) {
		search->found = &found;
		r = look_everywhere(search, bpffs, cgroup);
	}
	free(search);
	if (r < 0)
		fl_neighbours_done(&found);
	else
		*ret = found;
	return r;
}

void fl_neighbours_done(struct fl_neighbours *neighbours)
{
	free(neighbours->items);
	*neighbours = (struct fl_neighbours){ 0 };
}
