/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/watching.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "lib/netns.h"

struct test_node watched;

void watch_setup(void)
{
	test_node_open(&watched);
	test_run("ip link set lo up && ip addr add " E1 "/32 dev lo && ip addr add " E2
		 "/32 dev lo && ip -6 addr add " E6 "/128 dev lo nodad");
}

void watch_teardown(void)
{
	test_node_close(&watched);
}

/* ------------------------------------------------------------------ what sockets do */

int watch_listen(const char *address)
{
	struct sockaddr_storage at;
	socklen_t length = test_node_address(address, PORT, &at);
	int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, length), 0, "%s: %m", address);
	cr_assert_eq(listen(fd, 1024), 0);
	return fd;
}

int watch_connect(int fd, const char *address, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t length = test_node_address(address, port, &to);

	return connect(fd, (struct sockaddr *)&to, length) < 0 ? -errno : 0;
}

int watch_stream(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int watch_disconnect(int fd)
{
	struct sockaddr nothing = { .sa_family = AF_UNSPEC };

	return connect(fd, &nothing, sizeof(nothing));
}

void watch_pair(int listener, int pair[2])
{
	pair[0] = watch_stream();
	cr_assert_eq(watch_connect(pair[0], VIP, 80), 0, "%m");
	pair[1] = accept(listener, NULL, NULL);
	cr_assert_geq(pair[1], 0);
}

void watch_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/* ------------------------------------------------------------------- what is known */

bool watch_has_open(void *context)
{
	return test_node_live(&watched, E1)->open == *(uint32_t *)context;
}

void watch_expect_open(uint32_t open)
{
	cr_expect(test_node_wait(watch_has_open, &open), "%u are open, expected %u",
		test_node_live(&watched, E1)->open, open);
}

void watch_expect_counts(const char *when, const struct watch_counts *expected)
{
	const struct fl_live_row *live = test_node_live(&watched, E1);
	const struct watch_counts found = { live->connects, live->established,
		live->faults[FL_FAULT_NONE], live->faults[FL_FAULT_REFUSED],
		live->faults[FL_FAULT_TIMED_OUT], live->faults[FL_FAULT_UNREACHABLE],
		live->resets };
	const char *const names[] = { "connects", "established", "given up", "refused", "timed out",
		"unreachable", "resets" };
	const uint64_t *a = (const uint64_t *)expected, *b = (const uint64_t *)&found;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_expect_eq(
			a[i], b[i], "%s: %s are %lu, expected %lu", when, names[i], b[i], a[i]);
}

void watch_lay_cable(void)
{
	test_run("ip link add near type veth peer name far && ethtool -K near tx off >/dev/null && "
		 "ip link set near up && ip link set far up && ip addr del " E1
		 "/32 dev lo && ip addr add 192.0.2.100/24 dev near");
}

void watch_lose_all(void)
{
	watch_lay_cable();
	test_run("ip neigh add " E1 " lladdr 02:00:00:00:00:99 dev near");
}
