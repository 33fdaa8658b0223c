/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "lib/choosing.h"

/* Pools that change while connections choose from them. */

TestSuite(node_choose_change, .init = choosing_open, .fini = choosing_close, .timeout = 300);

#define CALLERS 3

static atomic_bool ended;
static atomic_ulong connected, refused, astray;

/* Endpoints 0 and 1 take connections all the time, the others at most now and then. */
static void *call(void *context)
{
	struct sockaddr_storage to;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);
	const uint32_t *ids = context;

	while (!ended) {
		int fd = socket(AF_INET, SOCK_DGRAM, 0);
		struct fl_sock kept = { 0 };
		bool known = false;

		if (connect(fd, (struct sockaddr *)&to, length) < 0) {
			refused++;
		} else {
			bpf_map_lookup_elem(
				choosing.node.path.maps.fd[FL_NODE_MAP_sockets], &fd, &kept);
			for (size_t i = 0; i < CHOOSING_MOST; i++)
				known |= kept.endpoint_id == ids[i];
			astray += !known;
			connected++;
		}
		close(fd);
	}
	return NULL;
}

static const char *const variants[] = { "1:1:1:1:1:1:1:1", "5:3:-:1:-:1:-:1", "1:1:-:-:-:-:-:-",
	"9:1:0:0:7:7:7:7" };
#define VARIANTS (sizeof(variants) / sizeof(variants[0]))

static void put_variant(unsigned i)
{
	struct fl_service *service = choosing_service(variants[i % VARIANTS]);

	service->balance = (enum fl_balance)(i % FL_BALANCES);
	service->affinity_s = i % 7 == 0 ? 60 : 0;
	service->locality = i % 3 ? FL_LOCALITY_OFF : FL_LOCALITY_ZONE;
	choosing_put(service);
	fl_writer_tick(choosing.node.writer, fl_clock_boot_s());
}

/* There is always somebody, so nobody is refused or gets anything else; also where places
 * for pools run out because they have to rest. */
Test(node_choose_change, connections_go_on_amid_changes)
{
	uint32_t ids[CHOOSING_MOST];
	pthread_t callers[CALLERS];
	unsigned changes = 0;
	uint64_t until;

	put_variant(0);
	for (size_t i = 0; i < CHOOSING_MOST; i++)
		ids[i] = choosing_id(i);
	for (size_t i = 0; i < CALLERS; i++)
		pthread_create(&callers[i], NULL, call, ids);
	until = fl_clock_mono_ns() + 5000000000ull;
	while (fl_clock_mono_ns() < until || connected < 20000) {
		put_variant(++changes);
		if (changes % 50 == 0)
			usleep(100000);
	}
	ended = true;
	for (size_t i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	cr_log_info("%lu connections amid %u changes, %lu pools", connected, changes,
		fl_pools_written(choosing.node.pools));
	cr_expect_eq(
		refused, 0, "%lu of %lu were refused amid %u changes", refused, connected, changes);
	cr_expect_eq(astray, 0, "%lu of %lu", astray, connected);
}
