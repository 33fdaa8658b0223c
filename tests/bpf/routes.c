/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "core/addr.h"
#include "kernel/routes.h"
#include "lib/netns.h"

/*
 *   this node                    near (endpoints on the wire)
 *     e0 192.0.2.1/24      ────    192.0.2.11, .12
 *        2001:db8:1::1/64          2001:db8:1::11
 *   and                          far (a gateway)
 *     g0 198.51.100.1/24   ────    198.51.100.254
 *        2001:db8:2::1/64          2001:db8:2::fe, fe80::fe
 *
 * The maps are plain memory: what is tested is what the kernel's tables become there.
 */
#define MAC_E0   "02:00:00:00:00:01"
#define MAC_G0   "02:00:00:00:00:02"
#define MAC_NEAR "02:00:00:00:00:11"
#define MAC_FAR  "02:00:00:00:00:fe"
#define MAC_NEW  "02:00:00:00:00:99"

#define ENDPOINTS 10000
#define ROWS      40 /* of next hops, row 0 included */
static struct fl_endpoint_row endpoints[ENDPOINTS + 1];
static struct fl_nexthop_row nexthops[ROWS];
static struct fl_kernel kernel;
static struct fl_config config;
static struct fl_routes *routes;
static uv_loop_t loop;

static void setup(void)
{
	test_enter_private();
	test_run("ip netns add near && ip netns add far");
	test_run("ip link add e0 address " MAC_E0 " type veth peer name n0 address " MAC_NEAR
		 " netns near");
	test_run("ip link add g0 address " MAC_G0 " type veth peer name f0 address " MAC_FAR
		 " netns far");
	test_run("ip addr add 192.0.2.1/24 dev e0 && ip addr add 2001:db8:1::1/64 dev e0 nodad");
	test_run("ip addr add 198.51.100.1/24 dev g0 && ip addr add 2001:db8:2::1/64 dev g0 nodad");
	test_run("ip -n near addr add 192.0.2.11/24 dev n0 && ip -n near addr add 192.0.2.12/24 "
		 "dev n0");
	test_run("ip -n near addr add 2001:db8:1::11/64 dev n0 nodad");
	test_run("ip -n far addr add 198.51.100.254/24 dev f0");
	test_run("ip -n far addr add 2001:db8:2::fe/64 dev f0 nodad && ip -n far addr add "
		 "fe80::fe/64 dev f0 nodad");
	test_run("ip link set e0 up && ip link set g0 up && ip -n near link set n0 up && ip -n far "
		 "link set f0 up");
	/* The kernel gives a silent neighbour up sooner, so that tests end sooner. */
	test_run("for i in e0 g0; do for f in ipv4 ipv6; do"
		 " echo 100 > /proc/sys/net/$f/neigh/$i/retrans_time_ms;"
		 " echo 1 > /proc/sys/net/$f/neigh/$i/delay_first_probe_time; done; done");
	for (int i = 0; i < FL_MAP_COUNT; i++)
		kernel.maps.fd[i] = -1;
	kernel.maps.limits.endpoints = ENDPOINTS;
	kernel.maps.endpoints = endpoints;
	for (uint32_t id = 1; id <= ENDPOINTS; id++)
		endpoints[id].service = 1;
	kernel.maps.nexthops = nexthops;
	kernel.maps.shape[FL_MAP_nexthops].max_entries = ROWS;
	kernel.maps.reached[FL_MAP_nexthops] = sizeof(nexthops);
	cr_assert_eq(uv_loop_init(&loop), 0);
}

TestSuite(routes, .init = setup, .timeout = 600);

static void start(void)
{
	struct fl_failure failure = { 0 };

	cr_assert_eq(fl_routes_start(&kernel, &config, &loop, &failure, &routes), 0, "%s",
		failure.message);
}

static void stop(void)
{
	fl_routes_stop(routes);
	test_loop_finish(&loop);
	cr_assert_eq(uv_loop_init(&loop), 0);
}

