/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "lib/choosing.h"
#include "lib/declared.h"
#include "lib/netns.h"

/* Whom each algorithm chooses, and that it obeys weights. */

#define SAMPLES 12000

TestSuite(node_choose, .init = choosing_open, .fini = choosing_close, .timeout = 300);

/* Drawn a second time until it is another one, four times at most. */
#define SAME_AGAIN (1 / 256.0)
/* p2c among four equal ones of which one is the best, or the worst. */
#define BEST_OF_4  (0.25 + 0.25 * (1 + 1 / 4.0 + 1 / 16.0 + 1 / 64.0) * 0.75)
#define WORST_OF_4 (0.25 * SAME_AGAIN)

static const struct row {
	const char *name;
	enum fl_balance balance;
	const char *weights;
	uint32_t open[4], penalty[4], connect_us[4];
	double share[CHOOSING_MOST];
} rows[] = {
	{ "random", FL_RANDOM, "1:2:3:4", { 0 }, { 0 }, { 0 }, { 1, 2, 3, 4 } },
	{ "random: one is down", FL_RANDOM, "1:-:3:4", { 0 }, { 0 }, { 0 }, { 1, 0, 3, 4 } },
	{ "random: load is of no interest", FL_RANDOM, "1:1", { 900, 0 }, { 9000, 0 }, { 0 },
		{ 1, 1 } },
	{ "maglev", FL_MAGLEV, "1:2:3:4", { 0 }, { 0 }, { 0 }, { 1, 2, 3, 4 } },
	{ "round robin", FL_ROUND_ROBIN, "1:2:3:4", { 0 }, { 0 }, { 0 }, { 1, 2, 3, 4 } },
	{ "p2c: idle, by weight", FL_P2C, "1:2:3:4", { 0 }, { 0 }, { 0 }, { 1, 2, 3, 4 } },
	{ "p2c: busy alike, by weight", FL_P2C, "1:2:3:4", { 10, 20, 30, 40 }, { 0 },
		{ 100, 200, 300, 400 }, { 1, 2, 3, 4 } },
	{ "p2c: one is busier for its weight", FL_P2C, "1:3", { 2, 3 }, { 0 }, { 0 },
		{ WORST_OF_4, 1 - WORST_OF_4 } },
	{ "p2c: one is idle", FL_P2C, "1:1:1:1", { 10, 0, 10, 10 }, { 0 }, { 0 },
		{ (1 - BEST_OF_4) / 3, BEST_OF_4, (1 - BEST_OF_4) / 3, (1 - BEST_OF_4) / 3 } },
	{ "p2c: one is slow", FL_P2C, "1:1:1:1", { 1, 1, 1, 1 }, { 0 }, { 500, 500, 50000, 500 },
		{ 1 - WORST_OF_4, 1 - WORST_OF_4, 3 * WORST_OF_4, 1 - WORST_OF_4 } },
	{ "p2c: one is slow and the others busier than that", FL_P2C, "1:1:1:1", { 60, 60, 0, 60 },
		{ 0 }, { 500, 500, 50000, 500 },
		{ (1 - BEST_OF_4) / 3, (1 - BEST_OF_4) / 3, BEST_OF_4, (1 - BEST_OF_4) / 3 } },
	{ "p2c: who was never connected to is not slow", FL_P2C, "1:1", { 1, 1 }, { 0 },
		{ 50000, 0 }, { 1, 1 } },
	{ "p2c: one has failed", FL_P2C, "1:1:1:1", { 9, 9, 9, 0 }, { 0, 0, 0, 64 }, { 0 },
		{ 1 - WORST_OF_4, 1 - WORST_OF_4, 1 - WORST_OF_4, 3 * WORST_OF_4 } },
	{ "p2c: alone", FL_P2C, "1", { 5 }, { 500 }, { 5000 }, { 1 } },
	{ "least connections: idle, by weight", FL_LEAST_CONNECTIONS, "1:2:3:4", { 0 }, { 0 },
		{ 0 }, { 1, 2, 3, 4 } },
	{ "least connections", FL_LEAST_CONNECTIONS, "1:1:1:1", { 3, 1, 2, 1 }, { 0 },
		{ 0, 50000, 0, 0 }, { 0, 1, 0, 1 } },
	{ "least connections: by weight", FL_LEAST_CONNECTIONS, "1:2:1:4", { 2, 3, 1, 3 }, { 0 },
		{ 0 }, { 0, 0, 0, 1 } },
	{ "least connections: as few by weight", FL_LEAST_CONNECTIONS, "1:2:1:4", { 1, 2, 5, 4 },
		{ 0 }, { 0 }, { 1, 2, 0, 4 } },
	{ "least connections: one has failed", FL_LEAST_CONNECTIONS, "1:1:1:1", { 5, 5, 5, 0 },
		{ 0, 0, 0, 64 }, { 0 }, { 1, 1, 1, 0 } },
};

