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
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "kernel/cgroup.h"
#include "kernel/node_path.h"
#include "kernel/reader.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/node.h"
#include "lib/opened.h"

/* The programs on a cgroup of the test's own, and what sockets in it see. */

static struct fl_config config;
static struct fl_kernel *kernel;
static char cgroup[300];

/* In the one tree of cgroups that the machine has, mounted for the test alone. */
static void make_cgroup(void)
{
	char root[] = "/tmp/fl-cgroup-XXXXXX";

	cr_assert(mkdtemp(root));
	cr_assert_eq(mount("none", root, "cgroup2", 0, NULL), 0, "%s", strerror(errno));
	snprintf(cgroup, sizeof(cgroup), "%s/fl-bpf-XXXXXX", root);
	cr_assert(mkdtemp(cgroup), "%s: %s", cgroup, strerror(errno));
}

/* The directory that it was mounted on goes once nothing is mounted there. */
static void remove_cgroup(void)
{
	char *slash = strrchr(cgroup, '/');

	rmdir(cgroup);
	*slash = '\0';
	umount(cgroup);
	rmdir(cgroup);
}

static void setup(void)
{
	test_enter_private();
	make_cgroup();
	config = test_config();
	config.node_path = true;
	config.node_cgroup = cgroup;
	kernel = test_kernel_open_maps(&config);
}

static void teardown(void)
{
	struct fl_node_path path;

	config.node_path = false;
	fl_node_path_start(kernel, &config, &path);
	fl_node_path_stop(&path);
	fl_kernel_close(kernel);
	remove_cgroup();
}

TestSuite(node_path, .init = setup, .fini = teardown, .timeout = 300);

static void start(void)
{
	struct fl_node_path path;

	fl_node_path_start(kernel, &config, &path);
	cr_assert(path.enabled, "%s", path.reason);
	cr_expect_str_eq(path.cgroup, cgroup);
	fl_node_path_stop(&path);
}

static uint32_t link_of(const char *hook)
{
	char file[300];
	_cleanup_close_ int fd = -1;
	struct bpf_link_info info = { 0 };
	uint32_t length = sizeof(info);

	snprintf(file, sizeof(file), "%s/links/%s", TEST_BPFFS, hook);
	fd = bpf_obj_get(file);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length) < 0)
		return 0;
	return info.id;
}

static uint64_t decided(enum fl_reason reason)
{
	uint64_t counts[FL_REASON_COUNT];

	cr_assert_eq(fl_read_reasons(&kernel->maps, FL_PATH_NODE, counts), 0);
	return counts[reason];
}

/* ------------------------------------------------------------- being a process */

typedef int (*act)(void *context);

