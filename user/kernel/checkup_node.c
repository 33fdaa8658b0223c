/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/cleanup.h"
#include "core/defaults.h"
#include "core/log.h"
#include "kernel/cgroup.h"
#include "kernel/checkup.h"
#include "kernel/listeners.h"
#include "kernel/neighbours.h"

static const char *bpffs_of(const struct fl_checkup *checkup)
{
	return checkup->config ? checkup->config->bpffs : FL_BPFFS_DEFAULT;
}

static bool has_node_path(const struct fl_checkup *checkup)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/links/node-connect4", bpffs_of(checkup));
	return access(path, F_OK) == 0;
}

/* --------------------------------------------------------------------- cgroups */

static void check_cgroup2(struct fl_checkup *checkup)
{
	struct fl_cgroup2_mount mounts[FL_CGROUP2_MOUNTS_MAX];
	size_t count = fl_cgroup2_mounts(mounts, FL_CGROUP2_MOUNTS_MAX);

	if (count == 0)
		fl_checkup_add(checkup, "cgroup2", NULL, FL_CHECK_WARN,
			"only the node path needs it: mount -t cgroup2 none /sys/fs/cgroup",
			"not mounted");
	for (size_t i = 0; i < count; i++) {
		if (mounts[i].is_root)
			fl_checkup_add(checkup, "cgroup2", mounts[i].path, FL_CHECK_OK, NULL,
				"mounted with its root%s",
				i == 0 ? "; the node path can use it" : "");
		else
			fl_checkup_add(checkup, "cgroup2", mounts[i].path, FL_CHECK_WARN,
				"run fairleadd outside of the container's cgroup namespace, or "
				"mount the host's tree and name it as node_path.cgroup",
				"a part of the tree only, such as a container has: the node path "
				"would see no process outside of it");
	}
}

/* Kernels before 5.15 kept one word in a socket for either version. */
static void check_cgroup1(struct fl_checkup *checkup)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		const char *type = strstr(line, " - cgroup ");
		char point[256];

		if (type && (strstr(type, "net_cls") || strstr(type, "net_prio")) &&
			sscanf(line, "%*s %*s %*s %*s %255s", point) == 1)
			fl_checkup_add(checkup, "cgroup1", point, FL_CHECK_OK, NULL,
				"net_cls or net_prio of version 1: in nobody's way since Linux "
				"5.15; at each start the agent sees by a connection of its own "
				"whether hooks fire");
	}
}

/* ----------------------------------------------------------------------- hooks */

static const struct {
	const char *name;
	enum bpf_attach_type type;
} hooks[] = {
	{ "connect4", BPF_CGROUP_INET4_CONNECT },
	{ "connect6", BPF_CGROUP_INET6_CONNECT },
	{ "sendmsg4", BPF_CGROUP_UDP4_SENDMSG },
	{ "sendmsg6", BPF_CGROUP_UDP6_SENDMSG },
	{ "recvmsg4", BPF_CGROUP_UDP4_RECVMSG },
	{ "recvmsg6", BPF_CGROUP_UDP6_RECVMSG },
	{ "getpeername4", BPF_CGROUP_INET4_GETPEERNAME },
	{ "getpeername6", BPF_CGROUP_INET6_GETPEERNAME },
};

/* return 1; @return 0, -errno */
static int try_hook(enum bpf_attach_type type)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = type);
	_cleanup_close_ int fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "fl_hook",
		"Dual BSD/GPL", code, sizeof(code) / sizeof(code[0]), &options);

	return fd < 0 ? -errno : 0;
}

static void check_hooks(struct fl_checkup *checkup)
{
	char absent[128] = "";
	int r = 0;

	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]) && r != -EPERM; i++) {
		size_t used = strlen(absent);

		r = try_hook(hooks[i].type);
		if (r < 0)
			snprintf(absent + used, sizeof(absent) - used, "%s%s", used ? ", " : "",
				hooks[i].name);
	}
	if (r == -EPERM)
		fl_checkup_add(checkup, "hooks", NULL, FL_CHECK_WARN, "ask again as root",
			"those of the node path could not be tried: %s", fl_log_errno(r));
	else if (*absent)
		fl_checkup_add(checkup, "hooks", NULL, FL_CHECK_WARN,
			"the node path needs all of them, and Linux 6.1 or later with "
			"CONFIG_CGROUP_BPF",
			"this kernel lacks %s", absent);
	else
		fl_checkup_add(checkup, "hooks", NULL, FL_CHECK_OK, NULL,
			"connect, sendmsg, recvmsg and getpeername of IPv4 and IPv6 are there");
}

