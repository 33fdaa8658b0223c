/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/fib.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

static unsigned char af_of(const struct fl_ip *addr)
{
	return fl_ip_family(addr) == FL_IPV4 ? AF_INET : AF_INET6;
}

static size_t length_of(unsigned char af)
{
	return af == AF_INET ? 4 : 16;
}

/** Take an address out of an attribute if it is one of that family. */
static bool get_ip(const struct nlattr *attr, unsigned char af, struct fl_ip *ret)
{
	if ((af != AF_INET && af != AF_INET6) || mnl_attr_get_payload_len(attr) != length_of(af))
		return false;
	*ret = fl_ip_from_bytes(af == AF_INET ? FL_IPV4 : FL_IPV6, mnl_attr_get_payload(attr));
	return true;
}

/* ---------------------------------------------------------------- routes */

static uint32_t parse_mtu(const struct nlattr *metrics)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, metrics) {
		if (mnl_attr_get_type(attr) == RTAX_MTU)
			return mnl_attr_get_u32(attr);
	}
	return 0;
}

/** An address of the other family: struct rtvia. */
static bool parse_via(const struct nlattr *attr, struct fl_ip *ret)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t length = mnl_attr_get_payload_len(attr);

	if (length < sizeof(*via))
		return false;
	if ((via->rtvia_family != AF_INET && via->rtvia_family != AF_INET6) ||
		length != sizeof(*via) + length_of(via->rtvia_family))
		return false;
	*ret = fl_ip_from_bytes(via->rtvia_family == AF_INET ? FL_IPV4 : FL_IPV6, via->rtvia_addr);
	return true;
}

static const char *why_type(unsigned char type)
{
	switch (type) {
	case RTN_BLACKHOLE:
		return "no route: a blackhole route";
	case RTN_UNREACHABLE:
		return "no route: an unreachable route";
	case RTN_PROHIBIT:
		return "no route: a prohibit route";
	default:
		return "no route: not a unicast address here";
	}
}

/** What the kernel answers instead of a route. @return NULL when the question failed */
static const char *why_errno(int code)
{
	switch (code) {
	case -ENETUNREACH:
		return "no route";
	case -EHOSTUNREACH:
		return why_type(RTN_UNREACHABLE);
	case -EACCES:
		return why_type(RTN_PROHIBIT);
	case -EINVAL:
		return why_type(RTN_BLACKHOLE);
	case -EAFNOSUPPORT:
	case -EOPNOTSUPP:
		return "no route: this kernel does not speak the address family";
	default:
		return NULL;
	}
}

static void fail(struct fl_route *route, const char *why)
{
	route->kind = FL_ROUTE_NONE;
	route->why = why;
}

static int take_route(const struct nlmsghdr *message, void *context)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(message);
	struct fl_route *route = context;
	const struct nlattr *attr;
	int error = 0;

	if (message->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	route->why = NULL;
	route->kind = info->rtm_type == RTN_LOCAL ? FL_ROUTE_LOCAL : FL_ROUTE_VIA;
	mnl_attr_for_each(attr, message, sizeof(*info)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			route->ifindex = mnl_attr_get_u32(attr);
			break;
		case RTA_GATEWAY:
			route->has_gateway = get_ip(attr, info->rtm_family, &route->gateway);
			break;
		case RTA_VIA:
			route->has_gateway = parse_via(attr, &route->gateway);
			break;
		case RTA_PREFSRC:
			get_ip(attr, info->rtm_family, &route->source);
			break;
		case RTA_METRICS:
			route->mtu = parse_mtu(attr);
			break;
		case RTA_CACHEINFO:
			error = ((struct rta_cacheinfo *)mnl_attr_get_payload(attr))->rta_error;
			break;
		case RTA_ENCAP_TYPE:
			if (mnl_attr_get_u16(attr))
				error = -ENOTSUP;
			break;
		}
	}
	if (info->rtm_type != RTN_UNICAST && info->rtm_type != RTN_LOCAL)
		fail(route, why_type(info->rtm_type));
	else if (error == -ENOTSUP)
		fail(route, "no usable route: it encapsulates (MPLS, IP or segment routing)");
	else if (error)
		fail(route, why_errno(error) ? why_errno(error) : "no route");
	else if (!route->ifindex)
		fail(route, "no route: it names no interface");
	return MNL_CB_OK;
}