static struct fl_ip ip(const char *text)
{
	struct fl_ip addr;

	cr_assert_eq(fl_ip_parse(text, &addr), 0, "%s", text);
	return addr;
}

static void watch(uint32_t id, const char *addr, enum fl_forward forward)
{
	struct fl_ip parsed = ip(addr);

	cr_assert_eq(fl_routes_watch(routes, id, &parsed, forward), 0);
}

static const char *explain(uint32_t id)
{
	static char buffer[256];

	return fl_routes_explain(routes, id, buffer, sizeof(buffer));
}

/** The row that an endpoint names; all zeroes when it names none. */
static const struct fl_nexthop_row *row(uint32_t id)
{
	static const struct fl_nexthop_row none;

	return endpoints[id].nexthop ? &nexthops[endpoints[id].nexthop] : &none;
}

static const char *mac_text(const uint8_t mac[6])
{
	static char text[4][18];
	static unsigned turn;
	char *buffer = text[turn++ % 4];

	snprintf(buffer, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		mac[4], mac[5]);
	return buffer;
}

struct expectation {
	uint32_t id;
	const char *words;
};

static bool is_explained(void *context)
{
	const struct expectation *e = context;

	return strcmp(explain(e->id), e->words) == 0;
}

#define await_words(id, words)                                                                     \
	cr_assert(test_loop_until(&loop, is_explained, &(struct expectation){ id, words }),        \
		"endpoint %u: \"%s\", not \"%s\"", id, explain(id), words)

static bool has_mac(void *context)
{
	const struct expectation *e = context;

	return strcmp(mac_text(row(e->id)->dmac), e->words) == 0;
}

#define await_mac(id, mac)                                                                         \
	cr_assert(test_loop_until(&loop, has_mac, &(struct expectation){ id, mac }),               \
		"endpoint %u has %s, not %s", id, mac_text(row(id)->dmac), mac)

