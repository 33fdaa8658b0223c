/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/choosing.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/declared.h"
#include "lib/netns.h"

struct choosing choosing;

static void listen_at(size_t i)
{
	struct sockaddr_storage at;
	char address[32];
	socklen_t length;

	snprintf(address, sizeof(address), "192.0.2.%zu", i + 1);
	test_run("ip addr add %s/32 dev lo", address);
	length = test_node_address(address, 8080, &at);
	choosing.listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(choosing.listeners[i], (struct sockaddr *)&at, length), 0, "%s",
		strerror(errno));
	cr_assert_eq(listen(choosing.listeners[i], 16), 0);
}

void choosing_open(void)
{
	test_node_open(&choosing.node);
	for (size_t i = 0; i < CHOOSING_MOST; i++)
		listen_at(i);
}

void choosing_close(void)
{
	test_node_close(&choosing.node);
}

/* ------------------------------------------------------------------- a service */

/* "1:2:1": an endpoint of each weight; "-" is one that is down. */
struct fl_service *choosing_service(const char *weights)
{
	struct fl_service *service;
	char endpoints[512] = "", *copy = strdup(weights), *rest = copy;
	size_t at = 0;

	choosing.count = 0;
	for (char *word; (word = strsep(&rest, ":")); choosing.count++)
		at += (size_t)snprintf(endpoints + at, sizeof(endpoints) - at,
			"%s192.0.2.%zu:8080%s%s", choosing.count ? " " : "", choosing.count + 1,
			*word == '-' ? "/down" : "*", *word == '-' ? "" : word);
	service = test_service("web", "10.99.0.1:80/tcp 10.99.0.1:80/udp", endpoints);
	free(copy);
	return service;
}

void choosing_put(struct fl_service *service)
{
	test_node_apply(&choosing.node, test_snapshot(1, &service, 1));
	memset(choosing.known, 0, sizeof(choosing.known));
}

uint32_t choosing_id(size_t i)
{
	return choosing.node.in_force->services[0]->endpoints[i].id;
}

size_t choosing_index(uint32_t id)
{
	size_t i = 0;

	while (i < choosing.count && choosing_id(i) != id)
		i++;
	cr_assert_lt(i, choosing.count, "%u is no endpoint", id);
	return i;
}

void choosing_know(void)
{
	for (size_t i = 0; i < choosing.count; i++)
		choosing.node.path.maps.live[choosing_id(i)] = choosing.known[i];
}

/* --------------------------------------------------------------------- connects */

/* Which endpoint the programs say that a socket has. */
size_t choosing_of(int fd)
{
	struct fl_sock kept;

	cr_assert_eq(
		bpf_map_lookup_elem(choosing.node.path.maps.fd[FL_NODE_MAP_sockets], &fd, &kept),
		0);
	return choosing_index(kept.endpoint_id);
}

static void let_go(int fd)
{
	const struct linger at_once = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

/* One connection, seen by the endpoint that has it. @param from  NULL = not bound */
size_t choosing_connect_from(const char *from)
{
	struct sockaddr_storage to, at;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);
	int fd = socket(AF_INET, SOCK_STREAM, 0), accepted;
	size_t i;

	if (from)
		cr_assert_eq(bind(fd, (struct sockaddr *)&at, test_node_address(from, 0, &at)), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, length), 0, "%s", strerror(errno));
	i = choosing_of(fd);
	accepted = accept(choosing.listeners[i], NULL, NULL);
	cr_assert_geq(accepted, 0, "endpoint %zu has no connection: %s", i, strerror(errno));
	let_go(fd);
	close(accepted);
	return i;
}

size_t choosing_connect(void)
{
	choosing_know();
	return choosing_connect_from(NULL);
}

void choosing_sample(unsigned n, unsigned seen[CHOOSING_MOST])
{
	memset(seen, 0, CHOOSING_MOST * sizeof(seen[0]));
	for (unsigned i = 0; i < n; i++)
		seen[choosing_connect()]++;
}

/* ------------------------------------------------------------------- statistics */

/* Of degrees of freedom: exceeded by chance once in a million times. */
static const double chi_square_limit[CHOOSING_MOST] = { 0, 23.93, 27.63, 30.66, 33.38, 35.89, 38.26,
	40.52 };

void choosing_expect(
	const char *name, const unsigned seen[CHOOSING_MOST], const double share[CHOOSING_MOST])
{
	double sum = 0, total = 0, n = 0;
	int freedom = -1;

	for (size_t i = 0; i < choosing.count; i++)
		total += share[i], n += seen[i];
	for (size_t i = 0; i < choosing.count; i++) {
		double expected = n * share[i] / total;

		if (share[i] == 0)
			cr_expect_eq(seen[i], 0, "%s: %u for endpoint %zu", name, seen[i], i);
		if (share[i] == 0)
			continue;
		sum += (seen[i] - expected) * (seen[i] - expected) / expected;
		freedom++;
	}
	cr_expect_leq(sum, chi_square_limit[freedom], "%s: chi-square %.1f of %u %u %u %u", name,
		sum, seen[0], seen[1], seen[2], seen[3]);
}

void choosing_place(struct fl_service *service, const char *const zones[CHOOSING_MOST],
	const char *const nodes[CHOOSING_MOST])
{
	for (size_t i = 0; i < choosing.count; i++) {
		if (zones[i])
			service->endpoints[i].zone = strdup(zones[i]);
		if (nodes[i])
			service->endpoints[i].node = strdup(nodes[i]);
	}
}
