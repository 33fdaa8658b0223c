/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <err.h>
#include <linux/bpf.h>
#include <string.h>

#include "bench.h"
#include "fairlead/abi.h"
#include "subject.h"
#include "tests/bench/stages.skel.h"

/* The edge program taken apart, over the maps of one that its agent loaded. */

static const struct {
	const char *program;
	const char *last;
} measured[] = {
	{ "upto_parse", "parse" },
	{ "upto_frontend", "hash, frontend" },
	{ "upto_service", "lengths, service" },
	{ "upto_slot", "slot, endpoint" },
	{ "upto_forward", "encapsulate, count" },
	{ "edge", "reason: all" },
};
#define MEASURED (sizeof(measured) / sizeof(measured[0]))

static void share_map(struct bpf_map *map, const struct bench_subject *s)
{
	int i;

	for (i = 0; i < FL_MAP_COUNT; i++) {
		if (strncmp(bpf_map__name(map), "fl_", 3) ||
			strcmp(bpf_map__name(map) + 3, fl_map_name(i)))
			continue;
		if (s->maps.fd[i] >= 0 && bpf_map__reuse_fd(map, s->maps.fd[i]) < 0)
			err(1, "sharing the map %s", fl_map_name(i));
	}
}

static struct stages *load(const struct bench_subject *s)
{
	static const char *const others[] = { "explain", "start_sweep", "sweep" };
	struct stages *stages = stages__open();
	struct bpf_map *map;
	size_t i;

	if (!stages)
		err(1, "opening the stages");
	bpf_object__for_each_map(map, stages->obj) share_map(map, s);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		bpf_program__set_autoload(
			bpf_object__find_program_by_name(stages->obj, others[i]), false);
	if (stages__load(stages) < 0)
		errx(1, "loading the stages failed");
	return stages;
}

void bench_add_stages(struct bench_run *run, const struct bench_subject *s)
{
	static const struct bench_traffic lru[] = {
		{ FEED_TCP4, 1, false },
		{ FEED_TCP4, 1 << 16, false },
		{ FEED_TCP4, 1 << 20, false },
		{ FEED_TCP4, 0, true },
	};
	struct stages *stages = load(s), *churn = load(s);
	struct bench_case *c;
	size_t i, flows;

	for (i = 0; i < sizeof(lru) / sizeof(lru[0]); i++) {
		struct stages *one = lru[i].flows ? stages : churn;

		c = bench_add(
			&run->cases, "ipip", bpf_program__fd(one->progs.edge_lru), XDP_TX, &lru[i]);
		c->state = "through an LRU table";
		c->warmup = lru[i].flows ? lru[i].flows : 1 << 21;
	}
	for (flows = 1; flows <= 1 << 20; flows <<= 20)
		for (i = 0; i < MEASURED; i++) {
			struct bpf_program *program =
				bpf_object__find_program_by_name(stages->obj, measured[i].program);

			c = bench_add(&run->cases, "stages", bpf_program__fd(program), XDP_TX,
				&(struct bench_traffic){ FEED_TCP4, flows, false });
			c->state = measured[i].last;
		}
}
