/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/sockios.h>

#include "core/cleanup.h"
#include "core/defaults.h"
#include "core/log.h"
#include "kernel/checkup.h"
#include "kernel/netdev.h"
#include "kernel/netlink.h"
#include "kernel/xdp.h"

/** An interface under examination. */
struct patient {
	struct fl_checkup *checkup;
	struct fl_netlink *netlink;
	struct fl_link link;
	const char *path; /**< "edge" or "target": whose program it should carry; NULL = none */
	enum fl_edge_mode wish;
	bool told;         /**< `features` holds what the driver says */
	uint64_t features; /**< FL_NETDEV_* */
};

FL_DEFINE_CLEANUP(struct fl_netlink *, fl_netlink_close)

/** One of ethtool's old questions for a single number. @return false when not answered */
static bool ask_ethtool(const char *name, uint32_t command, uint32_t *ret)
{
	struct ethtool_value value = { .cmd = command };
	struct ifreq request = { .ifr_data = (char *)&value };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) < 0)
		return false;
	*ret = value.data;
	return true;
}

/* -------------------------------------------------------------------- xdp */

/** Whether the program on the interface is the one an agent pinned. */
static bool carries_ours(const struct patient *p)
{
	const char *bpffs = p->checkup->config ? p->checkup->config->bpffs : FL_BPFFS_DEFAULT;
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);
	char path[512];
	_cleanup_close_ int fd = -1;

	if (!p->link.xdp_prog || !p->path)
		return false;
	snprintf(path, sizeof(path), "%s/%s", bpffs, p->path);
	fd = bpf_obj_get(path);
	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 &&
	       info.id == p->link.xdp_prog;
}

static void check_occupied(const struct patient *p)
{
	const char *mode = fl_xdp_mode_name(fl_xdp_mode_of(&p->link));
	char words[256];

	if (!carries_ours(p)) {
		fl_xdp_occupant(&p->link, words, sizeof(words));
		fl_checkup_add(p->checkup, "xdp", p->link.name, FL_CHECK_FAIL,
			"an interface carries one XDP program: free the slot, or leave the "
			"interface out",
			"%s", words);
	} else if (fl_xdp_mode_of(&p->link) == FL_XDP_NATIVE || p->wish == FL_MODE_GENERIC) {
		fl_checkup_add(p->checkup, "xdp", p->link.name, FL_CHECK_OK, NULL,
			"carries `%s`, %s", p->path, mode);
	} else {
		fl_checkup_add(p->checkup, "xdp", p->link.name, FL_CHECK_WARN,
			"generic XDP is several times slower: see what is in the way of native",
			"carries `%s`, generic: %s", p->path,
			fl_xdp_refusal(&p->link, EOPNOTSUPP, words, sizeof(words)));
	}
}

static void check_free(const struct patient *p)
{
	bool native = p->wish == FL_MODE_NATIVE;
	char words[256];

	if (p->wish == FL_MODE_GENERIC)
		fl_checkup_add(p->checkup, "xdp", p->link.name, FL_CHECK_OK, NULL,
			"the slot is free; generic, as configured");
	else if ((p->told && !(p->features & FL_NETDEV_BASIC)) || p->link.mtu > FL_XDP_PAGE_MTU)
		fl_checkup_add(p->checkup, "xdp", p->link.name,
			native ? FL_CHECK_FAIL : FL_CHECK_WARN,
			native ? "edge.mode: auto takes generic XDP where native does not work"
			       : "generic XDP is several times slower",
			"the slot is free; %s",
			fl_xdp_refusal(&p->link, EOPNOTSUPP, words, sizeof(words)));
	else if (!p->told)
		fl_checkup_add(p->checkup, "xdp", p->link.name, FL_CHECK_OK, NULL,
			"the slot is free; this kernel tells whether native works only when "
			"fairleadd attaches");
	else
		fl_checkup_add(p->checkup, "xdp", p->link.name, FL_CHECK_OK, NULL,
			"the slot is free; %s has native XDP",
			*fl_xdp_driver(&p->link, words) ? words : "its driver");
}

static void check_xdp(const struct patient *p)
{
	if (p->link.xdp_mode != 0)
		check_occupied(p);
	else
		check_free(p);
}

