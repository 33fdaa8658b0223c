/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fairlead/hash.h"
#include "fairlead/slot.h"
#include "kernel/tables.h"
#include "lib/choosing.h"
#include "lib/netns.h"

/* Connections that get the same endpoint again: affinity, and keys of maglev. */

TestSuite(node_choose_same, .init = choosing_open, .fini = choosing_close, .timeout = 300);

/* --------------------------------------------------------------------- affinity */

static struct fl_service *sticky(const char *weights)
{
	struct fl_service *service = choosing_service(weights);

	service->balance = FL_ROUND_ROBIN; /* which would never give the same */
	service->affinity_s = 60;
	return service;
}

static struct fl_affinity kept_of(struct fl_affinity_key *ret_key)
{
	int fd = choosing.node.path.maps.fd[FL_NODE_MAP_affinity];
	struct fl_affinity kept;

	cr_assert_eq(bpf_map_get_next_key(fd, NULL, ret_key), 0);
	cr_assert_eq(bpf_map_lookup_elem(fd, ret_key, &kept), 0);
	return kept;
}

Test(node_choose_same, a_client_keeps_its_endpoint)
{
	struct fl_affinity_key key;
	struct fl_affinity kept;
	size_t first;

	choosing_put(sticky("1:1:1:1"));
	first = choosing_connect();
	for (int i = 0; i < 20; i++)
		cr_expect_eq(choosing_connect(), first);
	kept = kept_of(&key);
	cr_expect_eq(kept.endpoint, choosing_id(first));

	/* Counted from the last connection. */
	kept.seen -= 50;
	bpf_map_update_elem(choosing.node.path.maps.fd[FL_NODE_MAP_affinity], &key, &kept, BPF_ANY);
	cr_expect_eq(choosing_connect(), first);
	cr_expect_geq(kept_of(&key).seen, kept.seen + 50);
	kept.seen -= 10;
	bpf_map_update_elem(choosing.node.path.maps.fd[FL_NODE_MAP_affinity], &key, &kept, BPF_ANY);
	cr_expect_neq(choosing_connect(), first, "forgotten");
	cr_expect_neq(kept_of(&key).endpoint, choosing_id(first));
}

#define RACERS 8

static pthread_barrier_t start_line;

static void *race(void *context)
{
	struct sockaddr_storage to;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);
	int *fd = context;

	*fd = socket(AF_INET, SOCK_DGRAM, 0);
	pthread_barrier_wait(&start_line);
	connect(*fd, (struct sockaddr *)&to, length);
	return NULL;
}

/* The first contact of several at once: who is faster decides for all. */
Test(node_choose_same, racing_connections_of_a_client_agree)
{
	pthread_t threads[RACERS];
	int sockets[RACERS];

	pthread_barrier_init(&start_line, NULL, RACERS);
	choosing_put(sticky("1:1:1:1"));
	choosing_know();
	for (int round = 0; round < 300; round++) {
		struct fl_affinity_key key;

		for (int i = 0; i < RACERS; i++)
			pthread_create(&threads[i], NULL, race, &sockets[i]);
		for (int i = 0; i < RACERS; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < RACERS; i++)
			cr_assert_eq(choosing_of(sockets[i]), choosing_of(sockets[0]), "round %d",
				round);
		for (int i = 0; i < RACERS; i++)
			close(sockets[i]);
		kept_of(&key);
		bpf_map_delete_elem(choosing.node.path.maps.fd[FL_NODE_MAP_affinity], &key);
	}
}

static const struct {
	const char *name, *weights;
	bool ejected, up; /* up: its state lags behind, as where flows are kept */
} leavers[] = { { "down", "-:-:-:1", false }, { "without a weight", "0:0:0:1", false, true },
	{ "ejected", "1:1:1:1", true } };

Test(node_choose_same, a_client_gets_another_one_when_it_must)
{
	for (size_t r = 0; r < sizeof(leavers) / sizeof(leavers[0]); r++) {
		size_t first, second;

		choosing_put(sticky("1:1:1:0"));
		first = choosing_connect();
		choosing_put(sticky(leavers[r].weights));
		choosing.known[first].ejected = leavers[r].ejected ? UINT64_MAX : 0;
		if (leavers[r].up)
			choosing.node.kernel->maps.endpoints[choosing_id(first)].state = FL_UP;
		second = choosing_connect();
		cr_expect_neq(second, first, "%s", leavers[r].name);
		choosing.known[first].ejected = 0;
		cr_expect_eq(choosing_connect(), second, "%s", leavers[r].name);
	}
}

/* A network namespace is a client. In each of them the endpoints' addresses are its own. */
Test(node_choose_same, clients_are_network_namespaces)
{
	struct sockaddr_storage to;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);
	size_t seen[8];

	choosing_put(sticky("1:1:1:1"));
	for (int i = 0; i < 8; i++) {
		if (i % 2 == 0) {
			cr_assert_eq(unshare(CLONE_NEWNET), 0);
			test_run("ip link set lo up && ip route add default dev lo");
		}
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		choosing_know();
		cr_assert_eq(connect(fd, (struct sockaddr *)&to, length), 0, "%s", strerror(errno));
		seen[i] = choosing_of(fd);
		close(fd);
	}
	/* round robin: four clients, four endpoints */
	for (int i = 0; i < 8; i += 2) {
		cr_expect_eq(seen[i], seen[i + 1], "client %d", i / 2);
		cr_expect_neq(seen[i], seen[(i + 2) % 8], "client %d", i / 2);
	}
}

