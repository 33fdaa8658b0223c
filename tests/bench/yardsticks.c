/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <err.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <string.h>

#include "bench.h"
#include "fairlead/abi.h"
#include "tests/bench/feeder.skel.h"

/** Room for a million flows, and for what LRU lists waste. */
#define KNOWN_FLOWS (1 << 21)
#define CHURN_FLOWS (1 << 20)

static void put(struct bpf_map *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) < 0)
		err(1, "writing %s", bpf_map__name(map));
}

static void fill_endpoints(struct feeder *feeder)
{
	uint32_t i;

	for (i = 0; i < YARD_ENDPOINTS; i++) {
		struct yard_endpoint row = { .addr = { htonl(0xfd000201), 0, 0,
						     htonl(0x0ac90000 + i) },
			.dmac = { 2, 0, 0, 0, 0, 2 },
			.smac = { 2, 0, 0, 0, 0, 1 } };

		put(feeder->maps.yard_endpoints, &i, &row);
	}
}

static void fill_frontends(struct feeder *feeder)
{
	static const char *addresses[] = { "::ffff:10.200.1.1", "fd00:200::1" };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct fl_frontend_row row = { 1, 1 };
	size_t i;

	for (i = 0; i < 4; i++) {
		struct fl_frontend_key key = { .port = htons(80), .proto = protos[i / 2] };

		inet_pton(AF_INET6, addresses[i % 2], &key.addr);
		put(feeder->maps.yard_frontends, &key, &row);
	}
}

static void fill_slots(struct feeder *feeder)
{
	uint32_t slot, endpoint;

	for (slot = 0; slot < YARD_SLOTS; slot++) {
		endpoint = slot % 100;
		put(feeder->maps.yard_slots, &slot, &endpoint);
	}
}

static void add_lru(struct bench_run *run, enum feed_shape shape, uint32_t flows, bool syn)
{
	struct feeder *yard = flows ? run->known[shape] : run->churn;
	struct bpf_program *program =
		shape == FEED_TCP4 || shape == FEED_UDP4 ? yard->progs.lru4 : yard->progs.lru6;
	struct bench_case *c = bench_add(&run->cases, "LRU", bpf_program__fd(program), XDP_TX,
		&(struct bench_traffic){ shape, flows, syn });

	/* Established flows are in the table; the table of new ones is full. */
	c->warmup = flows ? flows : CHURN_FLOWS;
}

static void add_shape(struct bench_run *run, enum feed_shape shape)
{
	struct bench_traffic one = { shape, 1, false };
	bool v4 = shape == FEED_TCP4 || shape == FEED_UDP4;
	struct feeder *f = run->feeder;

	bench_add(&run->cases, "XDP_PASS", bpf_program__fd(f->progs.pass), XDP_PASS, &one);
	bench_add(&run->cases, "XDP_TX", bpf_program__fd(f->progs.transmit), XDP_TX, &one);
	if (shape == FEED_ANSWER4) /* no balancer, not even the least, does anything to these */
		return;
	bench_add(&run->cases, "floor", bpf_program__fd(v4 ? f->progs.floor4 : f->progs.floor6),
		XDP_TX, &one);
}

static struct feeder *load(uint32_t flows)
{
	struct feeder *feeder = feeder__open();

	if (!feeder || bpf_map__set_max_entries(feeder->maps.yard_flows, flows) < 0 ||
		feeder__load(feeder) < 0)
		errx(1, "loading feeder and yardsticks failed");
	fill_endpoints(feeder);
	fill_frontends(feeder);
	fill_slots(feeder);
	return feeder;
}

void bench_attach_drop(struct bench_run *run)
{
	int index = if_nametoindex("v1");

	if (bpf_link_create(bpf_program__fd(run->feeder->progs.drop), index, BPF_XDP, NULL) < 0)
		err(1, "attaching to v1");
}

void bench_add_yardsticks(struct bench_run *run)
{
	enum feed_shape shape;

	for (shape = 0; shape < FEED_SHAPES; shape++)
		if (shape != FEED_UDP6 && shape != FEED_ANSWER4)
			run->known[shape] = load(KNOWN_FLOWS);
	run->churn = load(CHURN_FLOWS);
	run->feeder = run->known[FEED_TCP4];
	for (shape = 0; shape < FEED_SHAPES; shape++)
		add_shape(run, shape);
	add_lru(run, FEED_TCP4, 1, false);
	add_lru(run, FEED_TCP4, 1 << 16, false);
	add_lru(run, FEED_TCP4, 1 << 20, false);
	add_lru(run, FEED_TCP4, 0, true);
	add_lru(run, FEED_UDP4, 1 << 20, false);
	add_lru(run, FEED_TCP6, 1 << 20, false);
}
