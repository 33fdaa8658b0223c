/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/cleanup.h"

static const struct fl_probe_driver *const drivers[FL_PROBES] = {
	[FL_PROBE_TCP] = &fl_probe_tcp,
	[FL_PROBE_HTTP] = &fl_probe_http,
	[FL_PROBE_HTTPS] = &fl_probe_http,
	[FL_PROBE_GRPC] = &fl_probe_grpc,
	[FL_PROBE_UDP] = &fl_probe_udp,
	[FL_PROBE_EXEC] = &fl_probe_exec,
	[FL_PROBE_AGENT] = &fl_probe_agent,
};

const struct fl_probe_driver *fl_probe_driver(const struct fl_check *check)
{
	enum fl_probe probe = fl_check_probe(check);

	if (probe == FL_PROBE_HTTP && !check->contains)
		return &fl_probe_page;
	return drivers[probe];
}

void fl_probe_say(struct fl_probe_outcome *outcome, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(outcome->detail, sizeof(outcome->detail), format, arguments);
	va_end(arguments);
}

/* What this node lacks, or may not do. */
static bool is_our_own(int code)
{
	static const int ours[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL, EADDRINUSE,
		EACCES, EPERM, EAGAIN, EINVAL };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (ours[i] == code)
			return true;
	return false;
}

int fl_probe_errno(struct fl_probe_outcome *outcome, int code)
{
	code = code < 0 ? -code : code;
	outcome->result = is_our_own(code) ? FL_PROBE_UNABLE : FL_PROBE_FAILED;
	fl_probe_say(outcome, "%s", strerror(code));
	return -code;
}

static socklen_t to_sockaddr(const struct fl_ip *ip, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	*ret = (struct sockaddr_storage){ 0 };
	if (fl_ip_family(ip) == FL_IPV4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, fl_ip_bytes(ip), sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, fl_ip_bytes(ip), sizeof(v6->sin6_addr));
	return sizeof(*v6);
}

const struct fl_ip *fl_probe_source(const struct fl_probe_target *target)
{
	static const struct fl_ip none;
	const struct fl_ip *source =
		fl_ip_equal(&target->source, &none) ? &target->check->source : &target->source;

	if (fl_ip_equal(source, &none) || fl_ip_family(source) != fl_ip_family(&target->addr))
		return NULL;
	return source;
}

static int bind_source(int fd, const struct fl_probe_target *target)
{
	const struct fl_ip *source = fl_probe_source(target);
	struct sockaddr_storage address;
	socklen_t length;

	if (!source)
		return 0;
	length = to_sockaddr(source, 0, &address);
	return bind(fd, (struct sockaddr *)&address, length) < 0 ? -errno : 0;
}

int fl_probe_connect(
	const struct fl_probe_target *target, int type, struct fl_probe_outcome *outcome)
{
	struct sockaddr_storage address;
	socklen_t length = to_sockaddr(&target->addr, target->port, &address);
	_cleanup_close_ int fd = socket(address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : bind_source(fd, target);

	if (r == 0 && target->mark &&
		setsockopt(fd, SOL_SOCKET, SO_MARK, &target->mark, sizeof(target->mark)) < 0)
		r = -errno;
	if (r < 0)
		return fl_probe_errno(outcome, r);
	if (connect(fd, (struct sockaddr *)&address, length) < 0 && errno != EINPROGRESS)
		return fl_probe_errno(outcome, errno);
	return TAKE_FD(fd);
}
