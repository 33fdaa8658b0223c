/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "core/cleanup.h"

#define REQUEST_SIZE 4096
#define ANSWER_SIZE  32768
/** The kernel answers within the call; this only bounds what should not happen. */
#define ANSWER_TIMEOUT_S 5
/** Room for bursts of notifications; used only while they wait. */
#define WATCH_BUFFER (4 << 20)
/** A dump that keeps being overtaken is given up after so many tries. */
#define DUMP_TRIES 8
/** Reads per wake-up, so that a storm of notifications leaves the loop its turn. */
#define READS_PER_TURN 64

struct fl_netlink {
	struct mnl_socket *socket;
	uint32_t sequence;
	char request[REQUEST_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	char answer[ANSWER_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
};

static int socket_open(int protocol, int flags, struct mnl_socket **ret)
{
	struct mnl_socket *s = mnl_socket_open2(protocol, SOCK_CLOEXEC | flags);

	if (!s)
		return -errno;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		int code = -errno;

		mnl_socket_close(s);
		return code;
	}
	*ret = s;
	return 0;
}

int fl_netlink_open(int protocol, struct fl_netlink **ret)
{
	struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
	_cleanup_free_ struct fl_netlink *netlink = calloc(1, sizeof(*netlink));
	int code;

	if (!netlink)
		return -ENOMEM;
	code = socket_open(protocol, 0, &netlink->socket);
	if (code < 0)
		return code;
	setsockopt(mnl_socket_get_fd(netlink->socket), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		sizeof(timeout));
	*ret = TAKE_PTR(netlink);
	return 0;
}

void fl_netlink_close(struct fl_netlink *netlink)
{
	if (!netlink)
		return;
	mnl_socket_close(netlink->socket);
	free(netlink);
}

struct nlmsghdr *fl_netlink_request(struct fl_netlink *netlink, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(netlink->request);

	header->nlmsg_type = type;
	/* Without a dump the answer has no end of its own: ask for one. */
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	if ((flags & NLM_F_DUMP) != NLM_F_DUMP)
		header->nlmsg_flags |= NLM_F_ACK;
	header->nlmsg_seq = ++netlink->sequence;
	return header;
}

int fl_netlink_ask(struct fl_netlink *netlink, mnl_cb_t each, void *context)
{
	struct nlmsghdr *header = (struct nlmsghdr *)netlink->request;
	unsigned port = mnl_socket_get_portid(netlink->socket);
	int ret;

	if (mnl_socket_sendto(netlink->socket, header, header->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t length = mnl_socket_recvfrom(netlink->socket, netlink->answer, ANSWER_SIZE);

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		ret = mnl_cb_run(netlink->answer, length, header->nlmsg_seq, port, each, context);
		if (ret == MNL_CB_STOP)
			return 0;
		/* ESRCH: the rest of an answer that was given up earlier. */
		if (ret < 0 && errno != ESRCH)
			return -errno;
	}
}

/* ----------------------------------------------------------------- links */

static void parse_kind(const struct nlattr *info, struct fl_link *ret)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info) {
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND &&
			mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			strncpy(ret->kind, mnl_attr_get_str(attr), sizeof(ret->kind) - 1);
	}
}

static void parse_xdp(const struct nlattr *xdp, struct fl_link *ret)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, xdp) {
		if (mnl_attr_get_type(attr) == IFLA_XDP_ATTACHED &&
			mnl_attr_validate(attr, MNL_TYPE_U8) >= 0)
			ret->xdp_mode = mnl_attr_get_u8(attr);
		if (mnl_attr_get_type(attr) == IFLA_XDP_PROG_ID &&
			mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			ret->xdp_prog = mnl_attr_get_u32(attr);
	}
}

bool fl_link_parse(const struct nlmsghdr *message, struct fl_link *ret)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	struct fl_link link = { 0 };
	const struct nlattr *attr;

	if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK)
		return false;
	/* Bridges report their ports in the same type, as another family. */
	if (mnl_nlmsg_get_payload_len(message) < sizeof(*info) || info->ifi_family != AF_UNSPEC)
		return false;

	link.ifindex = info->ifi_index;
	link.flags = info->ifi_flags;
	link.type = info->ifi_type;
	mnl_attr_for_each(attr, message, sizeof(*info)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
				strncpy(link.name, mnl_attr_get_str(attr), sizeof(link.name) - 1);
			break;
		case IFLA_MTU:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
				link.mtu = mnl_attr_get_u32(attr);
			break;
		case IFLA_ADDRESS:
			link.has_mac = mnl_attr_get_payload_len(attr) == sizeof(link.mac);
			if (link.has_mac)
				memcpy(link.mac, mnl_attr_get_payload(attr), sizeof(link.mac));
			break;
		case IFLA_LINK:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
				link.peer = mnl_attr_get_u32(attr);
			break;
		case IFLA_LINK_NETNSID:
			link.peer_elsewhere = true;
			break;
		case IFLA_LINKINFO:
			parse_kind(attr, &link);
			break;
		case IFLA_XDP:
			parse_xdp(attr, &link);
			break;
		}
	}
	*ret = link;
	return true;
}

/** IFF_LOWER_UP, the carrier, is not in net/if.h. */
#define LOWER_UP (1u << 16)