int fl_fib_route(struct fl_netlink *netlink, const struct fl_ip *addr, struct fl_route *ret)
{
	struct nlmsghdr *header = fl_netlink_request(netlink, RTM_GETROUTE, 0);
	struct rtmsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));
	struct fl_route route = { .why = "no route" };
	int code;

	info->rtm_family = af_of(addr);
	info->rtm_dst_len = 8 * length_of(info->rtm_family);
	mnl_attr_put(header, RTA_DST, length_of(info->rtm_family), fl_ip_bytes(addr));
	code = fl_netlink_ask(netlink, take_route, &route);
	if (code < 0) {
		if (!why_errno(code))
			return code;
		fail(&route, why_errno(code));
	}
	*ret = route;
	return 0;
}

/** Gateway and interface of one hop, from the attributes of a route or of one of
 * its RTA_MULTIPATH. */
static void take_gateway(
	const struct nlattr *attr, unsigned char af, struct fl_gateway *gateway, bool *found)
{
	switch (mnl_attr_get_type(attr)) {
	case RTA_OIF:
		gateway->ifindex = mnl_attr_get_u32(attr);
		break;
	case RTA_GATEWAY:
		*found |= get_ip(attr, af, &gateway->addr);
		break;
	case RTA_VIA:
		*found |= parse_via(attr, &gateway->addr);
		break;
	}
}

static size_t multipath_gateways(const struct nlattr *multipath, unsigned char af, size_t count,
	struct fl_gateway ret[FL_GATEWAYS_MAX])
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	size_t left = mnl_attr_get_payload_len(multipath);

	while (left >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= left &&
		count < FL_GATEWAYS_MAX) {
		struct fl_gateway gateway = { .ifindex = hop->rtnh_ifindex };
		const struct nlattr *attr;
		bool found = false;

		mnl_attr_for_each_payload(
			(const void *)RTNH_DATA(hop), hop->rtnh_len - RTNH_LENGTH(0)) {
			take_gateway(attr, af, &gateway, &found);
		}
		if (found)
			ret[count++] = gateway;
		if ((size_t)RTNH_ALIGN(hop->rtnh_len) >= left)
			break;
		left -= RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
	return count;
}

size_t fl_fib_gateways(const struct nlmsghdr *message, struct fl_gateway ret[FL_GATEWAYS_MAX])
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(message);
	struct fl_gateway gateway = { 0 };
	const struct nlattr *attr;
	bool found = false;
	size_t count = 0;

	if (message->nlmsg_type != RTM_NEWROUTE ||
		mnl_nlmsg_get_payload_len(message) < sizeof(*info) ||
		info->rtm_type != RTN_UNICAST || (info->rtm_flags & RTM_F_CLONED))
		return 0;
	mnl_attr_for_each(attr, message, sizeof(*info)) {
		take_gateway(attr, info->rtm_family, &gateway, &found);
		if (mnl_attr_get_type(attr) == RTA_MULTIPATH)
			count = multipath_gateways(attr, info->rtm_family, count, ret);
	}
	if (found && gateway.ifindex && count < FL_GATEWAYS_MAX)
		ret[count++] = gateway;
	return count;
}

int fl_fib_routes(struct fl_netlink *netlink, mnl_cb_t each, void *context)
{
	int code = -EINTR;

	/* A dump that was overtaken has shown what was not new; the rest is notified. */
	mnl_nlmsg_put_extra_header(
		fl_netlink_request(netlink, RTM_GETROUTE, NLM_F_DUMP), sizeof(struct rtmsg));
	code = fl_netlink_ask(netlink, each, context);
	return code == -EINTR ? 0 : code;
}

/* ------------------------------------------------------------ neighbours */

struct neighbour_answer {
	uint16_t nud;
	bool has_mac;
	uint8_t mac[6];
};

static int take_neighbour(const struct nlmsghdr *message, void *context)
{
	const struct ndmsg *info = mnl_nlmsg_get_payload(message);
	struct neighbour_answer *answer = context;
	const struct nlattr *attr;

	if (message->nlmsg_type != RTM_NEWNEIGH)
		return MNL_CB_OK;
	answer->nud = info->ndm_state;
	mnl_attr_for_each(attr, message, sizeof(*info)) {
		if (mnl_attr_get_type(attr) != NDA_LLADDR ||
			mnl_attr_get_payload_len(attr) != sizeof(answer->mac))
			continue;
		memcpy(answer->mac, mnl_attr_get_payload(attr), sizeof(answer->mac));
		answer->has_mac = true;
	}
	return MNL_CB_OK;
}

