/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/notify.h"

/* A service manager's socket; `name` begins with '@' for the abstract namespace. */
static int listen_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(address.sun_path, name);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, length), 0);
	return fd;
}

static void expect_heard(const char *name)
{
	int fd = listen_at(name);
	char heard[64] = "";

	setenv("NOTIFY_SOCKET", name, 1);
	cr_expect_eq(fl_notify("READY=1"), 0);
	cr_expect_eq(recv(fd, heard, sizeof(heard) - 1, MSG_DONTWAIT), 7);
	cr_expect_str_eq(heard, "READY=1");
	close(fd);
}

Test(agent_notify, reaches_the_service_manager)
{
	char name[64];

	snprintf(name, sizeof(name), "/tmp/fl-notify-%d", (int)getpid());
	expect_heard(name);
	unlink(name);
	snprintf(name, sizeof(name), "@fl-notify-%d", (int)getpid());
	expect_heard(name);
}

Test(agent_notify, without_a_service_manager_nothing_happens)
{
	unsetenv("NOTIFY_SOCKET");
	cr_expect_eq(fl_notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "relative", 1);
	cr_expect_eq(fl_notify("READY=1"), -EINVAL);
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	cr_expect_eq(fl_notify("READY=1"), -ENOENT);
}
