/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/netns.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>

void test_enter_private(void)
{
	cr_assert_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0, "unshare: %m (are you root?)");
	cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0, "mount: %m");
	cr_assert_eq(mount("tmpfs", "/run", "tmpfs", 0, "mode=755"), 0, "mount /run: %m");
	cr_assert_eq(mount("sysfs", "/sys", "sysfs", 0, NULL), 0, "mount /sys: %m");
	cr_assert_eq(mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=700"), 0, "mount bpffs: %m");
	test_run("ip link set lo up");
}

static int run(const char *format, va_list arguments, char command[1024])
{
	int status;

	cr_assert_lt(vsnprintf(command, 1024, format, arguments), 1024);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void test_run(const char *format, ...)
{
	char command[1024];
	va_list arguments;
	int status;

	va_start(arguments, format);
	status = run(format, arguments, command);
	va_end(arguments);
	cr_assert_eq(status, 0, "`%s` ended with %d", command, status);
}

int test_try(const char *format, ...)
{
	char command[1024];
	va_list arguments;
	int status;

	va_start(arguments, format);
	status = run(format, arguments, command);
	va_end(arguments);
	return status;
}

static void deadline_passed(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/** Wakes the loop, so that a condition which no event announces is looked at too. */
static void look_again(uv_timer_t *timer)
{
	(void)timer;
}

bool test_loop_until(uv_loop_t *loop, bool (*is_true)(void *context), void *context)
{
	bool late = false, met;
	uv_timer_t *deadline = malloc(sizeof(*deadline)), *tick = malloc(sizeof(*tick));

	cr_assert(deadline && tick);
	uv_timer_init(loop, deadline);
	uv_timer_init(loop, tick);
	deadline->data = &late;
	uv_timer_start(deadline, deadline_passed, TEST_DEADLINE_MS, 0);
	uv_timer_start(tick, look_again, 20, 20);
	while (!(met = is_true(context)) && !late)
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)deadline, (uv_close_cb)free);
	uv_close((uv_handle_t *)tick, (uv_close_cb)free);
	return met;
}

void test_loop_finish(uv_loop_t *loop)
{
	uv_run(loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(loop), 0, "a handle was left open on the loop");
}

int test_xdp_pass(const char *name)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, name, "Dual BSD/GPL", code, 2, NULL);

	cr_assert_geq(fd, 0, "loading a program: %m");
	return fd;
}
