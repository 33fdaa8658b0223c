/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "control/server.h"

/**
 * @file served.h
 * A view without an agent, and a server that shows it, on a thread of its own.
 */

/** Everything that a view borrows. The maps are arrays in memory, without
 * descriptors: what only the kernel knows is unknown. */
struct test_view {
	struct fl_config config;
	struct fl_maps maps;
	struct fl_registry_config registry_config;
	struct fl_registry registry;
	struct fl_registry *registry_list[1];
	struct fl_registry_set registries;
	struct fl_apply_stats apply;
	struct fl_writes writes;
	struct fl_problems conflicts;
	struct fl_view view;
};

/**
 * Two services: team/web (10.0.0.10:80/tcp, [2001:db8::10]:80/tcp; three IPv4
 * endpoints of which one has weight 0 and one drains, one of IPv6) and dns
 * (10.0.0.53:53/udp, two endpoints), ids given, rows of the maps filled: a table
 * of 251 slots each, 2 of web's moving, 1 held; 12 pins were refused, 3 slots postponed;
 * 4 nat flows, 1 of them to an endpoint that is gone. One registry, "files".
 */
struct test_view *test_view_new(void);
void test_view_free(struct test_view *view);
/** The registry holds an empty answer back: 15 of 20 endpoints would go. */
void test_view_hold(struct test_view *view);
/** Show `services` services with `endpoints` endpoints each instead. */
void test_view_grow(struct test_view *view, unsigned services, unsigned endpoints);

/** Start a server on a socket in a directory of its own and, if `tcp`, on a port of
 * 127.0.0.1 as well. @param limits NULL = the usual. Fails the test when it cannot. */
struct test_server *test_server_start(
	struct test_view *view, bool tcp, const struct fl_server_limits *limits);
/** Stop; everything is freed, so that the sanitisers see what is not. */
void test_server_stop(struct test_server *server);
const char *test_server_socket(const struct test_server *server);
uint16_t test_server_port(const struct test_server *server);

/** Connect to the Unix socket, or to TCP. @return descriptor; fails the test */
int test_server_connect(const struct test_server *server, bool tcp);
/** Send these bytes and read until the server closes. @return all of it, NUL-terminated,
 * to be freed; fails the test when that takes longer than TEST_DEADLINE_MS */
char *test_server_talk(const struct test_server *server, bool tcp, const char *bytes, size_t count);
/** Read until the other side closes. */
char *test_read_all(int fd);
/** GET a path over the Unix socket. @param ret_status may be NULL @return the body, to be freed */
char *test_server_get(const struct test_server *server, const char *path, int *ret_status);