Test(routes, every_kind_of_route)
{
	static const struct {
		char route[96]; /* what is added; empty = nothing */
		char addr[32];
		char words[80];
		char device[4]; /* empty = next hop 0 */
		char dmac[18];
		char src[24];
		uint16_t mtu;
	} rows[] = {
		{ "", "192.0.2.11", "dev e0", "e0", MAC_NEAR, "192.0.2.1", 1500 },
		{ "", "2001:db8:1::11", "dev e0", "e0", MAC_NEAR, "2001:db8:1::1", 1500 },
		{ "203.0.113.0/28 via 198.51.100.254", "203.0.113.1", "via 198.51.100.254 dev g0",
			"g0", MAC_FAR, "198.51.100.1", 1500 },
		{ "203.0.113.16/28 via 198.51.100.254 mtu 1400", "203.0.113.17",
			"via 198.51.100.254 dev g0", "g0", MAC_FAR, "198.51.100.1", 1400 },
		{ "203.0.113.32/28 via 192.0.2.12 src 198.51.100.1", "203.0.113.33",
			"via 192.0.2.12 dev e0", "e0", MAC_NEAR, "198.51.100.1", 1500 },
		{ "203.0.113.48/28 via 10.9.9.9 dev e0 onlink", "203.0.113.49",
			"neighbour 10.9.9.9 on e0 does not answer", "", "", "", 0 },
		{ "203.0.113.64/28 via inet6 fe80::fe dev g0", "203.0.113.65",
			"via fe80::fe dev g0", "g0", MAC_FAR, "198.51.100.1", 1500 },
		{ "2001:db8:3::/64 via 2001:db8:2::fe", "2001:db8:3::1",
			"via 2001:db8:2::fe dev g0", "g0", MAC_FAR, "2001:db8:2::1", 1500 },
		{ "2001:db8:4::/64 via fe80::fe dev g0 mtu 1300", "2001:db8:4::1",
			"via fe80::fe dev g0", "g0", MAC_FAR, "2001:db8:2::1", 1300 },
		{ "", "192.0.2.1", "this node itself", "lo", "00:00:00:00:00:00", "192.0.2.1",
			65535 },
		{ "", "2001:db8:1::1", "this node itself", "lo", "00:00:00:00:00:00",
			"2001:db8:1::1", 65535 },
		{ "", "10.0.0.1", "no route", "", "", "", 0 },
		{ "", "2001:db8:ffff::1", "no route", "", "", "", 0 },
		{ "blackhole 203.0.113.80/28", "203.0.113.81", "no route: a blackhole route", "",
			"", "", 0 },
		{ "unreachable 203.0.113.96/28", "203.0.113.97", "no route: an unreachable route",
			"", "", "", 0 },
		{ "prohibit 203.0.113.112/28", "203.0.113.113", "no route: a prohibit route", "",
			"", "", 0 },
		{ "blackhole 2001:db8:5::/64", "2001:db8:5::1", "no route: a blackhole route", "",
			"", "", 0 },
		{ "unreachable 2001:db8:6::/64", "2001:db8:6::1", "no route: an unreachable route",
			"", "", "", 0 },
		{ "prohibit 2001:db8:7::/64", "2001:db8:7::1", "no route: a prohibit route", "", "",
			"", 0 },
		{ "", "192.0.2.99", "neighbour 192.0.2.99 on e0 does not answer", "", "", "", 0 },
		{ "", "2001:db8:1::99", "neighbour 2001:db8:1::99 on e0 does not answer", "", "",
			"", 0 },
		{ "", "192.0.2.255", "no route: not a unicast address here", "", "", "", 0 },
	};
	const uint32_t count = sizeof(rows) / sizeof(rows[0]);

	for (uint32_t i = 0; i < count; i++) {
		if (rows[i].route[0])
			test_run("ip %s route add %s", strchr(rows[i].addr, ':') ? "-6" : "-4",
				rows[i].route);
	}
	start();
	for (uint32_t i = 0; i < count; i++)
		watch(i + 1, rows[i].addr, FL_NAT);
	for (uint32_t i = 0; i < count; i++) {
		const struct fl_nexthop_row *hop;
		struct fl_ip src;

		await_words(i + 1, rows[i].words);
		hop = row(i + 1);
		cr_expect_eq(endpoints[i + 1].nexthop != 0, rows[i].device[0] != '\0', "%s",
			rows[i].addr);
		if (!rows[i].device[0])
			continue;
		src = ip(rows[i].src);
		cr_expect_eq(hop->ifindex, if_nametoindex(rows[i].device), "%s", rows[i].addr);
		cr_expect_str_eq(mac_text(hop->dmac), rows[i].dmac, "%s", rows[i].addr);
		cr_expect(fl_ip_equal(&hop->src, &src), "%s", rows[i].addr);
		cr_expect_eq(hop->mtu, rows[i].mtu, "%s: mtu %u", rows[i].addr, hop->mtu);
		cr_expect_eq(hop->flags, strcmp(rows[i].device, "lo") == 0 ? FL_NEXTHOP_LOCAL : 0);
		if (strcmp(rows[i].device, "e0") == 0)
			cr_expect_str_eq(mac_text(hop->smac), MAC_E0, "%s", rows[i].addr);
	}
	stop();
}

/** Watched while the neighbour is flushed: traffic would go by these. */
struct vigil {
	uint32_t id;
	const char *mac;
	unsigned gaps;
};

static bool has_mac_without_gap(void *context)
{
	struct vigil *vigil = context;

	vigil->gaps += endpoints[vigil->id].nexthop == 0;
	return strcmp(mac_text(row(vigil->id)->dmac), vigil->mac) == 0;
}

