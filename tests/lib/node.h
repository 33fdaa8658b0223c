/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sys/socket.h>

#include "kernel/node_path.h"
#include "kernel/pools.h"
#include "kernel/writer.h"

/**
 * @file node.h
 * The programs of the node path on a cgroup of the test's own, with the process of the test
 * in it: its sockets are theirs. All of it in a private network namespace with its own
 * bpffs, see netns.h.
 */
struct test_node {
	struct fl_config config;
	struct fl_kernel *kernel;
	struct fl_node_path path; /**< `path.maps` are mapped */
	struct fl_pools *pools;
	struct fl_writer *writer;
	struct fl_snapshot *in_force; /**< NULL = nothing was declared */
	uint32_t now_s;
	char cgroup[300];
};

/** Make, attach, and put the calling process into the cgroup; fails the test when it cannot. */
void test_node_open(struct test_node *node);
/** Take everything away again. */
void test_node_close(struct test_node *node);

/** Load the programs again over what is pinned, as the next agent does. */
void test_node_restart(struct test_node *node);

/** Apply "web 10.99.0.1:80/tcp = 192.0.2.1:8080 …", see test_snapshot_parse. */
void test_node_declare(struct test_node *node, const char *text);
/** The same, of a snapshot that the caller made; takes the reference over. */
void test_node_apply(struct test_node *node, struct fl_snapshot *snapshot);

/** The number of an endpoint of the first service. */
uint32_t test_node_endpoint(const struct test_node *node, const char *address);
/** What is known of it. */
const struct fl_live_row *test_node_live(const struct test_node *node, const char *address);

/** @return its length */
socklen_t test_node_address(const char *text, uint16_t port, struct sockaddr_storage *ret);

/** Poll, until the deadline of netns.h. @return whether it became true */
bool test_node_wait(bool (*is_true)(void *context), void *context);
