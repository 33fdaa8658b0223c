/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/probe_tunnel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/tc_probe.skel.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "kernel/libbpf_log.h"
#include "kernel/netlink.h"
#include "kernel/object.h"

#define LOOPBACK 1 /* `lo` is the first device of each network namespace */
/* Where the filter, the rule and the route stand; numbers that nobody else is likely to have. */
#define FILTER_HANDLE   1
#define FILTER_PRIORITY 0xfa1e
#define RULE_PRIORITY   64111
#define ROUTE_TABLE     0xfa1ead

/* ----------------------------------------------------------------------- program */

static char *pin_path(const char *bpffs)
{
	char *path;

	return asprintf(&path, "%s/probe", bpffs) < 0 ? NULL : path;
}

static struct bpf_tc_hook hook_of_loopback(void)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = LOOPBACK, .attach_point = BPF_TC_EGRESS);

	return hook;
}

static int attach(int program_fd, struct fl_failure *failure)
{
	struct bpf_tc_hook hook = hook_of_loopback();
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
		.prog_fd = program_fd, .flags = BPF_TC_F_REPLACE);
	int r = bpf_tc_hook_create(&hook);

	if (r == 0 || r == -EEXIST)
		r = bpf_tc_attach(&hook, &options);
	return r < 0 ? fl_fail(failure, r, "cannot attach a program to the egress of lo: %s",
			       strerror(-r))
		     : 0;
}

static int pin(int program_fd, const char *bpffs, struct fl_failure *failure)
{
	_cleanup_free_ char *path = pin_path(bpffs);

	if (!path)
		return fl_fail(failure, -ENOMEM, "out of memory");
	unlink(path);
	if (bpf_obj_pin(program_fd, path) < 0)
		return fl_fail(failure, -errno, "cannot pin %s: %s", path, strerror(errno));
	return 0;
}

static int load(
	const struct fl_kernel *kernel, const struct fl_config *config, struct fl_failure *failure)
{
	struct tc_probe *object = tc_probe__open();
	int r = object ? fl_object_size_maps(object->obj, &config->limits, failure)
		       : fl_libbpf_log_explain(failure, -errno);

	if (r == 0)
		r = fl_object_reuse_maps(object->obj, &kernel->maps, failure);
	if (r == 0 && tc_probe__load(object) < 0)
		r = fl_libbpf_log_explain(failure, -errno);
	if (r == 0)
		r = pin(bpf_program__fd(object->progs.probe), kernel->bpffs, failure);
	if (r == 0)
		r = attach(bpf_program__fd(object->progs.probe), failure);
	tc_probe__destroy(object);
	return r;
}

static void detach(void)
{
	struct bpf_tc_hook hook = hook_of_loopback();
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);

	bpf_tc_detach(&hook, &options);
}

/* Another agent in this network namespace may have put its program in place of ours. */
static bool is_ours(const char *path)
{
	struct bpf_tc_hook hook = hook_of_loopback();
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
	_cleanup_close_ int fd = bpf_obj_get(path);
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length) < 0)
		return false;
	return bpf_tc_query(&hook, &options) < 0 || options.prog_id == info.id;
}

/* ------------------------------------------------------------------ rule and route */

/* Marked packets are looked up in a table of their own. */
static int change_rule(struct fl_netlink *netlink, uint8_t family, bool add)
{
	struct nlmsghdr *request = fl_netlink_request(netlink, add ? RTM_NEWRULE : RTM_DELRULE,
		add ? NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL : NLM_F_ACK);
	struct fib_rule_hdr *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));

	head->family = family;
	head->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(request, FRA_PRIORITY, RULE_PRIORITY);
	mnl_attr_put_u32(request, FRA_FWMARK, FL_PROBE_MARK);
	mnl_attr_put_u32(request, FRA_FWMASK, FL_PROBE_MARK_MASK);
	mnl_attr_put_u32(request, FRA_TABLE, ROUTE_TABLE);
	return fl_netlink_ask(netlink, NULL, NULL);
}

/* Which has one route, out by `lo`. To IPv6 only a local one can be that; to IPv4 one such
 * makes the check of sources slower, for everybody. */
static int change_route(struct fl_netlink *netlink, uint8_t family, bool add)
{
	struct nlmsghdr *request = fl_netlink_request(netlink, add ? RTM_NEWROUTE : RTM_DELROUTE,
		add ? NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE : NLM_F_ACK);
	struct rtmsg *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));

	head->rtm_family = family;
	head->rtm_protocol = RTPROT_STATIC;
	head->rtm_type = family == AF_INET ? RTN_UNICAST : RTN_LOCAL;
	head->rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_HOST;
	mnl_attr_put_u32(request, RTA_TABLE, ROUTE_TABLE);
	mnl_attr_put_u32(request, RTA_OIF, LOOPBACK);
	return fl_netlink_ask(netlink, NULL, NULL);
}

static int add_family(struct fl_netlink *netlink, uint8_t family)
{
	int r = change_route(netlink, family, true);

	if (r == 0)
		r = change_rule(netlink, family, true);
	return r == -EEXIST ? 0 : r;
}

static int add_ways(struct fl_failure *failure)
{
	struct fl_netlink *netlink = NULL;
	int r = fl_netlink_open(NETLINK_ROUTE, &netlink);

	if (r == 0)
		r = add_family(netlink, AF_INET);
	if (r == 0) {
		r = add_family(netlink, AF_INET6);
		r = r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r; /* IPv6 is off */
	}
	fl_netlink_close(netlink);
	return r < 0 ? fl_fail(failure, r, "cannot lead marked packets out by lo: %s",
			       fl_log_errno(r))
		     : 0;
}

int fl_probe_tunnel_open(
	const struct fl_kernel *kernel, const struct fl_config *config, struct fl_failure *failure)
{
	int r = load(kernel, config, failure);

	if (r == 0)
		r = add_ways(failure);
	if (r < 0)
		fl_probe_tunnel_remove(kernel->bpffs);
	return r;
}

void fl_probe_tunnel_remove(const char *bpffs)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	_cleanup_free_ char *path = pin_path(bpffs);
	struct fl_netlink *netlink = NULL;
	bool ours = path && is_ours(path);

	if (path)
		unlink(path);
	if (!ours)
		return;
	detach();
	if (fl_netlink_open(NETLINK_ROUTE, &netlink) < 0)
		return;
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		change_rule(netlink, families[i], false);
		change_route(netlink, families[i], false);
	}
	fl_netlink_close(netlink);
}
