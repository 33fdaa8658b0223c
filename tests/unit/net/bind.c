/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "net/bind.h"

static uint16_t port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin_port);
}

Test(net_bind, a_port_that_is_taken)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
	struct fl_failure failure = { 0 };
	struct fl_ip loopback;

	cr_assert_eq(fl_ip_parse("127.0.0.1", &loopback), 0);
	for (size_t i = 0; i < 2; i++) {
		int first = -1, second = -1;

		cr_assert_eq(fl_bind(types[i], &loopback, 0, "x.listen", &failure, &first), 0, "%s",
			failure.message);
		cr_expect_eq(
			fl_bind(types[i], &loopback, port_of(first), "x.listen", &failure, &second),
			-EADDRINUSE);
		cr_expect(strstr(failure.message, "127.0.0.1:"), "%s", failure.message);
		cr_expect(strstr(failure.hint, "x.listen"), "%s", failure.hint);
		cr_expect_eq(second, -1);
		close(first);
	}
}

Test(net_bind, an_address_that_is_not_here)
{
	struct fl_failure failure = { 0 };
	struct fl_ip other;
	int fd = -1;

	cr_assert_eq(fl_ip_parse("203.0.113.1", &other), 0);
	cr_expect_eq(fl_bind(SOCK_DGRAM, &other, 0, "x.listen", &failure, &fd), -EADDRNOTAVAIL);
	cr_expect(strstr(failure.message, "203.0.113.1:0/udp"), "%s", failure.message);
}

Test(net_bind, addresses_as_system_calls_take_them)
{
	struct sockaddr_storage storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
	struct sockaddr_in *in = (struct sockaddr_in *)&storage;
	struct fl_ip addr;

	fl_ip_parse("192.0.2.1", &addr);
	cr_expect_eq(fl_sockaddr_from_ip(&addr, 80, &storage), sizeof(*in));
	cr_expect(in->sin_family == AF_INET && in->sin_port == htons(80));
	cr_expect_eq(in->sin_addr.s_addr, htonl(0xc0000201));
	fl_ip_parse("2001:db8::1", &addr);
	cr_expect_eq(fl_sockaddr_from_ip(&addr, 80, &storage), sizeof(*in6));
	cr_expect(in6->sin6_family == AF_INET6 && in6->sin6_port == htons(80));
	cr_expect_eq(memcmp(&in6->sin6_addr, fl_ip_bytes(&addr), 16), 0);
}