/* Do it as another process in the cgroup. @return what it returned */
static int do_inside(act function, void *context)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		char file[320];
		int fd;

		snprintf(file, sizeof(file), "%s/cgroup.procs", cgroup);
		fd = open(file, O_WRONLY);
		_exit(fd < 0 || write(fd, "0", 1) != 1 ? 99 : function(context));
	}
	cr_assert_gt(child, 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* One conversation with a frontend. */
struct talk {
	const char *frontend; /* as the client names it */
	uint16_t port;        /* host order */
	int type;             /* SOCK_STREAM, SOCK_DGRAM */
	bool connected;       /* connect(2) first */
};

static bool is_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port &&
	       memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

/* @return 0 = it got its answer and saw the frontend; else which step failed */
static int converse(void *context)
{
	const struct talk *talk = context;
	struct sockaddr_storage to, seen = { 0 };
	socklen_t length = test_node_address(talk->frontend, talk->port, &to),
		  seen_length = sizeof(seen);
	struct timeval patience = { .tv_sec = 20 };
	int fd = socket(to.ss_family, talk->type, 0);
	char answer[8];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (talk->connected && connect(fd, (struct sockaddr *)&to, length) < 0)
		return 1;
	if (talk->connected && (getpeername(fd, (struct sockaddr *)&seen, &seen_length) < 0 ||
				       !is_same(&seen, &to)))
		return 2;
	if (sendto(fd, "hello", 5, 0, talk->connected ? NULL : (struct sockaddr *)&to,
		    talk->connected ? 0 : length) != 5)
		return 3;
	seen_length = sizeof(seen);
	if (recvfrom(fd, answer, sizeof(answer), 0, (struct sockaddr *)&seen, &seen_length) != 5)
		return 4;
	return talk->type == SOCK_DGRAM && !is_same(&seen, &to) ? 5 : 0;
}

static int refuse(void *context)
{
	const struct talk *talk = context;
	struct sockaddr_storage to;
	socklen_t length = test_node_address(talk->frontend, talk->port, &to);
	int fd = socket(to.ss_family, talk->type, 0);

	return connect(fd, (struct sockaddr *)&to, length) == 0 ? 0 : errno;
}

/* ------------------------------------------------------------------ an endpoint */

/* Answers one caller with what it said. */
static pid_t serve(const char *address, uint16_t port, int type)
{
	struct sockaddr_storage at, from;
	socklen_t length = test_node_address(address, port, &at), from_length = sizeof(from);
	int fd = socket(at.ss_family, type, 0), one = 1;
	pid_t child;
	char said[8];
	ssize_t count;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	cr_assert_eq(
		bind(fd, (struct sockaddr *)&at, length), 0, "%s: %s", address, strerror(errno));
	cr_assert(type == SOCK_DGRAM || listen(fd, 8) == 0);
	child = fork();
	if (child) {
		close(fd);
		return child;
	}
	if (type == SOCK_STREAM)
		fd = accept(fd, NULL, NULL);
	count = recvfrom(fd, said, sizeof(said), 0, (struct sockaddr *)&from, &from_length);
	if (type == SOCK_STREAM)
		_exit(send(fd, said, (size_t)count, 0) != count);
	_exit(sendto(fd, said, (size_t)count, 0, (struct sockaddr *)&from, from_length) != count);
}

static void declare(const char *frontends, const char *endpoints)
{
	struct fl_service *service = test_service("web", frontends, endpoints);
	struct fl_writer *writer = test_writer_new(kernel);
	struct fl_snapshot *snapshot = test_snapshot(1, &service, 1);

	test_apply(writer, NULL, snapshot, 1);
	fl_writer_free(writer);
	fl_snapshot_unref(snapshot);
}

static const struct row {
	const char *frontends, *endpoint, *endpoint_address;
	struct talk talk;
} rows[] = {
	{ "10.99.0.1:80/tcp", "192.0.2.1:8080", "192.0.2.1",
		{ "10.99.0.1", 80, SOCK_STREAM, true } },
	{ "10.99.0.1:80/udp", "192.0.2.1:8080", "192.0.2.1",
		{ "10.99.0.1", 80, SOCK_DGRAM, true } },
	{ "10.99.0.1:80/udp", "192.0.2.1:8080", "192.0.2.1",
		{ "10.99.0.1", 80, SOCK_DGRAM, false } },
	{ "[2001:db8:99::1]:80/tcp", "[2001:db8::1]:8080", "2001:db8::1",
		{ "2001:db8:99::1", 80, SOCK_STREAM, true } },
	{ "[2001:db8:99::1]:80/udp", "[2001:db8::1]:8080", "2001:db8::1",
		{ "2001:db8:99::1", 80, SOCK_DGRAM, false } },
	{ "10.99.0.1:80/tcp", "192.0.2.1:8080", "192.0.2.1",
		{ "::ffff:10.99.0.1", 80, SOCK_STREAM, true } },
	{ "10.99.0.1:80/udp", "192.0.2.1:8080", "192.0.2.1",
		{ "::ffff:10.99.0.1", 80, SOCK_DGRAM, false } },
	{ "10.99.0.1:0/tcp", "192.0.2.1:8080", "192.0.2.1",
		{ "10.99.0.1", 4711, SOCK_STREAM, true } },
};

Test(node_path, a_frontend_is_reached_and_shown)
{
	test_run("ip link set lo up && ip addr add 192.0.2.1/32 dev lo && "
		 "ip -6 addr add 2001:db8::1/128 dev lo nodad");
	start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = decided(FL_SENT);
		struct talk talk = rows[i].talk;
		pid_t server;
		int status;

		declare(rows[i].frontends, rows[i].endpoint);
		server = serve(rows[i].endpoint_address, 8080, talk.type);
		cr_expect_eq(do_inside(converse, &talk), 0, "row %zu", i);
		cr_assert_eq(waitpid(server, &status, 0), server);
		cr_expect_eq(status, 0);
		cr_expect_eq(decided(FL_SENT), before + 1, "row %zu", i);
	}
}

