/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/node.h"

/**
 * @file watching.h
 * Sockets of the test's process, and what the programs of the node path must have counted
 * of them. One service, web, which never ejects; its endpoint is E1, on this node.
 */
#define VIP  "10.99.0.1"
#define VIP6 "2001:db8:99::1"
#define E1   "192.0.2.1"
#define E2   "192.0.2.2"
#define E6   "2001:db8::1"
#define PORT 8080

#define WEB "web+calm " VIP ":80/tcp " VIP ":81/udp = " E1 ":8080"

extern struct test_node watched;

/** `.init` and `.fini` of suites. */
void watch_setup(void);
void watch_teardown(void);

/* What sockets do. Descriptors are the caller's. */

int watch_stream(void);
int watch_listen(const char *address);
/** @return 0, -errno */
int watch_connect(int fd, const char *address, uint16_t port);
/** connect(2) to nowhere. */
int watch_disconnect(int fd);
/** A connection through the frontend: the client's end, and the endpoint's. */
void watch_pair(int listener, int pair[2]);
/** Close with a reset instead of a FIN. */
void watch_reset(int fd);

/** E1 is the other end of a cable, where nobody has its address. */
void watch_lay_cable(void);
/** What is sent to E1 is lost there. */
void watch_lose_all(void);

/* What is known of E1. */

bool watch_has_open(void *open);
/** States change when packets arrive, a little after close(2): waits for it. */
void watch_expect_open(uint32_t open);

struct watch_counts {
	uint64_t connects, established, given_up, refused, timed_out, unreachable, resets;
};
void watch_expect_counts(const char *when, const struct watch_counts *expected);
#define EXPECT(when, ...) watch_expect_counts(when, &(struct watch_counts){ __VA_ARGS__ })
