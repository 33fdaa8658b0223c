/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>

#include "lib/choosing.h"

/* Which endpoints are near, and when others are taken. */

#define SAMPLES 3000

static const enum fl_balance all[] = { FL_MAGLEV, FL_RANDOM, FL_ROUND_ROBIN, FL_LEAST_CONNECTIONS,
	FL_P2C };
#define ALL (sizeof(all) / sizeof(all[0]))

TestSuite(node_choose_near, .init = choosing_open, .fini = choosing_close, .timeout = 300);

/* --------------------------------------------------------------------- locality */

/* The agent is on node n1 in zone a. */
static const char *const zones[CHOOSING_MOST] = { "a", "a", "b", "a" };
static const char *const nodes[CHOOSING_MOST] = { "n1", "n2", "n1", "n3" };

static const struct near {
	const char *name;
	enum fl_locality locality;
	const char *weights;
	uint16_t spill;
	uint32_t open[4];
	int ejected; /* -1 = none */
	double share[CHOOSING_MOST];
} near[] = {
	{ "off", FL_LOCALITY_OFF, "1:1:1:1", 0, { 0 }, -1, { 1, 1, 1, 1 } },
	{ "zone", FL_LOCALITY_ZONE, "1:2:1:1", 0, { 0 }, -1, { 1, 2, 0, 1 } },
	{ "node", FL_LOCALITY_NODE, "1:1:2:1", 0, { 0 }, -1, { 1, 0, 2, 0 } },
	{ "node: then the zone", FL_LOCALITY_NODE, "-:1:-:1", 0, { 0 }, -1, { 0, 1, 0, 1 } },
	{ "node: nobody near", FL_LOCALITY_NODE, "-:-:1:-", 0, { 0 }, -1, { 0, 0, 1, 0 } },
	{ "zone: the near ones are out", FL_LOCALITY_ZONE, "1:-:1:-", 0, { 0 }, 0, { 0, 0, 1, 0 } },
	{ "zone: a third is left, 46 % stay", FL_LOCALITY_ZONE, "1:-:1:-", 0, { 0 }, -1,
		{ 46, 0, 54, 0 } },
	{ "node: half is left, 70 % stay", FL_LOCALITY_NODE, "1:1:-:1", 0, { 0 }, -1,
		{ 70, 15, 0, 15 } },
	{ "load alone is no reason", FL_LOCALITY_ZONE, "1:1:1:1", 0, { 99, 99, 0, 99 }, -1,
		{ 1, 1, 0, 1 } },
	{ "spill", FL_LOCALITY_ZONE, "1:1:1:1", 150, { 9, 9, 5, 9 }, -1, { 0, 0, 1, 0 } },
	{ "not yet", FL_LOCALITY_ZONE, "1:1:1:1", 150, { 8, 8, 5, 8 }, -1, { 1, 1, 0, 1 } },
	{ "only from the busy one", FL_LOCALITY_ZONE, "1:1:1:1", 150, { 9, 1, 5, 1 }, -1,
		{ 0, 1, 1, 1 } },
	{ "a heavy one carries more", FL_LOCALITY_ZONE, "4:-:1:-", 200, { 7, 0, 0, 0 }, -1,
		{ 46, 0, 54, 0 } },
	{ "a heavy farther one takes more", FL_LOCALITY_ZONE, "1:1:4:1", 150, { 5, 5, 10, 5 }, -1,
		{ 0, 0, 1, 0 } },
	{ "and farther", FL_LOCALITY_NODE, "1:1:1:1", 100, { 50, 0, 50, 0 }, -1, { 0, 1, 0, 1 } },
};

Test(node_choose_near, near_ones_first)
{
	for (size_t r = 0; r < sizeof(near) / sizeof(near[0]); r++) {
		struct fl_service *service = choosing_service(near[r].weights);
		unsigned seen[CHOOSING_MOST];

		choosing_place(service, zones, nodes);
		service->balance = FL_RANDOM;
		service->locality = near[r].locality;
		service->spill_percent = near[r].spill;
		choosing_put(service);
		for (size_t i = 0; i < choosing.count; i++)
			choosing.known[i].open = near[r].open[i];
		if (near[r].ejected >= 0)
			choosing.known[near[r].ejected].ejected = UINT64_MAX;
		choosing_sample(SAMPLES, seen);
		choosing_expect(near[r].name, seen, near[r].share);
	}
}

/* Each algorithm within its tier. */
Test(node_choose_near, all_algorithms_stay_near)
{
	for (size_t b = 0; b < ALL; b++) {
		struct fl_service *service = choosing_service("1:2:5:1");
		unsigned seen[CHOOSING_MOST];

		choosing_place(service, zones, nodes);
		service->balance = all[b];
		service->locality = FL_LOCALITY_ZONE;
		choosing_put(service);
		choosing_sample(SAMPLES, seen);
		choosing_expect(
			fl_balance_name(all[b]), seen, (double[CHOOSING_MOST]){ 1, 2, 0, 1 });
	}
}

/* A heavy one on this node, others of this zone that are busy, and one elsewhere. */
Test(node_choose_near, weights_count_in_every_tier)
{
	static const char *const here[CHOOSING_MOST] = { "n1", "n2", "n2", "n3" };
	struct fl_service *service = choosing_service("4:1:2:1");

	choosing_place(service, zones, here);
	service->locality = FL_LOCALITY_NODE;
	service->spill_percent = 100;
	choosing_put(service);
	choosing.known[0].open = 8;
	choosing.known[1].open = choosing.known[3].open = 50;
	choosing.known[2].open = 4;
	for (int i = 0; i < 50; i++)
		cr_expect_eq(choosing_connect(), 0, "8 of weight 4 are less than 5 of weight 2");
	choosing.known[0].open = 10;
	for (int i = 0; i < 50; i++)
		cr_expect_eq(choosing_connect(), 2, "10 are as many");
}