/* ------------------------------------------------------------------------- keys */

static uint32_t slot_of(uint32_t hash)
{
	fl_region region =
		choosing.node.kernel->maps.services[choosing.node.in_force->services[0]->id]
			.region[FL_IPV4];
	const fl_slot *slots = choosing.node.kernel->maps.slots + FL_REGION_BASE(region);

	return fl_slot_now(slots[fl_hash_slot(hash, fl_table_size(region))]);
}

static uint32_t hash_of_source(uint8_t last)
{
	uint64_t address = (uint64_t)htonl(0xffff) | (uint64_t)htonl(0xc6336400u | last) << 32;

	return fl_hash_end(fl_hash_mix(fl_hash_mix(FL_KEY_SOURCE, 0), address));
}

static struct fl_service *keyed(enum fl_key key)
{
	struct fl_service *service = choosing_service("1:1:1:1");

	service->key = key;
	return service;
}

#define SOURCES 120

/* The same endpoint on every node, and from a slot of the edge path's table. */
Test(node_choose_same, a_source_has_its_slot)
{
	size_t before[SOURCES], substitute[SOURCES];
	unsigned seen[CHOOSING_MOST] = { 0 };
	char from[32];

	test_run("ip addr add 198.51.100.0/24 dev lo");
	choosing_put(keyed(FL_KEY_SOURCE));
	for (uint8_t i = 0; i < SOURCES; i++) {
		snprintf(from, sizeof(from), "198.51.100.%u", i + 1);
		choosing_know();
		before[i] = choosing_connect_from(from);
		cr_expect_eq(choosing_id(before[i]), slot_of(hash_of_source(i + 1)), "%s", from);
		cr_expect_eq(choosing_connect_from(from), before[i], "%s", from);
		seen[before[i]]++;
	}
	choosing_expect("all have some", seen, (double[CHOOSING_MOST]){ 1, 1, 1, 1 });

	/* One is out: others keep theirs, and what it had is spread, always alike. */
	choosing.known[0].ejected = UINT64_MAX;
	memset(seen, 0, sizeof(seen));
	for (uint8_t i = 0; i < SOURCES; i++) {
		snprintf(from, sizeof(from), "198.51.100.%u", i + 1);
		choosing_know();
		substitute[i] = choosing_connect_from(from);
		cr_expect_neq(substitute[i], 0);
		if (before[i] != 0)
			cr_expect_eq(substitute[i], before[i], "%s", from);
		else
			seen[substitute[i]]++;
		cr_expect_eq(choosing_connect_from(from), substitute[i], "%s", from);
	}
	for (size_t i = 1; i < 4; i++)
		cr_expect_gt(seen[i], 0, "%zu gets nothing of it", i);
}

Test(node_choose_same, a_source_has_its_slot_among_near_ones)
{
	static const char *const where[CHOOSING_MOST] = { "b", "a", "b", "a" };
	static const char *const none[CHOOSING_MOST];
	struct fl_service *service = keyed(FL_KEY_SOURCE);
	unsigned seen[CHOOSING_MOST] = { 0 };
	char from[32];

	test_run("ip addr add 198.51.100.0/24 dev lo");
	choosing_place(service, where, none);
	service->locality = FL_LOCALITY_ZONE;
	choosing_put(service);
	for (uint8_t i = 0; i < SOURCES; i++) {
		uint32_t slot = slot_of(hash_of_source(i + 1));
		size_t got;

		snprintf(from, sizeof(from), "198.51.100.%u", i + 1);
		choosing_know();
		got = choosing_connect_from(from);
		seen[got]++;
		cr_expect_eq(choosing_connect_from(from), got, "%s", from);
		if (slot == choosing_id(1) || slot == choosing_id(3))
			cr_expect_eq(choosing_id(got), slot, "%s", from);
	}
	choosing_expect("near", seen, (double[CHOOSING_MOST]){ 0, 1, 0, 1 });
}

/* Neither bound nor in another cgroup: what the namespace or the cgroup says. */
Test(node_choose_same, without_a_source_the_namespace_decides)
{
	size_t first;

	choosing_put(keyed(FL_KEY_SOURCE));
	first = choosing_connect();
	for (int i = 0; i < 20; i++)
		cr_expect_eq(choosing_connect(), first);
}

static void enter_cgroup(const char *path)
{
	char file[400];
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	fd = open(file, O_WRONLY);
	cr_assert(fd >= 0 && write(fd, "0", 1) == 1, "%s: %s", file, strerror(errno));
	close(fd);
}

Test(node_choose_same, a_cgroup_has_its_slot)
{
	unsigned seen[CHOOSING_MOST] = { 0 };

	choosing_put(keyed(FL_KEY_CGROUP));
	for (int i = 0; i < 24; i++) {
		char path[340];
		size_t first;

		snprintf(path, sizeof(path), "%s/%d", choosing.node.cgroup, i);
		test_run("mkdir %s", path);
		enter_cgroup(path);
		first = choosing_connect();
		seen[first]++;
		for (int j = 0; j < 5; j++)
			cr_expect_eq(choosing_connect(), first, "cgroup %d", i);
		enter_cgroup(choosing.node.cgroup);
		test_run("rmdir %s", path);
	}
	for (size_t i = 0; i < 4; i++)
		cr_expect(seen[i] < 24, "all cgroups have the same one");
}