Test(routes, a_changed_mac_is_followed_without_a_gap)
{
	struct vigil vigils[] = { { 1, MAC_NEW, 0 }, { 2, MAC_NEW, 0 } };
	uint32_t old;

	start();
	watch(1, "192.0.2.11", FL_NAT);
	watch(2, "2001:db8:1::11", FL_NAT);
	await_mac(1, MAC_NEAR);
	await_mac(2, MAC_NEAR);
	old = endpoints[1].nexthop;
	test_run("ip -n near link set n0 address " MAC_NEW);
	test_run("ip neigh flush dev e0");
	for (int i = 0; i < 2; i++) {
		cr_assert(test_loop_until(&loop, has_mac_without_gap, &vigils[i]));
		cr_expect_eq(
			vigils[i].gaps, 0, "endpoint %u had no next hop in between", vigils[i].id);
	}
	cr_expect_neq(endpoints[1].nexthop, old, "a row in use was changed");
	cr_expect_str_eq(mac_text(nexthops[old].dmac), MAC_NEAR);

	/* An announcement, as a failover makes it: the entry changes and is not flushed. */
	test_run("ip neigh replace 192.0.2.11 lladdr " MAC_FAR " dev e0 nud permanent");
	await_mac(1, MAC_FAR);
	stop();
}

static bool has_own_mac(void *context)
{
	return strcmp(mac_text(row(1)->smac), context) == 0;
}

Test(routes, a_changed_mac_of_our_own)
{
	start();
	watch(1, "192.0.2.11", FL_NAT);
	await_mac(1, MAC_NEAR);
	test_run("ip link set e0 address " MAC_NEW);
	cr_assert(test_loop_until(&loop, has_own_mac, (void *)MAC_NEW));
	cr_expect_str_eq(mac_text(row(1)->dmac), MAC_NEAR);
	stop();
}

Test(routes, changes_of_routes_are_followed)
{
	start();
	watch(1, "203.0.113.1", FL_NAT);
	await_words(1, "no route");
	cr_expect_eq(endpoints[1].nexthop, 0);
	test_run("ip route add default via 198.51.100.254");
	await_words(1, "via 198.51.100.254 dev g0");
	test_run("ip route add 203.0.113.0/24 via 192.0.2.12");
	await_words(1, "via 192.0.2.12 dev e0");
	cr_expect_str_eq(mac_text(row(1)->dmac), MAC_NEAR);
	test_run("ip route del 203.0.113.0/24");
	await_words(1, "via 198.51.100.254 dev g0");

	/* Rules and other tables */
	test_run("ip route add default via 192.0.2.11 table 77 && ip rule add to 203.0.113.0/24 "
		 "table 77");
	await_words(1, "via 192.0.2.11 dev e0");
	test_run("ip rule del to 203.0.113.0/24 table 77");
	await_words(1, "via 198.51.100.254 dev g0");

	/* The device goes down: no word is said of its routes. */
	test_run("ip link set g0 down");
	await_words(1, "no route");
	test_run("ip link set g0 up && ip route add default via 198.51.100.254");
	await_words(1, "via 198.51.100.254 dev g0");

	/* The address becomes our own. */
	test_run("ip addr add 203.0.113.1/32 dev e0");
	await_words(1, "this node itself");
	cr_expect_eq(row(1)->flags, FL_NEXTHOP_LOCAL);
	test_run("ip addr del 203.0.113.1/32 dev e0");
	await_words(1, "via 198.51.100.254 dev g0");

	test_run("ip link del g0");
	await_words(1, "no route");
	cr_expect_eq(endpoints[1].nexthop, 0);
	stop();
}

Test(routes, a_silent_neighbour_is_given_up_and_found_again)
{
	start();
	watch(1, "192.0.2.12", FL_NAT);
	watch(2, "192.0.2.50", FL_NAT);
	await_mac(1, MAC_NEAR);
	await_words(2, "neighbour 192.0.2.50 on e0 does not answer");
	cr_expect_eq(endpoints[2].nexthop, 0);
	test_run("ip -n near addr add 192.0.2.50/24 dev n0");
	await_words(2, "dev e0");
	await_mac(2, MAC_NEAR);

	test_run("ip -n near addr del 192.0.2.12/24 dev n0");
	test_run("ip neigh flush dev e0");
	await_words(1, "neighbour 192.0.2.12 on e0 does not answer");
	cr_expect_eq(endpoints[1].nexthop, 0);
	await_mac(2, MAC_NEAR);
	stop();
}