static void check_lro(const struct patient *p)
{
	char hint[64];
	uint32_t flags;

	snprintf(hint, sizeof(hint), "ethtool -K %s lro off", p->link.name);
	if (ask_ethtool(p->link.name, ETHTOOL_GFLAGS, &flags) && (flags & ETH_FLAG_LRO))
		fl_checkup_add(p->checkup, "lro", p->link.name, FL_CHECK_WARN, hint,
			"large receive offload is on, and XDP sees packets before or not at all");
}

/* -------------------------------------------------------------------- mtu */

/** Whether any service that the configuration itself holds is tunnelled. */
static bool uses_tunnels(const struct fl_config *config)
{
	if (!config)
		return false;
	for (size_t i = 0; i < config->service_count; i++) {
		enum fl_forward forward = config->services[i]->forward;

		if (forward == FL_IPIP || forward == FL_GUE)
			return true;
	}
	return config->has_tunnel_source[FL_IPV4] || config->has_tunnel_source[FL_IPV6];
}

static void check_mtu(const struct patient *p)
{
	/* RFC 2003: an outer IPv4 header; RFC 2473: an outer IPv6 header. */
	long v4 = (long)p->link.mtu - 20, v6 = (long)p->link.mtu - 40;

	if (p->link.mtu < 1280)
		fl_checkup_add(p->checkup, "mtu", p->link.name, FL_CHECK_WARN,
			"IPv6 needs 1280 on every link", "%u", p->link.mtu);
	else if (uses_tunnels(p->checkup->config) && p->link.mtu <= 1500)
		fl_checkup_add(p->checkup, "mtu", p->link.name, FL_CHECK_WARN,
			"give the network towards the endpoints 40 bytes more, or let clients use "
			"a smaller MSS",
			"%u: packets that ipip takes from clients end at %ld bytes (%ld over "
			"IPv6); larger ones are answered \"too big\"",
			p->link.mtu, v4, v6);
	else
		fl_checkup_add(p->checkup, "mtu", p->link.name, FL_CHECK_OK, NULL,
			"%u; ipip leaves %ld bytes of it to a client's packet, %ld over IPv6",
			p->link.mtu, v4, v6);
}

/* ------------------------------------------------------------------- veth */

/** @return whether the other end is in this network namespace, so that it can be asked */
static bool see_peer(const struct patient *p, struct fl_link *ret)
{
	return p->link.peer && !p->link.peer_elsewhere &&
	       fl_netlink_link(p->netlink, NULL, p->link.peer, ret) == 0;
}

/** Frames that XDP sends into a veth are dropped unless the other end is ready. */
static void check_veth_peer(const struct patient *p)
{
	struct fl_link peer = { .name = "PEER" };
	char hint[96];

	if (!p->told)
		return;
	see_peer(p, &peer);
	snprintf(hint, sizeof(hint), "on the peer: ethtool -K %s gro on, or any XDP program",
		peer.name);
	if (p->features & FL_NETDEV_XMIT)
		fl_checkup_add(p->checkup, "redirect", p->link.name, FL_CHECK_OK, NULL,
			"the peer takes frames that XDP sends");
	else
		fl_checkup_add(p->checkup, "redirect", p->link.name, FL_CHECK_WARN, hint,
			"the peer drops frames that XDP sends: it has neither GRO nor an XDP "
			"program");
}

/** A packet that a veth's peer sent with checksum offload has no checksum yet. */
static void check_veth_checksum(const struct patient *p)
{
	struct fl_link peer;
	char hint[64];
	uint32_t on;

	if (!see_peer(p, &peer)) {
		fl_checkup_add(p->checkup, "checksum", p->link.name, FL_CHECK_WARN,
			"on the peer: ethtool -K PEER tx off",
			"the peer is in another network namespace: if its transmit checksum "
			"offload is on, packets that leave this node again are broken");
		return;
	}
	snprintf(hint, sizeof(hint), "ethtool -K %s tx off", peer.name);
	if (!ask_ethtool(peer.name, ETHTOOL_GTXCSUM, &on) || !on)
		fl_checkup_add(p->checkup, "checksum", p->link.name, FL_CHECK_OK, NULL,
			"the peer %s sends finished checksums", peer.name);
	else
		fl_checkup_add(p->checkup, "checksum", p->link.name, FL_CHECK_WARN, hint,
			"the peer %s leaves checksums to be finished, and XDP sends packets on "
			"without",
			peer.name);
}