bool fl_link_works(const struct fl_link *link)
{
	return (link->flags & IFF_UP) && (link->flags & LOWER_UP);
}

static int take_link(const struct nlmsghdr *message, void *context)
{
	fl_link_parse(message, context);
	return MNL_CB_OK;
}

int fl_netlink_link(
	struct fl_netlink *netlink, const char *name, uint32_t ifindex, struct fl_link *ret)
{
	struct nlmsghdr *header = fl_netlink_request(netlink, RTM_GETLINK, 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));
	struct fl_link link = { 0 };
	int code;

	info->ifi_family = AF_UNSPEC;
	info->ifi_index = name ? 0 : (int)ifindex;
	if (name)
		mnl_attr_put_strz(header, IFLA_IFNAME, name);
	code = fl_netlink_ask(netlink, take_link, &link);
	if (code < 0)
		return code;
	if (!link.ifindex)
		return -ENODEV;
	*ret = link;
	return 0;
}

struct links_walk {
	void (*each)(void *context, const struct fl_link *link);
	void *context;
};

static int walk_link(const struct nlmsghdr *message, void *context)
{
	struct links_walk *walk = context;
	struct fl_link link;

	if (fl_link_parse(message, &link))
		walk->each(walk->context, &link);
	return MNL_CB_OK;
}

int fl_netlink_links(struct fl_netlink *netlink,
	void (*each)(void *context, const struct fl_link *link), void *context)
{
	struct links_walk walk = { each, context };
	int code = -EINTR;

	for (int try = 0; try < DUMP_TRIES && code == -EINTR; try++) {
		struct nlmsghdr *header = fl_netlink_request(netlink, RTM_GETLINK, NLM_F_DUMP);

		mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
		code = fl_netlink_ask(netlink, walk_link, &walk);
	}
	return code;
}

/* ---------------------------------------------------------- subscription */

struct fl_netlink_watch {
	struct mnl_socket *socket;
	uv_poll_t poll;
	struct fl_netlink_hooks hooks;
	char buffer[ANSWER_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
};

static int watch_message(const struct nlmsghdr *message, void *context)
{
	struct fl_netlink_watch *watch = context;

	/* An earlier message of this read may have led to fl_netlink_unwatch(). */
	if (watch->hooks.message && !uv_is_closing((uv_handle_t *)&watch->poll))
		watch->hooks.message(watch->hooks.context, message);
	return MNL_CB_OK;
}

static void watch_readable(uv_poll_t *poll, int status, int events)
{
	struct fl_netlink_watch *watch = poll->data;

	(void)status; /* an error shows up in the read below as well */
	(void)events;
	for (int i = 0; i < READS_PER_TURN && !uv_is_closing((uv_handle_t *)poll); i++) {
		ssize_t length =
			mnl_socket_recvfrom(watch->socket, watch->buffer, sizeof(watch->buffer));

		if (length >= 0) {
			mnl_cb_run(watch->buffer, length, 0, 0, watch_message, watch);
			continue;
		}
		/* ENOBUFS is told once, then what is still queued can be read. */
		if (errno != ENOBUFS && errno != ENOSPC && errno != EINTR)
			break;
		if (errno != EINTR && watch->hooks.lost)
			watch->hooks.lost(watch->hooks.context);
	}
	if (!uv_is_closing((uv_handle_t *)poll))
		watch->hooks.settled(watch->hooks.context);
}

static int watch_join(struct fl_netlink_watch *watch, const unsigned *groups, size_t count)
{
	int fd = mnl_socket_get_fd(watch->socket);
	int size = WATCH_BUFFER;

	/* Beyond net.core.rmem_max only with CAP_NET_ADMIN. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (size_t i = 0; i < count; i++) {
		if (mnl_socket_setsockopt(watch->socket, NETLINK_ADD_MEMBERSHIP, (void *)&groups[i],
			    sizeof(groups[i])) < 0)
			return -errno;
	}
	return 0;
}

int fl_netlink_watch(uv_loop_t *loop, const unsigned *groups, size_t count,
	const struct fl_netlink_hooks *hooks, struct fl_netlink_watch **ret)
{
	struct fl_netlink_watch *watch = calloc(1, sizeof(*watch));
	int code;

	if (!watch)
		return -ENOMEM;
	watch->hooks = *hooks;
	code = socket_open(NETLINK_ROUTE, SOCK_NONBLOCK, &watch->socket);
	if (code < 0) {
		free(watch);
		return code;
	}
	code = watch_join(watch, groups, count);
	if (code == 0)
		code = uv_poll_init(loop, &watch->poll, mnl_socket_get_fd(watch->socket));
	if (code < 0) {
		mnl_socket_close(watch->socket);
		free(watch);
		return code;
	}
	watch->poll.data = watch;
	code = uv_poll_start(&watch->poll, UV_READABLE, watch_readable);
	if (code < 0) {
		fl_netlink_unwatch(watch);
		return code;
	}
	*ret = watch;
	return 0;
}

static void watch_closed(uv_handle_t *handle)
{
	struct fl_netlink_watch *watch = handle->data;

	mnl_socket_close(watch->socket);
	free(watch);
}

void fl_netlink_unwatch(struct fl_netlink_watch *watch)
{
	if (watch)
		uv_close((uv_handle_t *)&watch->poll, watch_closed);
}