static bool is_reachable(void *context)
{
	return test_try("ip neigh show %s | grep -q REACHABLE", (const char *)context) == 0;
}

Test(routes, a_stale_neighbour_is_confirmed)
{
	/* Nobody but us talks to them. */
	test_run("ip neigh replace 192.0.2.11 lladdr " MAC_NEAR " dev e0 nud stale");
	test_run("ip neigh replace 2001:db8:1::11 lladdr " MAC_NEAR " dev e0 nud stale");
	start();
	watch(1, "192.0.2.11", FL_NAT);
	watch(2, "2001:db8:1::11", FL_NAT);
	await_mac(1, MAC_NEAR);
	await_mac(2, MAC_NEAR);
	cr_expect(test_loop_until(&loop, is_reachable, (void *)"192.0.2.11"));
	cr_expect(test_loop_until(&loop, is_reachable, (void *)"2001:db8:1::11"));
	cr_expect_neq(endpoints[1].nexthop, 0);
	stop();
}

Test(routes, gateways_of_answers_are_kept_though_no_endpoint_needs_them)
{
	test_run("ip route add default via 198.51.100.254");
	start();
	cr_expect(test_loop_until(&loop, is_reachable, (void *)"198.51.100.254"));
	test_run("ip route add 10.0.0.0/8 nexthop via 192.0.2.11 nexthop via 192.0.2.12");
	cr_expect(test_loop_until(&loop, is_reachable, (void *)"192.0.2.11"));
	cr_expect(test_loop_until(&loop, is_reachable, (void *)"192.0.2.12"));
	test_run("ip neigh flush all");
	cr_expect(test_loop_until(&loop, is_reachable, (void *)"198.51.100.254"));
	stop();
}

Test(routes, sources_by_mode_and_configuration)
{
	struct fl_ip nat[] = { ip("192.0.2.5"), ip("2001:db8:1::5") };
	struct fl_ip tunnel = ip("192.0.2.7"), want;

	/* A route without any address to prefer: nat and tunnels need a source, l2 none. */
	test_run("ip link add x0 type veth peer name y0 && ip link set x0 up && ip link set y0 up");
	test_run("ip addr flush dev g0 && ip addr flush dev e0 && ip -6 addr flush dev lo");
	test_run("ip route add 10.1.0.0/24 dev x0 && ip neigh add 10.1.0.1 lladdr " MAC_NEAR
		 " dev x0 nud permanent");
	start();
	watch(1, "10.1.0.1", FL_NAT);
	watch(2, "10.1.0.1", FL_L2);
	watch(3, "10.1.0.1", FL_IPIP);
	await_words(1, "no source address: the interface has none for the route to prefer");
	await_words(2, "dev x0");
	await_words(3, "no source address: the interface has none for the route to prefer");
	cr_expect_eq(endpoints[1].nexthop, 0);
	cr_expect_neq(endpoints[2].nexthop, 0);
	cr_expect_eq(endpoints[3].nexthop, 0);

	config.nat_sources = nat;
	config.nat_source_count = 2;
	config.has_tunnel_source[FL_IPV4] = true;
	config.tunnel_source[FL_IPV4] = (struct fl_prefix){ tunnel, 32 };
	cr_assert_eq(fl_routes_configure(routes, &config), 0);
	await_words(1, "dev x0");
	await_words(3, "dev x0");
	cr_expect(fl_ip_equal(&row(3)->src, &tunnel));
	cr_expect_eq(endpoints[1].nexthop, endpoints[2].nexthop, "equal answers share a row");

	config = (struct fl_config){ 0 };
	test_run("ip addr add 10.1.0.9/24 dev x0");
	cr_assert_eq(fl_routes_configure(routes, &config), 0);
	await_words(3, "dev x0");
	want = ip("10.1.0.9");
	cr_expect(fl_ip_equal(&row(3)->src, &want));
	cr_expect(fl_ip_equal(&row(1)->src, &want));

	watch(1, "10.1.0.1", FL_L2); /* the service changed its mode, or its address */
	await_words(1, "dev x0");
	watch(1, "10.77.0.1", FL_L2);
	await_words(1, "no route");
	stop();
}