Test(node_choose, shares)
{
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct fl_service *service = choosing_service(rows[r].weights);
		unsigned seen[CHOOSING_MOST];

		service->balance = rows[r].balance;
		choosing_put(service);
		for (size_t i = 0; i < choosing.count; i++) {
			choosing.known[i].open = rows[r].open[i];
			choosing.known[i].penalty = rows[r].penalty[i];
			choosing.known[i].connect_us = rows[r].connect_us[i];
			choosing.known[i].failed = UINT64_MAX; /* does not fade */
		}
		choosing_sample(SAMPLES, seen);
		choosing_expect(rows[r].name, seen, rows[r].share);
	}
}

Test(node_choose, round_robin_is_smooth)
{
	static const size_t turns[] = { 0, 0, 1, 0, 2, 0, 0 };
	struct fl_service *service = choosing_service("5:1:1");

	service->balance = FL_ROUND_ROBIN;
	choosing_put(service);
	for (size_t i = 0; i < 70; i++)
		cr_expect_eq(choosing_connect(), turns[i % 7], "turn %zu", i);
}

/* Datagrams too, sent by sockets that are not connected. */
Test(node_choose, datagrams_choose_alike)
{
	struct sockaddr_storage to;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);
	struct fl_service *service = choosing_service("1:1:1:1");

	service->balance = FL_LEAST_CONNECTIONS;
	choosing_put(service);
	choosing.known[0].open = choosing.known[1].open = choosing.known[3].open = 1;
	for (int i = 0; i < 50; i++) {
		int fd = socket(AF_INET, SOCK_DGRAM, 0);
		struct fl_peers kept;

		choosing_know();
		sendto(fd, "x", 1, 0, (struct sockaddr *)&to, length);
		cr_assert_eq(bpf_map_lookup_elem(
				     choosing.node.path.maps.fd[FL_NODE_MAP_datagrams], &fd, &kept),
			0);
		cr_expect_eq(choosing_index(kept.peer[0].endpoint_id), 2);
		close(fd);
	}
}

/* ---------------------------------------------------------------------- families */

/* How many of some sockets get the endpoint of IPv6. */
static unsigned count_ipv6(const char *frontend)
{
	struct sockaddr_storage to;
	socklen_t length = test_node_address(frontend, 80, &to);
	unsigned ipv6 = 0;

	for (int i = 0; i < 60; i++) {
		int fd = socket(to.ss_family, SOCK_DGRAM, 0);

		cr_assert_eq(connect(fd, (struct sockaddr *)&to, length), 0);
		ipv6 += choosing_of(fd) == 1;
		close(fd);
	}
	return ipv6;
}