/* -------------------------------------------------------------- rp_filter */

/** Decapsulated packets come from clients, which are routed elsewhere. */
static void check_rp_filter(const struct patient *p)
{
	char path[128], hint[128];
	long all = 0, own = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", p->link.name);
	if (!fl_checkup_number("/proc/sys/net/ipv4/conf/all/rp_filter", &all) ||
		!fl_checkup_number(path, &own))
		return;
	snprintf(hint, sizeof(hint), "sysctl -w net.ipv4.conf.%s.rp_filter=2", p->link.name);
	if ((all > own ? all : own) == 1)
		fl_checkup_add(p->checkup, "rp_filter", p->link.name, FL_CHECK_WARN, hint,
			"strict: the stack drops what was taken out of a tunnel unless the route "
			"back to the client leaves by this interface");
	else
		fl_checkup_add(
			p->checkup, "rp_filter", p->link.name, FL_CHECK_OK, NULL, "not strict");
}

/* ------------------------------------------------------------------- rows */

static void examine(struct patient *p)
{
	const char *name = p->link.name;
	char hint[64];

	if (p->link.type != ARPHRD_ETHER && p->link.type != ARPHRD_LOOPBACK) {
		fl_checkup_add(p->checkup, "interface", name, FL_CHECK_FAIL,
			"use the Ethernet device below it", "it carries no Ethernet frames");
		return;
	}
	snprintf(hint, sizeof(hint), "ip link set dev %s up", name);
	fl_checkup_add(p->checkup, "interface", name,
		p->link.flags & IFF_UP ? FL_CHECK_OK : FL_CHECK_WARN,
		p->link.flags & IFF_UP ? NULL : hint, "%s%s%s",
		p->link.flags & IFF_UP ? "up" : "down", p->link.kind[0] ? ", " : "", p->link.kind);
	p->told = fl_netdev_xdp(p->link.ifindex, &p->features) == 0;
	check_xdp(p);
	check_lro(p);
	check_mtu(p);
	if (strcmp(p->link.kind, "veth") == 0) {
		check_veth_peer(p);
		check_veth_checksum(p);
	}
	if (p->path && strcmp(p->path, "target") == 0)
		check_rp_filter(p);
}

static void examine_named(struct patient *p, char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int code = fl_netlink_link(p->netlink, names[i], 0, &p->link);

		if (code == 0)
			examine(p);
		else
			fl_checkup_add(p->checkup, "interface", names[i], FL_CHECK_WARN,
				"fairleadd attaches to it when it appears; else mend its name in "
				"the configuration",
				"%s", code == -ENODEV ? "there is none" : fl_log_errno(code));
	}
}

/** Devices that are up, when no configuration names any. */
struct found {
	struct fl_link links[FL_INTERFACES_MAX];
	size_t count;
};

static void find_candidate(void *context, const struct fl_link *link)
{
	struct found *found = context;

	if (link->type == ARPHRD_ETHER && (link->flags & IFF_UP) &&
		found->count < FL_INTERFACES_MAX)
		found->links[found->count++] = *link;
}

static void examine_all(struct patient *p)
{
	struct found found = { .count = 0 };

	fl_netlink_links(p->netlink, find_candidate, &found);
	for (size_t i = 0; i < found.count; i++) {
		p->link = found.links[i];
		examine(p);
	}
}

void fl_checkup_interfaces(struct fl_checkup *checkup)
{
	_cleanup_(fl_netlink_closep) struct fl_netlink *netlink = NULL;
	const struct fl_config *config = checkup->config;
	struct patient p = { .checkup = checkup };
	int code = fl_netlink_open(NETLINK_ROUTE, &netlink);

	if (code < 0) {
		fl_checkup_add(checkup, "interface", NULL, FL_CHECK_FAIL,
			"allow AF_NETLINK (RestrictAddressFamilies= of the unit)",
			"netlink does not work: %s", fl_log_errno(code));
		return;
	}
	p.netlink = netlink;
	if (!config || (!config->interface_count && !config->target_interface_count)) {
		p.path = "edge";
		examine_all(&p);
		return;
	}
	p.path = "edge";
	p.wish = config->edge_mode;
	examine_named(&p, config->interfaces, config->interface_count);
	p.path = "target";
	p.wish = FL_MODE_AUTO;
	examine_named(&p, config->target_interfaces, config->target_interface_count);
}