/** From the last, which is resolved last. */
static bool all_have_mac(void *context)
{
	uint8_t mac[6];

	cr_assert_eq(sscanf(context, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2],
			     &mac[3], &mac[4], &mac[5]),
		6);
	for (uint32_t id = ENDPOINTS; id > 0; id--) {
		if (memcmp(row(id)->dmac, mac, sizeof(mac)) != 0)
			return false;
	}
	return true;
}

Test(routes, many_endpoints_share_a_gateway_and_a_row)
{
	char text[32];

	test_run("ip route add 10.0.0.0/8 via 198.51.100.254");
	start();
	for (uint32_t id = 1; id <= ENDPOINTS; id++) {
		snprintf(text, sizeof(text), "10.%u.%u.1", id >> 8, id & 255);
		watch(id, text, FL_NAT);
	}
	cr_assert(test_loop_until(&loop, all_have_mac, (void *)MAC_FAR));
	cr_expect_eq(fl_routes_hops(routes), 1);
	test_run("ip neigh replace 198.51.100.254 lladdr " MAC_NEW " dev g0 nud permanent");
	cr_assert(test_loop_until(&loop, all_have_mac, (void *)MAC_NEW));
	cr_expect_eq(fl_routes_hops(routes), 1);
	test_run("ip route add 10.16.0.0/12 via 192.0.2.11"); /* ids 4096-8191 */
	await_mac(5000, MAC_NEAR);
	await_mac(8191, MAC_NEAR);
	cr_expect_str_eq(mac_text(row(8192)->dmac), MAC_NEW);
	cr_expect_eq(fl_routes_hops(routes), 2);
	for (uint32_t id = 1; id <= ENDPOINTS; id++)
		fl_routes_unwatch(routes, id);
	cr_expect_eq(fl_routes_hops(routes), 0);
	cr_expect_eq(endpoints[77].nexthop, 0);
	stop();
}

static bool has_small_mtu(void *context)
{
	(void)context;
	return row(1)->mtu == 1400;
}

Test(routes, lost_notifications_are_made_good)
{
	start();
	watch(1, "192.0.2.11", FL_NAT);
	await_mac(1, MAC_NEAR);
	/* More than the socket holds, while nobody reads; the one that matters is last. */
	test_run("for i in $(seq 0 19999); do echo route add 10.$((i / 65536)).$((i / 256 %% "
		 "256)).$((i %% 256))/32 dev g0;"
		 " done > /run/batch && ip -batch /run/batch");
	test_run("ip neigh replace 192.0.2.11 lladdr " MAC_NEW " dev e0 nud permanent");
	test_run("ip link set e0 mtu 1400");
	await_mac(1, MAC_NEW);
	cr_assert(test_loop_until(&loop, has_small_mtu, NULL));
	stop();
}

Test(routes, a_restart_changes_nothing)
{
	uint32_t hop, other;

	start();
	watch(1, "192.0.2.11", FL_NAT);
	watch(2, "2001:db8:1::11", FL_NAT);
	await_mac(1, MAC_NEAR);
	await_mac(2, MAC_NEAR);
	hop = endpoints[1].nexthop;
	other = endpoints[2].nexthop;
	stop();
	cr_expect_eq(endpoints[1].nexthop, hop);

	start();
	cr_expect_eq(fl_routes_hops(routes), 2);
	cr_expect_eq(endpoints[1].nexthop, hop, "nothing is dropped before it is known anew");
	watch(1, "192.0.2.11", FL_NAT);
	await_words(1, "dev e0");
	cr_expect_eq(endpoints[1].nexthop, hop, "the same answer keeps its row");
	cr_expect_eq(endpoints[2].nexthop, other, "not watched again: kept");
	test_run("ip neigh replace 192.0.2.11 lladdr " MAC_NEW " dev e0 nud permanent");
	await_mac(1, MAC_NEW);
	fl_routes_unwatch(routes, 2);
	cr_expect_eq(endpoints[2].nexthop, 0);
	cr_expect_eq(fl_routes_hops(routes), 1);
	stop();
}

