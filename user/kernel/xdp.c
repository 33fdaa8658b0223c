/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/xdp.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <net/if_arp.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "kernel/netdev.h"

/** The kernel's own ENOTSUPP, which some drivers let out. */
#define KERNEL_ENOTSUPP 524

const char *fl_xdp_mode_name(enum fl_xdp_mode mode)
{
	static const char *const names[] = { "none", "native", "generic" };

	return names[mode];
}

enum fl_xdp_mode fl_xdp_mode_of(const struct fl_link *link)
{
	switch (link->xdp_mode) {
	case XDP_ATTACHED_DRV:
	case XDP_ATTACHED_HW:
	case XDP_ATTACHED_MULTI:
		return FL_XDP_NATIVE;
	case XDP_ATTACHED_SKB:
		return FL_XDP_GENERIC;
	default:
		return FL_XDP_NONE;
	}
}

char *fl_xdp_driver(const struct fl_link *link, char buffer[32])
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { .ifr_data = (char *)&info };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(request.ifr_name, link->name, sizeof(link->name));
	buffer[0] = '\0';
	if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0)
		snprintf(buffer, 32, "%.31s", info.driver);
	return buffer;
}

bool fl_xdp_may_be_native(const struct fl_link *link)
{
	uint64_t features;

	if (link->mtu > FL_XDP_PAGE_MTU)
		return false;
	return fl_netdev_xdp(link->ifindex, &features) < 0 || (features & FL_NETDEV_BASIC);
}

char *fl_xdp_refusal(const struct fl_link *link, int code, char *buffer, size_t size)
{
	char driver[32];
	uint64_t features;
	bool told = fl_netdev_xdp(link->ifindex, &features) == 0;

	if (code < 0)
		code = -code;
	if (!*fl_xdp_driver(link, driver))
		snprintf(driver, sizeof(driver), "its driver");
	if (told && !(features & FL_NETDEV_BASIC) && strcmp(link->kind, "veth") == 0)
		snprintf(buffer, size,
			"this veth has fewer receive queues than its peer has transmit queues: no "
			"native XDP");
	else if (told && !(features & FL_NETDEV_BASIC))
		snprintf(buffer, size, "%s has no native XDP", driver);
	else if (link->mtu > FL_XDP_PAGE_MTU && code != EPERM)
		snprintf(buffer, size,
			"MTU %u is too large for native XDP (%s): lower it to %u or less",
			link->mtu, driver, FL_XDP_PAGE_MTU);
	else if (code == ERANGE)
		snprintf(buffer, size,
			"native XDP refused: the MTU of %s or of its peer is too large for %s",
			link->name, driver);
	else if (code == EOPNOTSUPP || code == KERNEL_ENOTSUPP)
		snprintf(buffer, size,
			"%s has no native XDP as it is set up: LRO, GRO_HW or a lack of queues",
			driver);
	else
		snprintf(buffer, size, "native XDP refused by %s: %s", driver, fl_log_errno(code));
	return buffer;
}

/** The name of a program; needs CAP_SYS_ADMIN, since it goes by id. */
static void program_name(uint32_t id, char name[BPF_OBJ_NAME_LEN])
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);

	name[0] = '\0';
	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0)
		memcpy(name, info.name, BPF_OBJ_NAME_LEN);
}

/** The bpf_link that holds a program on an interface, since such a one does not
 * go by `ip link`. Links of all network namespaces are listed, and indexes of devices
 * repeat there, so the program counts too. Needs CAP_SYS_ADMIN.
 * @return its id; 0 = none, or not told */
static uint32_t link_on(uint32_t ifindex, uint32_t program)
{
	uint32_t id = 0;

	while (bpf_link_get_next_id(id, &id) == 0) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
		struct bpf_link_info info = { 0 };
		uint32_t length = sizeof(info);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 &&
			info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex &&
			info.prog_id == program)
			return id;
	}
	return 0;
}

char *fl_xdp_occupant(const struct fl_link *link, char *buffer, size_t size)
{
	const char *off = link->xdp_mode == XDP_ATTACHED_SKB ? "xdpgeneric" : "xdp";
	uint32_t holder = link_on(link->ifindex, link->xdp_prog);
	char name[BPF_OBJ_NAME_LEN];
	int used;

	program_name(link->xdp_prog, name);
	used = snprintf(buffer, size, "the XDP slot is taken by program %u%s%s%s (%s); ",
		link->xdp_prog, name[0] ? " \"" : "", name, name[0] ? "\"" : "",
		fl_xdp_mode_name(fl_xdp_mode_of(link)));
	if (used < 0 || (size_t)used >= size)
		return buffer;
	if (holder)
		snprintf(buffer + used, size - used,
			"to free it: bpftool link detach id %u (and remove its pin)", holder);
	else
		snprintf(buffer + used, size - used, "to free it: ip link set dev %s %s off",
			link->name, off);
	return buffer;
}

/** @return descriptor, -errno */
static int attach(int prog_fd, uint32_t ifindex, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
	int fd = bpf_link_create(prog_fd, ifindex, BPF_XDP, &options);

	return fd < 0 ? -errno : fd;
}

/** Whether another way of attaching could not help either. */
static bool is_final(int code)
{
	return code == -EBUSY || code == -EEXIST || code == -EPERM || code == -ENODEV ||
	       code == -EBADF;
}

/** Words for what is wrong whatever the mode. @return `code`, -EBUSY for a taken slot */
static int explain_final(const struct fl_link *link, int code, char *reason, size_t size)
{
	if (code == -EBUSY || code == -EEXIST) {
		fl_xdp_occupant(link, reason, size);
		return -EBUSY;
	}
	if (code == -EPERM)
		snprintf(reason, size, "not permitted: attaching needs CAP_NET_ADMIN and CAP_BPF");
	else
		snprintf(reason, size, "cannot attach: %s", fl_log_errno(code));
	return code;
}

int fl_xdp_attach(int prog_fd, const struct fl_link *link, enum fl_edge_mode wish,
	enum fl_xdp_mode *ret_mode, char *reason, size_t size)
{
	char refusal[256];
	int fd = -EOPNOTSUPP, code;

	reason[0] = '\0';
	if (link->type != ARPHRD_ETHER && link->type != ARPHRD_LOOPBACK) {
		snprintf(reason, size, "%s carries no Ethernet frames", link->name);
		return -EPROTOTYPE;
	}
	if (link->xdp_prog || link->xdp_mode != XDP_ATTACHED_NONE)
		return explain_final(link, -EBUSY, reason, size);

	if (wish != FL_MODE_GENERIC) {
		fd = attach(prog_fd, link->ifindex, XDP_FLAGS_DRV_MODE);
		if (fd >= 0) {
			*ret_mode = FL_XDP_NATIVE;
			return fd;
		}
		if (is_final(fd))
			return explain_final(link, fd, reason, size);
		fl_xdp_refusal(link, fd, reason, size);
		if (wish == FL_MODE_NATIVE)
			return fd;
	}

	code = fd;
	fd = attach(prog_fd, link->ifindex, XDP_FLAGS_SKB_MODE);
	if (fd >= 0) {
		*ret_mode = FL_XDP_GENERIC;
		return fd;
	}
	if (is_final(fd))
		return explain_final(link, fd, reason, size);
	if (wish == FL_MODE_GENERIC)
		snprintf(reason, size, "generic XDP refused: %s", fl_log_errno(fd));
	else
		snprintf(reason, size, "%s; generic XDP refused too: %s",
			fl_xdp_refusal(link, code, refusal, sizeof(refusal)), fl_log_errno(fd));
	return fd;
}
