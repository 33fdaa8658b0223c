/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "kernel/checkup.h"
#include "kernel/listeners.h"
#include "kernel/neighbours.h"
#include "kernel/reader.h"
#include "lib/netns.h"
#include "lib/node.h"
#include "lib/opened.h"

/* Programs and sockets of others where the node path is. */

static struct test_node node;
static char child[320];

static void setup(void)
{
	test_node_open(&node);
	test_run("ip link set lo up && ip addr add 10.99.0.1/32 dev lo && "
		 "ip addr add 10.99.0.2/32 dev lo && "
		 "ip -6 addr add 2001:db8:99::1/128 dev lo nodad");
	snprintf(child, sizeof(child), "%s/below", node.cgroup);
	cr_assert_eq(mkdir(child, 0755), 0, "%s", strerror(errno));
}

static void teardown(void)
{
	rmdir(child);
	test_node_close(&node);
}

TestSuite(neighbours, .init = setup, .fini = teardown, .timeout = 300);

/* A program that lets everything pass, attached for as long as the test lives. */
static uint32_t attach(const char *cgroup, enum bpf_attach_type type, const char *name)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = type);
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);
	int fd = bpf_prog_load(
		BPF_PROG_TYPE_CGROUP_SOCK_ADDR, name, "Dual BSD/GPL", code, 2, &options);
	_cleanup_close_ int at = open(cgroup, O_RDONLY | O_DIRECTORY);

	cr_assert_geq(fd, 0, "%s", strerror(errno));
	cr_assert_geq(bpf_link_create(fd, at, type, NULL), 0, "%s", strerror(errno));
	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &info, &length), 0);
	return info.id;
}

static const struct fl_neighbour *find(const struct fl_neighbours *found, uint32_t id)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->items[i].id == id)
			return &found->items[i];
	cr_assert_fail("%u was not found among %zu", id, found->count);
	return NULL;
}

/* Only what is in the test's cgroup and below it: above it are the machine's own. */
static size_t count_here(const struct fl_neighbours *found)
{
	size_t count = 0;

	for (size_t i = 0; i < found->count; i++)
		count += strncmp(found->items[i].cgroup, node.cgroup, strlen(node.cgroup)) == 0;
	return count;
}

Test(neighbours, others_are_found_and_ours_are_not)
{
	struct fl_neighbours found;
	const struct fl_neighbour *beside, *below;
	uint32_t beside_id, below_id;

	cr_assert_eq(fl_neighbours_find(TEST_BPFFS, node.cgroup, &found), 0);
	cr_expect_eq(count_here(&found), 0, "nobody is there but we");
	fl_neighbours_done(&found);

	beside_id = attach(node.cgroup, BPF_CGROUP_INET4_CONNECT, "other_lb");
	below_id = attach(child, BPF_CGROUP_UDP6_SENDMSG, "sidecar");
	cr_assert_eq(fl_neighbours_find(TEST_BPFFS, node.cgroup, &found), 0);
	cr_expect_eq(count_here(&found), 2);
	beside = find(&found, beside_id);
	cr_expect_str_eq(beside->name, "other_lb");
	cr_expect_str_eq(beside->hook, "connect4");
	cr_expect_str_eq(beside->cgroup, node.cgroup);
	cr_expect_not(beside->before, "it came after us");
	below = find(&found, below_id);
	cr_expect_str_eq(below->hook, "sendmsg6");
	cr_expect_str_eq(below->cgroup, child);
	cr_expect(below->before, "what is below runs first");
	fl_neighbours_done(&found);

	/* Seen from below, ours is what is above, and runs after what is there. */
	cr_assert_eq(fl_neighbours_find("/sys/fs/bpf/another", child, &found), 0);
	cr_expect_geq(count_here(&found), 10, "ours are another's to others");
	fl_neighbours_done(&found);
}

/* Who was there first runs first, and what it rewrites is what ours sees. */
Test(neighbours, order_is_that_of_attaching)
{
	uint32_t id = attach(node.cgroup, BPF_CGROUP_INET4_CONNECT, "first");
	struct fl_neighbours found;
	struct fl_node_path path;
	bool enabled = node.config.node_path;

	node.config.node_path = false;
	fl_node_path_start(node.kernel, &node.config, &path);
	fl_node_path_stop(&path);
	node.config.node_path = enabled;
	fl_node_path_start(node.kernel, &node.config, &path);
	cr_assert(path.enabled, "%s", path.reason);
	cr_assert_eq(fl_neighbours_find(TEST_BPFFS, node.cgroup, &found), 0);
	cr_expect(find(&found, id)->before);
	cr_expect(find(&path.neighbours, id)->before, "the agent has it in its status");
	fl_neighbours_done(&found);
	fl_node_path_stop(&path);
}

/* Another balancer: it sends whoever calls 10.99.0.1 to 10.99.0.2. */
static void attach_balancer(const char *cgroup)
{
	const int user_ip4 = offsetof(struct bpf_sock_addr, user_ip4);
	const struct bpf_insn code[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = user_ip4 },
		{ .code = BPF_JMP32 | BPF_JNE | BPF_K,
			.dst_reg = 2,
			.off = 2,
			.imm = (int)inet_addr("10.99.0.1") },
		{ .code = BPF_ALU | BPF_MOV | BPF_K,
			.dst_reg = 2,
			.imm = (int)inet_addr("10.99.0.2") },
		{ .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 1, .src_reg = 2, .off = user_ip4 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
	int fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "balancer", "Dual BSD/GPL", code,
		sizeof(code) / sizeof(code[0]), &options);
	_cleanup_close_ int at = open(cgroup, O_RDONLY | O_DIRECTORY);

	cr_assert_geq(fd, 0, "%s", strerror(errno));
	cr_assert_geq(
		bpf_link_create(fd, at, BPF_CGROUP_INET4_CONNECT, NULL), 0, "%s", strerror(errno));
}