Test(routes, ids_that_are_none)
{
	struct fl_ip addr = ip("192.0.2.11");

	start();
	cr_expect_eq(fl_routes_watch(routes, 0, &addr, FL_NAT), -ERANGE);
	cr_expect_eq(fl_routes_watch(routes, ENDPOINTS + 1, &addr, FL_NAT), -ERANGE);
	cr_expect_eq(fl_routes_watch(routes, UINT32_MAX, &addr, FL_NAT), -ERANGE);
	fl_routes_unwatch(routes, 0);
	fl_routes_unwatch(routes, 5);
	fl_routes_unwatch(routes, UINT32_MAX);
	cr_expect_str_eq(explain(0), "not followed");
	cr_expect_str_eq(explain(UINT32_MAX), "not followed");
	stop();
}

static bool is_gone(void *context)
{
	return endpoints[*(uint32_t *)context].nexthop == 0;
}

Test(routes, rows_that_are_not_in_use_are_not_written)
{
	uint32_t id = 1;

	start();
	endpoints[1].service = 0; /* the step that writes it failed */
	watch(1, "192.0.2.11", FL_NAT);
	watch(2, "192.0.2.11", FL_NAT);
	await_mac(2, MAC_NEAR);
	cr_expect_eq(endpoints[1].nexthop, 0);
	endpoints[1].service = 1; /* and now it did not */
	watch(1, "192.0.2.11", FL_NAT);
	await_mac(1, MAC_NEAR);

	/* Written anew under the same id, as a service that left and came back. */
	endpoints[1] = (struct fl_endpoint_row){ .service = 2 };
	watch(1, "192.0.2.11", FL_NAT);
	await_mac(1, MAC_NEAR);
	fl_routes_unwatch(routes, 1);
	cr_assert(test_loop_until(&loop, is_gone, &id));
	cr_expect_eq(fl_routes_hops(routes), 1);
	stop();
}

/** How many endpoints have a next hop. */
static uint32_t served(void)
{
	uint32_t count = 0;

	for (uint32_t id = 1; id <= ENDPOINTS; id++)
		count += endpoints[id].nexthop != 0;
	return count;
}

static bool are_served(void *context)
{
	return served() == *(uint32_t *)context;
}

Test(routes, more_next_hops_than_rows)
{
	uint32_t count = ROWS + 10, rows = ROWS - 1, left = count - 20;
	char text[32];

	/* Permanent neighbours, each with a MAC of its own. */
	test_run("for i in $(seq 100 199); do"
		 " echo neigh add 192.0.2.$i lladdr 02:00:00:00:01:$((i - 100)) dev e0 nud "
		 "permanent;"
		 " done > /run/batch && ip -batch /run/batch");
	start();
	for (uint32_t id = 1; id <= count; id++) {
		snprintf(text, sizeof(text), "192.0.2.%u", 100 + id);
		watch(id, text, FL_NAT);
	}
	cr_assert(test_loop_until(&loop, are_served, &rows), "%u are", served());
	cr_expect_eq(fl_routes_hops(routes), rows);
	await_words(count, "no room for another next hop");

	for (uint32_t id = 1; id <= 20; id++)
		fl_routes_unwatch(routes, id);
	cr_assert(test_loop_until(&loop, are_served, &left), "%u are", served());
	await_words(count, "dev e0");
	stop();
}
