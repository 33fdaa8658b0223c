/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/bind.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"

#define BACKLOG 128

socklen_t fl_sockaddr_from_ip(const struct fl_ip *addr, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (fl_ip_family(addr) == FL_IPV4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, fl_ip_bytes(addr), sizeof(in->sin_addr));
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, fl_ip_bytes(addr), sizeof(in6->sin6_addr));
	return sizeof(*in6);
}

static int explain(int code, int type, const struct fl_ip *addr, uint16_t port, const char *option,
	struct fl_failure *failure)
{
	char text[FL_SOCKET_TEXT];

	fl_fail(failure, code, "cannot listen on %s%s: %s", fl_socket_format(addr, port, text),
		type == SOCK_DGRAM ? "/udp" : "", fl_log_errno(code));
	if (code == -EADDRINUSE)
		fl_fail_hint(
			failure, "another program uses that port: set another %s, or off", option);
	if (code == -EACCES && port < IPPORT_RESERVED)
		fl_fail_hint(failure,
			"ports below 1024 can be taken at the start only: restart, or set another "
			"%s",
			option);
	return code;
}

int fl_bind(int type, const struct fl_ip *addr, uint16_t port, const char *option,
	struct fl_failure *failure, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage address;
	socklen_t length = fl_sockaddr_from_ip(addr, port, &address);
	int on = 1;

	fd = socket(address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fl_fail(failure, -errno, "cannot create a socket: %s", fl_log_errno(errno));
	if (type == SOCK_STREAM) /* of UDP it would let two share the port */
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&address, length) < 0 ||
		(type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		return explain(-errno, type, addr, port, option, failure);
	*ret_fd = TAKE_FD(fd);
	return 0;
}