/* ------------------------------------------------------------------ neighbours */

static bool is_alike(const struct fl_neighbour *a, const struct fl_neighbour *b)
{
	return a->before == b->before && strcmp(a->cgroup, b->cgroup) == 0;
}

static bool was_told(const struct fl_neighbours *all, size_t item)
{
	for (size_t i = 0; i < item; i++)
		if (is_alike(&all->items[i], &all->items[item]))
			return true;
	return false;
}

/* Those of one cgroup that run at the same time as this one. */
static void put_neighbours(struct fl_checkup *checkup, const struct fl_neighbours *all,
	const struct fl_neighbour *first)
{
	char list[400] = "";

	for (size_t i = 0; i < all->count; i++) {
		const struct fl_neighbour *item = &all->items[i];
		size_t used = strlen(list);

		if (is_alike(first, item))
			snprintf(list + used, sizeof(list) - used, "%s%s (%u, %s)",
				used ? ", " : "", *item->name ? item->name : "?", item->id,
				item->hook);
	}
	fl_checkup_add(checkup, "neighbours", first->cgroup, FL_CHECK_WARN,
		"if they balance the same frontends, switch one of the two off; bpftool prog show "
		"and bpftool cgroup tree tell whose they are",
		"programs of others run %s: %s",
		first->before ? "before ours, which sees what they rewrite"
			      : "after ours, and see endpoints",
		list);
}

static void check_neighbours(struct fl_checkup *checkup)
{
	struct fl_neighbours neighbours = { 0 };
	char found[256];
	const char *cgroup = checkup->config ? checkup->config->node_cgroup : NULL;
	int r;

	if (!cgroup && !fl_cgroup2_find(found, sizeof(found)))
		return;
	cgroup = cgroup ? cgroup : found;
	r = fl_neighbours_find(bpffs_of(checkup), cgroup, &neighbours);
	if (r < 0)
		fl_checkup_add(checkup, "neighbours", cgroup, FL_CHECK_WARN,
			r == -EPERM ? "ask again as root" : NULL,
			"programs of others could not be looked for: %s", fl_log_errno(r));
	else if (neighbours.count == 0)
		fl_checkup_add(checkup, "neighbours", cgroup, FL_CHECK_OK, NULL,
			"nobody else has programs at the hooks of the node path");
	for (size_t i = 0; i < neighbours.count; i++)
		if (!was_told(&neighbours, i))
			put_neighbours(checkup, &neighbours, &neighbours.items[i]);
	if (neighbours.incomplete)
		fl_checkup_add(checkup, "neighbours", cgroup, FL_CHECK_WARN,
			"bpftool cgroup tree shows all", "there may be more");
	fl_neighbours_done(&neighbours);
}

/* ------------------------------------------------------------------- listeners */

static void put_listener(struct fl_checkup *checkup, const struct fl_listener *listener)
{
	const char *proto = listener->proto == IPPROTO_TCP ? "tcp" : "udp";
	char text[FL_SOCKET_TEXT], subject[FL_SOCKET_TEXT + 4], hint[128];

	snprintf(subject, sizeof(subject), "%s/%s",
		fl_socket_format(&listener->addr, listener->port, text), proto);
	snprintf(hint, sizeof(hint), "ss -l%cnp 'sport = :%u' names the process", *proto,
		listener->port);
	fl_checkup_add(checkup, "listeners", subject, FL_CHECK_WARN, hint,
		"a socket waits here, where a frontend is, and is left alone: local processes "
		"reach "
		"the endpoints, not this listener");
}

/* Needs the pinned maps of an agent with a node path. */
static void check_listeners(struct fl_checkup *checkup)
{
	struct fl_listener found[FL_LISTENERS_MAX];
	struct fl_failure failure = { 0 };
	struct fl_maps maps;
	size_t count;

	if (!has_node_path(checkup) || fl_maps_open(&maps, bpffs_of(checkup), false, &failure) < 0)
		return;
	count = fl_listeners_on_frontends(&maps, found);
	fl_maps_close(&maps);
	if (count == 0)
		fl_checkup_add(checkup, "listeners", NULL, FL_CHECK_OK, NULL,
			"no socket of this network namespace waits where a frontend is");
	for (size_t i = 0; i < count; i++)
		put_listener(checkup, &found[i]);
}

void fl_checkup_node(struct fl_checkup *checkup)
{
	check_cgroup2(checkup);
	check_cgroup1(checkup);
	check_hooks(checkup);
	check_neighbours(checkup);
	check_listeners(checkup);
}