/* A service may give one family's clients the other's endpoints; a socket of IPv4 cannot. */
Test(node_choose, a_socket_gets_what_it_can_speak_to)
{
	static const enum fl_balance balances[] = { FL_MAGLEV, FL_RANDOM, FL_ROUND_ROBIN,
		FL_LEAST_CONNECTIONS, FL_P2C };

	test_run("ip addr add 2001:db8::2/128 dev lo nodad");
	for (size_t b = 0; b < 5; b++) {
		struct fl_service *service =
			test_service("web", "10.99.0.1:80/udp", "192.0.2.1:80 [2001:db8::2]:80");

		choosing.count = 2;
		service->forward = FL_IPIP;
		service->cross_family = true;
		service->balance = balances[b];
		choosing_put(service);
		choosing_know();
		cr_expect_eq(count_ipv6("10.99.0.1"), 0, "%s", fl_balance_name(balances[b]));
		cr_expect_gt(count_ipv6("::ffff:10.99.0.1"), 5, "%s", fl_balance_name(balances[b]));
	}
}

/* ------------------------------------------------------------------- large pools */

/* The first family's part of a pool of many rows: every one is found, by weight. */
Test(node_choose, many_endpoints)
{
	static const enum fl_balance balances[] = { FL_MAGLEV, FL_RANDOM, FL_ROUND_ROBIN,
		FL_LEAST_CONNECTIONS, FL_P2C };
	static unsigned seen[256 + 1];
	struct sockaddr_storage to;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);

	for (size_t b = 0; b < 5; b++) {
		struct fl_service *service = fl_service_new("web");
		struct fl_problems problems = { 0 };
		double expected, sum = 0;

		*fl_service_add_frontend(service) = (struct fl_frontend){
			.addr = fl_ip_from_ipv4(htonl(0x0a630001)), .port = 80, .proto = IPPROTO_UDP
		};
		for (uint32_t i = 0; i < 200; i++) {
			struct fl_endpoint *endpoint = fl_service_add_endpoint(service);

			endpoint->addr = fl_ip_from_ipv4(htonl(0xc0000201));
			endpoint->port = (uint16_t)(1000 + i);
			endpoint->weight = (uint16_t)(1 + i % 3);
		}
		cr_assert(fl_service_finish(service, &problems));
		service->balance = balances[b];
		choosing_put(service);
		memset(seen, 0, sizeof(seen));
		for (int i = 0; i < 40000; i++) {
			int fd = socket(AF_INET, SOCK_DGRAM, 0);
			struct fl_sock kept;

			cr_assert_eq(connect(fd, (struct sockaddr *)&to, length), 0);
			cr_assert_eq(
				bpf_map_lookup_elem(choosing.node.path.maps.fd[FL_NODE_MAP_sockets],
					&fd, &kept),
				0);
			cr_assert_leq(kept.endpoint_id, 256);
			seen[kept.endpoint_id]++;
			close(fd);
		}
		for (uint32_t i = 0; i < 200; i++) {
			const struct fl_endpoint *endpoint =
				&choosing.node.in_force->services[0]->endpoints[i];

			expected = 40000.0 * endpoint->weight / 399;
			sum += (seen[endpoint->id] - expected) * (seen[endpoint->id] - expected) /
			       expected;
		}
		/* 199 degrees of freedom, once in a million times */
		cr_expect_leq(sum, 312, "balance %u: chi-square %.1f", balances[b], sum);
	}
}

/* ------------------------------------------------------------------ without a pool */

/* As where there is no room for it. */
Test(node_choose, without_a_pool_slots_are_drawn)
{
	struct fl_service *service = choosing_service("1:2:3:4");
	unsigned seen[CHOOSING_MOST];

	service->balance = FL_LEAST_CONNECTIONS;
	choosing_put(service);
	choosing.known[3].open = 5;
	choosing.node.path.maps.services[choosing.node.in_force->services[0]->id].pool[FL_IPV4] = 0;
	choosing_sample(SAMPLES / 2, seen);
	choosing_expect("slots", seen, (double[CHOOSING_MOST]){ 1, 2, 3, 4 });
	choosing.known[0].ejected = UINT64_MAX;
	choosing_sample(SAMPLES / 4, seen);
	choosing_expect("slots", seen, (double[CHOOSING_MOST]){ 0, 2, 3, 4 });
	for (size_t i = 0; i < choosing.count; i++)
		choosing.known[i].ejected = UINT64_MAX;
	choosing_sample(10, seen);
}