static struct ndmsg *neighbour_request(struct fl_netlink *netlink, uint16_t type, uint16_t flags,
	uint32_t ifindex, const struct fl_ip *addr)
{
	struct nlmsghdr *header = fl_netlink_request(netlink, type, flags);
	struct ndmsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));

	info->ndm_family = af_of(addr);
	info->ndm_ifindex = ifindex;
	mnl_attr_put(header, NDA_DST, length_of(info->ndm_family), fl_ip_bytes(addr));
	return info;
}

int fl_fib_neighbour(struct fl_netlink *netlink, uint32_t ifindex, const struct fl_ip *addr,
	uint16_t *ret_nud, bool *ret_has_mac, uint8_t ret_mac[6])
{
	struct neighbour_answer answer = { 0 };
	int code;

	neighbour_request(netlink, RTM_GETNEIGH, 0, ifindex, addr);
	code = fl_netlink_ask(netlink, take_neighbour, &answer);
	if (code < 0 && code != -ENOENT)
		return code;
	*ret_nud = answer.nud;
	*ret_has_mac = answer.has_mac;
	memcpy(ret_mac, answer.mac, sizeof(answer.mac));
	return 0;
}

int fl_fib_probe(struct fl_netlink *netlink, uint32_t ifindex, const struct fl_ip *addr)
{
	struct ndmsg *info = neighbour_request(
		netlink, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, ifindex, addr);

	info->ndm_flags = NTF_USE;
	return fl_netlink_ask(netlink, NULL, NULL);
}

/* --------------------------------------------------------- notifications */

static enum fl_fib_news family_news(unsigned char af, struct fl_fib_change *ret)
{
	if (af != AF_INET && af != AF_INET6)
		return FL_NEWS_NONE;
	ret->family = af == AF_INET ? FL_IPV4 : FL_IPV6;
	return FL_NEWS_FAMILY;
}

static enum fl_fib_news parse_route(const struct nlmsghdr *message, struct fl_fib_change *ret)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr;

	/* Cloned: an exception or a multicast cache entry, which no lookup of ours uses. */
	if ((info->rtm_flags & RTM_F_CLONED) || info->rtm_type == RTN_MULTICAST ||
		family_news(info->rtm_family, ret) == FL_NEWS_NONE)
		return FL_NEWS_NONE;
	if (info->rtm_dst_len == 0)
		return FL_NEWS_FAMILY;
	mnl_attr_for_each(attr, message, sizeof(*info)) {
		if (mnl_attr_get_type(attr) != RTA_DST)
			continue;
		if (!get_ip(attr, info->rtm_family, &ret->prefix.addr))
			break;
		ret->prefix.bits = info->rtm_dst_len;
		return FL_NEWS_PREFIX;
	}
	return FL_NEWS_FAMILY;
}

static enum fl_fib_news parse_address(const struct nlmsghdr *message, struct fl_fib_change *ret)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);

	/* Every new device brings one of these, and no source is chosen from them. */
	if (info->ifa_family == AF_INET6 && info->ifa_scope == RT_SCOPE_LINK)
		return FL_NEWS_NONE;
	return family_news(info->ifa_family, ret);
}

static enum fl_fib_news parse_neighbour(const struct nlmsghdr *message, struct fl_fib_change *ret)
{
	const struct ndmsg *info = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr;

	ret->ifindex = info->ndm_ifindex;
	mnl_attr_for_each(attr, message, sizeof(*info)) {
		if (mnl_attr_get_type(attr) == NDA_DST &&
			get_ip(attr, info->ndm_family, &ret->neighbour))
			return FL_NEWS_NEIGHBOUR;
	}
	return FL_NEWS_NONE; /* a bridge's own table, for one */
}

enum fl_fib_news fl_fib_parse(const struct nlmsghdr *message, struct fl_fib_change *ret)
{
	size_t length = mnl_nlmsg_get_payload_len(message);

	switch (message->nlmsg_type) {
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return length < sizeof(struct rtmsg) ? FL_NEWS_NONE : parse_route(message, ret);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return length < sizeof(struct ifaddrmsg) ? FL_NEWS_NONE
							 : parse_address(message, ret);
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return length < sizeof(struct ndmsg) ? FL_NEWS_NONE : parse_neighbour(message, ret);
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return length < sizeof(struct fib_rule_hdr)
			       ? FL_NEWS_NONE
			       : family_news(((struct fib_rule_hdr *)mnl_nlmsg_get_payload(message))
						     ->family,
					 ret);
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		return FL_NEWS_ALL;
	default:
		return FL_NEWS_NONE;
	}
}
