/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/sock_diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "core/cleanup.h"
#include "kernel/netlink.h"

static void put_address(uint8_t family, const struct fl_ip *ip, __be32 ret[4])
{
	if (family == AF_INET)
		ret[0] = ip->word[3];
	else
		memcpy(ret, ip->word, sizeof(ip->word));
}

static struct inet_diag_req_v2 request_of(const struct fl_stale_socket *socket)
{
	struct inet_diag_req_v2 request = {
		.sdiag_family = socket->family,
		.sdiag_protocol = socket->proto,
		.idiag_states = ~0u,
		.id = { .idiag_sport = socket->local_port,
			.idiag_dport = socket->remote_port,
			.idiag_if = socket->interface,
			.idiag_cookie = { (uint32_t)socket->cookie,
				(uint32_t)(socket->cookie >> 32) } },
	};

	put_address(socket->family, &socket->local, request.id.idiag_src);
	put_address(socket->family, &socket->remote, request.id.idiag_dst);
	return request;
}

int fl_sock_diag_destroy(const struct fl_stale_socket *socket)
{
	const struct inet_diag_req_v2 request = request_of(socket);
	struct fl_netlink *netlink;
	struct nlmsghdr *message;
	int r = fl_netlink_open(NETLINK_SOCK_DIAG, &netlink);

	if (r < 0)
		return r;
	message = fl_netlink_request(netlink, SOCK_DESTROY, NLM_F_ACK);
	memcpy(mnl_nlmsg_put_extra_header(message, sizeof(request)), &request, sizeof(request));
	r = fl_netlink_ask(netlink, NULL, NULL);
	fl_netlink_close(netlink);
	return r;
}

int fl_sock_diag_probe(void)
{
	static const struct fl_stale_socket nobody = { .cookie = UINT64_MAX,
		.family = AF_INET,
		.proto = IPPROTO_TCP,
		.local_port = 9,
		.remote_port = 9 };
	int r = fl_sock_diag_destroy(&nobody);

	return r == -ENOENT ? 0 : r < 0 ? r : -EOPNOTSUPP;
}