Test(node_path, nobody_there_refuses_and_others_are_left_alone)
{
	struct talk none = { "10.99.0.1", 80, SOCK_STREAM, true };
	struct talk other = { "127.0.0.1", 9, SOCK_DGRAM, true };
	uint64_t others;

	test_run("ip link set lo up");
	start();
	declare("10.99.0.1:80/tcp", "192.0.2.1:8080/down 192.0.2.2:8080*0");
	cr_expect_eq(do_inside(refuse, &none), ECONNREFUSED);
	cr_expect_eq(decided(FL_DROP_NO_ENDPOINT), 1);
	others = decided(FL_PASS_NO_SERVICE);
	cr_expect_eq(do_inside(refuse, &other), 0);
	cr_expect_eq(decided(FL_PASS_NO_SERVICE), others + 1);
}

/* The same links, so no connection is made in between that nobody sees. */
Test(node_path, a_new_agent_replaces_the_programs_in_place)
{
	static const char *const hooks[] = { "node-connect4", "node-sendmsg6", "node-recvmsg4",
		"node-getpeername6" };
	uint32_t before[4];
	struct fl_node_path path;

	start();
	for (size_t i = 0; i < 4; i++) {
		before[i] = link_of(hooks[i]);
		cr_assert_neq(before[i], 0, "%s", hooks[i]);
	}
	start();
	for (size_t i = 0; i < 4; i++)
		cr_expect_eq(link_of(hooks[i]), before[i], "%s", hooks[i]);
	config.node_path = false;
	fl_node_path_start(kernel, &config, &path);
	cr_expect_not(path.enabled);
	for (size_t i = 0; i < 4; i++)
		cr_expect_eq(link_of(hooks[i]), 0, "%s", hooks[i]);
}

/* What sockets remember lies in maps that the next agent's programs use as well. */
Test(node_path, a_new_agent_adopts_the_maps_that_fit)
{
	struct fl_node_path path;

	fl_node_path_start(kernel, &config, &path);
	cr_assert(path.enabled, "%s", path.reason);
	cr_expect_not(path.maps.adopted);
	path.maps.live[7].open = 3;
	fl_node_path_stop(&path);
	fl_node_path_start(kernel, &config, &path);
	cr_assert(path.enabled, "%s", path.reason);
	cr_expect(path.maps.adopted);
	cr_expect_eq(path.maps.live[7].open, 3);
	fl_node_path_stop(&path);
}

/* Such as those of another version: better than no node path. */
Test(node_path, maps_of_another_shape_are_made_anew)
{
	struct fl_node_path path;
	char pin[300];
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "stale", 4, 12, 5, NULL);

	start();
	snprintf(pin, sizeof(pin), "%s/node/stale", TEST_BPFFS);
	cr_assert_eq(unlink(pin), 0);
	cr_assert_eq(bpf_obj_pin(fd, pin), 0);
	close(fd);
	fl_node_path_start(kernel, &config, &path);
	cr_assert(path.enabled, "%s", path.reason);
	cr_expect_not(path.maps.adopted);
	cr_expect_eq(path.maps.shape[FL_NODE_MAP_stale].value_size, sizeof(struct fl_stale_row));
	fl_node_path_stop(&path);
}

