/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/node.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/opened.h"

/* --------------------------------------------------------------------- cgroup */

static void enter(const char *cgroup)
{
	char file[320];
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", cgroup);
	fd = open(file, O_WRONLY);
	cr_assert(fd >= 0 && write(fd, "0", 1) == 1, "%s: %s", file, strerror(errno));
	close(fd);
}

/* In the one tree of cgroups that the machine has, mounted for the test alone. */
static void make_cgroup(struct test_node *node)
{
	char root[] = "/tmp/fl-cgroup-XXXXXX";

	cr_assert(mkdtemp(root));
	cr_assert_eq(mount("none", root, "cgroup2", 0, NULL), 0, "%s", strerror(errno));
	snprintf(node->cgroup, sizeof(node->cgroup), "%s/fl-bpf-XXXXXX", root);
	cr_assert(mkdtemp(node->cgroup), "%s: %s", node->cgroup, strerror(errno));
}

/* The directory that it was mounted on goes once nothing is mounted there. */
static void remove_cgroup(struct test_node *node)
{
	char cgroup[300];
	char *slash;

	memcpy(cgroup, node->cgroup, sizeof(cgroup));
	slash = strrchr(node->cgroup, '/');
	*slash = '\0';
	enter(node->cgroup);
	/* Children that were just killed are in it for a moment. */
	for (int tries = 0; rmdir(cgroup) < 0 && errno == EBUSY && tries < 500; tries++)
		usleep(10000);
	umount(node->cgroup);
	rmdir(node->cgroup);
}

/* ------------------------------------------------------------------- programs */

static void start(struct test_node *node)
{
	const struct fl_place_of_node here = { "n1", "a" };

	fl_node_path_start(node->kernel, &node->config, &node->path);
	cr_assert(node->path.enabled, "%s", node->path.reason);
	node->writer = test_writer_new(node->kernel);
	cr_assert_eq(fl_pools_new(&node->path.maps, &here, &node->pools), 0);
	fl_writer_use_pools(node->writer, node->pools);
}

static void stop(struct test_node *node)
{
	fl_snapshot_unref(node->in_force);
	node->in_force = NULL;
	fl_writer_free(node->writer);
	fl_pools_free(node->pools);
	fl_node_path_stop(&node->path);
}

void test_node_open(struct test_node *node)
{
	*node = (struct test_node){ .config = test_config() };
	test_enter_private();
	make_cgroup(node);
	node->config.node_path = true;
	node->config.node_cgroup = node->cgroup;
	node->config.limits.endpoints = 256;
	node->config.limits.services = 16;
	node->now_s = fl_clock_boot_s();
	node->kernel = test_kernel_open_maps(&node->config);
	start(node);
	enter(node->cgroup);
}

void test_node_restart(struct test_node *node)
{
	stop(node);
	start(node);
}

void test_node_close(struct test_node *node)
{
	struct fl_node_path path;

	stop(node);
	node->config.node_path = false;
	fl_node_path_start(node->kernel, &node->config, &path);
	fl_node_path_stop(&path);
	fl_kernel_close(node->kernel);
	remove_cgroup(node);
}

/* ------------------------------------------------------------------- services */

void test_node_apply(struct test_node *node, struct fl_snapshot *snapshot)
{
	test_apply(node->writer, node->in_force, snapshot, node->now_s);
	fl_writer_follow(node->writer, snapshot);
	fl_snapshot_unref(node->in_force);
	node->in_force = snapshot;
}

void test_node_declare(struct test_node *node, const char *text)
{
	test_node_apply(node, test_snapshot_parse(text));
}

uint32_t test_node_endpoint(const struct test_node *node, const char *address)
{
	const struct fl_service *service = node->in_force->services[0];
	char text[FL_SOCKET_TEXT];

	for (size_t i = 0; i < service->endpoint_count; i++) {
		const struct fl_endpoint *endpoint = &service->endpoints[i];

		fl_ip_format(&endpoint->addr, text);
		if (strcmp(text, address) == 0)
			return endpoint->id;
	}
	cr_assert_fail("%s is no endpoint of %s", address, service->name);
	return 0;
}

const struct fl_live_row *test_node_live(const struct test_node *node, const char *address)
{
	return &node->path.maps.live[test_node_endpoint(node, address)];
}

/* ------------------------------------------------------------------------ rest */

socklen_t test_node_address(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *in = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return sizeof(*in);
	}
	cr_assert_eq(inet_pton(AF_INET6, text, &in6->sin6_addr), 1, "%s", text);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	return sizeof(*in6);
}

bool test_node_wait(bool (*is_true)(void *context), void *context)
{
	for (int waited_ms = 0; waited_ms < TEST_DEADLINE_MS; waited_ms += 5) {
		if (is_true(context))
			return true;
		usleep(5000);
	}
	return is_true(context);
}
