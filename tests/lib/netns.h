/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <uv.h>

/**
 * @file netns.h
 * A private world for tests that need devices, routes or pins: its network, its
 * mounts, its bpffs and its /run are gone with the process.
 */

/** Enter new network and mount namespaces with an empty /run and a bpffs at
 * /sys/fs/bpf; `lo` is up. Needs root. Fails the test when it cannot. */
void test_enter_private(void);

/** Run a shell command, printf-like; its output goes to the test's. Fails the test
 * when the command does. */
void test_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** The same, but the caller looks at the exit status. */
int test_try(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** How long a condition is waited for. Generous: the machine may be an emulator. */
#define TEST_DEADLINE_MS 120000

/** Run the loop until `is_true` says so. @return false when the deadline passed */
bool test_loop_until(uv_loop_t *loop, bool (*is_true)(void *context), void *context);

/** Run the loop until its handles are closed, and close it; all memory is free then. */
void test_loop_finish(uv_loop_t *loop);

/** A program that does nothing but return XDP_PASS. @return descriptor */
int test_xdp_pass(const char *name);