/* What is not a cgroup gets none of the hooks, and an earlier one's are gone as well. */
Test(node_path, all_or_none)
{
	struct fl_node_path path;

	start();
	config.node_cgroup = "/tmp";
	fl_node_path_start(kernel, &config, &path);
	cr_expect_not(path.enabled);
	cr_expect(strstr(path.reason, "cannot attach node_watch to /tmp: it is no cgroup"), "%s",
		path.reason);
	cr_expect_eq(link_of("node-connect4"), 0);
	cr_expect_eq(link_of("node-getpeername6"), 0);
	config.node_cgroup = "/nowhere";
	fl_node_path_start(kernel, &config, &path);
	cr_expect(strstr(path.reason, "cannot open the cgroup /nowhere"), "%s", path.reason);
}

/* A program of another agent, which returns what it is told. */
static int others_program(int returns)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = returns },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);

	return bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "others", "GPL", code, 2, &options);
}

/* Attached without BPF_F_ALLOW_MULTI, it suffers no other beside it. */
Test(node_path, another_agent_is_there_to_be_alone)
{
	int dir = open(cgroup, O_RDONLY | O_DIRECTORY), program = others_program(1);
	struct fl_node_path path;

	cr_assert_eq(bpf_prog_attach(program, dir, BPF_CGROUP_INET4_CONNECT, 0), 0, "%s",
		strerror(errno));
	fl_node_path_start(kernel, &config, &path);
	cr_expect_not(path.enabled);
	cr_expect(strstr(path.reason, "cannot attach node_connect4"), "%s", path.reason);
	cr_expect(strstr(path.hint, "another agent's program was attached there to be alone"), "%s",
		path.hint);
	cr_expect_eq(link_of("node-connect6"), 0, "none of the others either");
	fl_node_path_stop(&path);

	cr_assert_eq(bpf_prog_detach2(program, dir, BPF_CGROUP_INET4_CONNECT), 0);
	start();
	close(program);
	close(dir);
}

/* Attached as everybody should, it runs before ours, and both are heard. */
Test(node_path, another_agent_is_there_as_well)
{
	int dir = open(cgroup, O_RDONLY | O_DIRECTORY), program = others_program(1);

	cr_assert_eq(bpf_prog_attach(program, dir, BPF_CGROUP_INET4_CONNECT, BPF_F_ALLOW_MULTI), 0);
	start();
	cr_expect_neq(link_of("node-connect4"), 0);
	cr_assert_eq(bpf_prog_detach2(program, dir, BPF_CGROUP_INET4_CONNECT), 0);
	close(program);
	close(dir);
}

/* As where only the first version of cgroups is mounted. */
Test(node_path, no_cgroup2_is_mounted)
{
	struct fl_config nowhere = config;
	struct fl_node_path path;
	char where[256];

	remove_cgroup();
	for (int i = 0; i < 100 && fl_cgroup2_find(where, sizeof(where)); i++)
		umount2(where, MNT_DETACH);
	nowhere.node_cgroup = NULL;
	fl_node_path_start(kernel, &nowhere, &path);
	cr_expect_not(path.enabled);
	cr_expect_str_eq(path.reason, "no cgroup2 is mounted");
	cr_expect_str_eq(path.hint, "mount -t cgroup2 none /sys/fs/cgroup");
	fl_node_path_stop(&path);
	make_cgroup(); /* for the one who tidies up */
	config.node_cgroup = cgroup;
}

/* Nobody can be put into it to see whether the hooks fire: they are used all the same. */
Test(node_path, a_cgroup_that_cannot_be_written)
{
	char root[300];

	snprintf(root, sizeof(root), "%s", cgroup);
	*strrchr(root, '/') = '\0';
	cr_assert_eq(mount("none", root, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0, "%s",
		strerror(errno));
	start();
	cr_assert_eq(mount("none", root, NULL, MS_REMOUNT | MS_BIND, NULL), 0);
}
