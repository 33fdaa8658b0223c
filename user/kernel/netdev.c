/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/netdev.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>

#include "core/cleanup.h"
#include "kernel/netlink.h"

/* linux/netdev.h */
#define NETDEV_CMD_DEV_GET        1
#define NETDEV_A_DEV_IFINDEX      1
#define NETDEV_A_DEV_XDP_FEATURES 3

FL_DEFINE_CLEANUP(struct fl_netlink *, fl_netlink_close)

static void put_command(struct nlmsghdr *header, uint8_t command)
{
	struct genlmsghdr *generic = mnl_nlmsg_put_extra_header(header, sizeof(*generic));

	generic->cmd = command;
	generic->version = 1;
}

static int take_family(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, message, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
			*(uint16_t *)context = mnl_attr_get_u16(attr);
	}
	return MNL_CB_OK;
}

/** @return 0, -ENOENT when this kernel has no such family */
static int find_family(struct fl_netlink *netlink, uint16_t *ret)
{
	struct nlmsghdr *header = fl_netlink_request(netlink, GENL_ID_CTRL, 0);
	uint16_t family = 0;
	int code;

	put_command(header, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(header, CTRL_ATTR_FAMILY_NAME, "netdev");
	code = fl_netlink_ask(netlink, take_family, &family);
	if (code < 0)
		return code;
	*ret = family;
	return family ? 0 : -ENOENT;
}

static int take_features(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, message, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attr) == NETDEV_A_DEV_XDP_FEATURES &&
			mnl_attr_get_payload_len(attr) == sizeof(uint64_t))
			*(uint64_t *)context = mnl_attr_get_u64(attr);
	}
	return MNL_CB_OK;
}

int fl_netdev_xdp(uint32_t ifindex, uint64_t *ret)
{
	_cleanup_(fl_netlink_closep) struct fl_netlink *netlink = NULL;
	struct nlmsghdr *header;
	uint64_t features = 0;
	uint16_t family;
	int code = fl_netlink_open(NETLINK_GENERIC, &netlink);

	if (code < 0)
		return code;
	code = find_family(netlink, &family);
	if (code < 0)
		return code == -ENOENT ? -EOPNOTSUPP : code;
	header = fl_netlink_request(netlink, family, 0);
	put_command(header, NETDEV_CMD_DEV_GET);
	mnl_attr_put_u32(header, NETDEV_A_DEV_IFINDEX, ifindex);
	code = fl_netlink_ask(netlink, take_features, &features);
	if (code < 0)
		return code;
	*ret = features;
	return 0;
}
