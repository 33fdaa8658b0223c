/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "kernel/cgroup.h"
#include "lib/netns.h"
#include "lib/node.h"
#include "lib/opened.h"

/*
 * A machine that does not let the programs be where they should: it is said why, nothing of
 * them is left there, and processes connect as if there was no node path. What
 * works all the same is not refused.
 */

static struct test_node node;
/* A cgroup below that of the suite. */
static char child[340];

static void setup(void)
{
	test_node_open(&node);
	test_run("ip link set lo up");
	snprintf(child, sizeof(child), "%s/child", node.cgroup);
	cr_assert_eq(mkdir(child, 0755), 0);
}

static void teardown(void)
{
	rmdir(child);
	test_node_close(&node);
}

TestSuite(node_refused, .init = setup, .fini = teardown, .timeout = 300);

/* What was attached when the suite began is taken away. */
static void detach(void)
{
	struct fl_node_path path;

	node.config.node_path = false;
	fl_node_path_start(node.kernel, &node.config, &path);
	fl_node_path_stop(&path);
	node.config.node_path = true;
}

static uint32_t count_programs(const char *cgroup, enum bpf_attach_type type)
{
	_cleanup_close_ int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t ids[16], count = 16;

	cr_assert_geq(fd, 0, "%s", cgroup);
	cr_assert_eq(bpf_prog_query(fd, type, 0, NULL, ids, &count), 0);
	return count;
}

static uint32_t count_ours(void)
{
	static const char *const pins[] = { "connect4", "connect6", "sendmsg4", "sendmsg6",
		"recvmsg4", "recvmsg6", "getpeername4", "getpeername6", "watch", "release" };
	char path[300];
	uint32_t count = 0;

	for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
		snprintf(path, sizeof(path), "%s/links/node-%s", TEST_BPFFS, pins[i]);
		count += access(path, F_OK) == 0;
	}
	return count;
}

/* @return 0, or why a process that calls a listener of its own machine does not reach it */
static int connect_to_listener(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM, 0);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t length = sizeof(at);

	cr_assert_eq(bind(listener, (struct sockaddr *)&at, length), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &length), 0);
	return connect(fd, (struct sockaddr *)&at, length) < 0 ? errno : 0;
}

/* Start, and see that it is refused with these words and leaves nothing behind. */
static void expect_refused(const char *name, const char *reason, const char *hint)
{
	struct fl_node_path path;

	fl_node_path_start(node.kernel, &node.config, &path);
	cr_expect_not(path.enabled, "%s", name);
	cr_expect(strstr(path.reason, reason), "%s: %s", name, path.reason);
	cr_expect(strstr(path.hint, hint), "%s: %s", name, path.hint);
	cr_expect_eq(count_ours(), 0, "%s: links are left", name);
	cr_expect_neq(access(TEST_BPFFS "/node", F_OK), 0, "%s: maps are left", name);
	cr_expect_eq(connect_to_listener(), 0, "%s: a process does not get through", name);
	fl_node_path_stop(&path);
}

/* ----------------------------------------------------------------------- cgroups */

/* Where cgroups are of version 1 alone: none is mounted, or what is named is one of these. */
Test(node_refused, no_cgroup_of_version_2)
{
	static const char old[] = "/tmp/fl-cgroup1";
	char mounted[256];

	detach();
	cr_assert(mkdir(old, 0755) == 0 || errno == EEXIST);
	cr_assert_eq(
		mount("none", old, "cgroup", 0, "none,name=fl-refused"), 0, "%s", strerror(errno));
	node.config.node_cgroup = (char *)old;
	expect_refused("version 1", "cannot attach node_watch to /tmp/fl-cgroup1: it is no cgroup",
		"findmnt -t cgroup2");
	cr_expect_eq(umount(old), 0);
	rmdir(old);

	node.config.node_cgroup = NULL;
	while (fl_cgroup2_find(mounted, sizeof(mounted)))
		cr_assert_eq(umount2(mounted, MNT_DETACH), 0, "%s: %s", mounted, strerror(errno));
	expect_refused("none", "no cgroup2 is mounted", "mount -t cgroup2");
	/* As it was, for what comes after the test. */
	*strrchr(node.cgroup, '/') = '\0';
	cr_assert_eq(mount("none", node.cgroup, "cgroup2", 0, NULL), 0);
	node.cgroup[strlen(node.cgroup)] = '/';
}

/* As inside of containers. Programs are attached to a directory that is only read. */
Test(node_refused, a_tree_that_cannot_be_written_to_will_do)
{
	static const char view[] = "/tmp/fl-cgroup-read";
	struct fl_node_path path;

	detach();
	cr_assert(mkdir(view, 0755) == 0 || errno == EEXIST);
	cr_assert_eq(mount(node.cgroup, view, NULL, MS_BIND, NULL), 0, "%s", strerror(errno));
	cr_assert_eq(mount(NULL, view, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0, "%s",
		strerror(errno));
	node.config.node_cgroup = (char *)view;
	fl_node_path_start(node.kernel, &node.config, &path);
	cr_expect(path.enabled, "%s", path.reason);
	cr_expect_eq(count_ours(), 10);
	cr_expect_eq(count_programs(node.cgroup, BPF_CGROUP_INET4_CONNECT), 1);
	cr_expect_eq(connect_to_listener(), 0);
	fl_node_path_stop(&path);
	detach();
	cr_expect_eq(umount(view), 0);
	rmdir(view);
}

/* ----------------------------------------------------------------------- others */

static const struct row {
	const char *name;
	enum bpf_prog_type program;
	enum bpf_attach_type type;
	bool above; /* on the parent of the cgroup that ours go to */
	const char *reason;
} rows[] = {
	{ "at the first hook", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, false,
		"cannot attach node_watch to" },
	{ "at connect", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, false,
		"cannot attach node_connect4 to" },
	{ "at the last hook but one", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME,
		false, "cannot attach node_getpeername4 to" },
	{ "above, at connect of IPv6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT,
		true, "cannot attach node_connect6 to" },
};

/* Allows everything. @return its descriptor */
static int load(const struct row *row)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = row->type);
	int fd = bpf_prog_load(row->program, "alone", "Dual BSD/GPL", code,
		sizeof(code) / sizeof(code[0]), &options);

	cr_assert_geq(fd, 0, "%s: %s", row->name, strerror(errno));
	return fd;
}

/* Without BPF_F_ALLOW_MULTI nobody else may be there or below. The other one stays. */
Test(node_refused, another_one_is_there_to_be_alone)
{
	struct fl_node_path path;

	detach();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		_cleanup_close_ int cgroup = open(node.cgroup, O_RDONLY | O_DIRECTORY);
		_cleanup_close_ int program = load(row);

		node.config.node_cgroup = row->above ? child : node.cgroup;
		cr_assert_eq(bpf_prog_attach(program, cgroup, row->type, 0), 0, "%s: %s", row->name,
			strerror(errno));
		expect_refused(
			row->name, row->reason, "attached there to be alone: bpftool cgroup show");
		cr_expect_eq(count_programs(node.cgroup, row->type), 1, "%s", row->name);
		cr_assert_eq(bpf_prog_detach2(program, cgroup, row->type), 0);

		/* It has gone, and there is room. */
		fl_node_path_start(node.kernel, &node.config, &path);
		cr_expect(path.enabled, "%s: %s", row->name, path.reason);
		cr_expect_eq(count_ours(), 10, "%s", row->name);
		fl_node_path_stop(&path);
		detach();
	}
}