static void enter(const char *cgroup)
{
	char file[400];
	_cleanup_close_ int fd = -1;

	snprintf(file, sizeof(file), "%s/cgroup.procs", cgroup);
	fd = open(file, O_WRONLY);
	cr_assert_eq(write(fd, "0", 1), 1, "%s", strerror(errno));
}

/* Connect a datagram socket. @return how the frontend's connect was decided here */
static enum fl_reason connect_once(void)
{
	uint64_t before[FL_REASON_COUNT], after[FL_REASON_COUNT];
	struct sockaddr_storage to;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	fl_read_reasons(&node.kernel->maps, FL_PATH_NODE, before);
	cr_expect_eq(connect(fd, (struct sockaddr *)&to, length), 0, "%s", strerror(errno));
	close(fd);
	fl_read_reasons(&node.kernel->maps, FL_PATH_NODE, after);
	for (int i = 0; i < FL_REASON_COUNT; i++)
		if (after[i] != before[i])
			return (enum fl_reason)i;
	return FL_REASON_COUNT;
}

/* Both run; who comes first decides, and nobody's connect fails of it. */
Test(neighbours, another_balancer_of_the_same_frontend)
{
	test_node_declare(&node, "web 10.99.0.1:80/udp = 127.0.0.1:8080");
	attach_balancer(node.cgroup);
	cr_expect_eq(connect_once(), FL_SENT, "ours was there first");
	attach_balancer(child);
	enter(child);
	cr_expect_eq(connect_once(), FL_PASS_NO_SERVICE, "theirs is below, and made it another");
	enter(node.cgroup);
}

/* ------------------------------------------------------------------- listeners */

static int wait_at(const char *address, uint16_t port, int type)
{
	struct sockaddr_storage at;
	socklen_t length = test_node_address(address, port, &at);
	int fd = socket(at.ss_family, type, 0);

	cr_assert_eq(
		bind(fd, (struct sockaddr *)&at, length), 0, "%s: %s", address, strerror(errno));
	cr_assert(type == SOCK_DGRAM || listen(fd, 1) == 0);
	return fd;
}

static const struct row {
	const char *address;
	uint16_t port;
	int type;
	const char *found; /* NULL = it is in nobody's way */
} rows[] = {
	{ "10.99.0.1", 80, SOCK_STREAM, "10.99.0.1:80" },
	{ "0.0.0.0", 80, SOCK_STREAM, "10.99.0.1:80" },
	{ "::", 80, SOCK_STREAM, "10.99.0.1:80" },
	{ "2001:db8:99::1", 80, SOCK_STREAM, "[2001:db8:99::1]:80" },
	{ "10.99.0.1", 4711, SOCK_DGRAM, "10.99.0.1:4711" }, /* a frontend of every port */
	{ "10.99.0.1", 81, SOCK_STREAM, NULL },
	{ "10.99.0.1", 4711, SOCK_STREAM, NULL },
	{ "127.0.0.1", 80, SOCK_STREAM, NULL },
};

Test(neighbours, sockets_that_wait_where_a_frontend_is)
{
	struct fl_listener found[FL_LISTENERS_MAX];

	test_node_declare(&node, "web 10.99.0.1:80/tcp [2001:db8:99::1]:80/tcp 10.99.0.1:0/udp = "
				 "192.0.2.1:8080 [2001:db8::1]:8080");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		int fd = wait_at(row->address, row->port, row->type);
		size_t count = fl_listeners_on_frontends(&node.kernel->maps, found);
		char text[FL_SOCKET_TEXT] = "nothing";
		bool is_found = false;

		for (size_t j = 0; j < count; j++) {
			fl_socket_format(&found[j].addr, found[j].port, text);
			is_found |= row->found && strcmp(text, row->found) == 0;
		}
		cr_expect_eq(is_found, row->found != NULL, "row %zu: %s", i, text);
		cr_expect(row->found || count == 0, "row %zu: %s", i, text);
		close(fd);
	}
}

/* The same in the words of `fairlead doctor`. */
Test(neighbours, doctor_tells)
{
	struct fl_checkup checkup = { .config = &node.config, .rows = json_array() };
	bool listener = false, neighbour = false, hooks = false;
	json_t *row;
	size_t i;

	test_node_declare(&node, "web 10.99.0.1:80/tcp = 192.0.2.1:8080");
	wait_at("10.99.0.1", 80, SOCK_STREAM);
	attach(child, BPF_CGROUP_INET4_CONNECT, "sidecar");
	node.config.bpffs = (char *)TEST_BPFFS;
	fl_checkup_node(&checkup);
	json_array_foreach(checkup.rows, i, row) {
		const char *check = json_string_value(json_object_get(row, "check"));
		const char *subject = json_string_value(json_object_get(row, "subject"));
		const char *words = json_string_value(json_object_get(row, "found"));
		bool is_ok = strcmp(json_string_value(json_object_get(row, "result")), "ok") == 0;

		hooks |= strcmp(check, "hooks") == 0 && is_ok;
		listener |= strcmp(check, "listeners") == 0 && !is_ok &&
			    strcmp(subject, "10.99.0.1:80/tcp") == 0;
		neighbour |= strcmp(check, "neighbours") == 0 && !is_ok &&
			     strstr(words, "before ours") && strstr(words, "sidecar (") &&
			     strstr(words, "connect4)");
	}
	cr_expect(listener);
	cr_expect(neighbour);
	cr_expect(hooks);
	json_decref(checkup.rows);
}
