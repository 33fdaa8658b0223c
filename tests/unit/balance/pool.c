/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balance/pool.h"
#include "lib/declared.h"

static const struct fl_place_of_node here = { "n1", "a" };

/* Endpoints get their place in the list as number, from 1 on. */
static struct fl_service *declare(const char *endpoints)
{
	struct fl_service *service = test_service("s", "10.0.0.1:80/tcp", endpoints);

	for (size_t i = 0; i < service->endpoint_count; i++)
		service->endpoints[i].id = (uint32_t)i + 1;
	return service;
}

/* "ZONE/NODE" of each endpoint, "-" = not known */
static void place(struct fl_service *service, const char *places)
{
	char *copy = strdup(places), *rest = copy;

	for (size_t i = 0; i < service->endpoint_count; i++) {
		char *zone = strsep(&rest, " "), *node;

		if (!zone || !*zone)
			break;
		node = strchr(zone, '/');
		*node++ = '\0';
		service->endpoints[i].zone = *zone == '-' ? NULL : strdup(zone);
		service->endpoints[i].node = *node == '-' ? NULL : strdup(node);
	}
	free(copy);
}

/* "1:1 2:3 | 3:2" = tiers of members, each with the sum of weights up to it */
static char *members_of(const struct fl_pool *pool, char text[512])
{
	const struct fl_pool_head *head = &pool->rows[0].head;
	size_t at = 0, n = 0;

	text[0] = '\0';
	for (unsigned t = 0; t < FL_TIERS; t++) {
		if (head->tier[t].count)
			cr_assert_eq(head->tier[t].first, n);
		for (unsigned i = 0; i < head->tier[t].count; i++, n++) {
			const struct fl_member *m = &pool->rows[1 + n / FL_MEMBERS_PER_ROW]
							     .member[n % FL_MEMBERS_PER_ROW];

			at += (size_t)snprintf(
				text + at, 512 - at, "%s%u:%u", i ? " " : "", m->endpoint, m->upto);
		}
		at += (size_t)snprintf(text + at, 512 - at, "%s", t + 1 < FL_TIERS ? "|" : "");
	}
	return text;
}

static const struct row {
	const char *name;
	enum fl_locality locality;
	const char *endpoints, *places;
	const char *members;
	uint8_t share[2];
} rows[] = {
	{ "all are equally near", FL_LOCALITY_OFF, "192.0.2.1:1 192.0.2.2:1*3 192.0.2.3:1",
		"a/n1 b/n2 -/-", "1:1 2:4 3:5||", { 100, 100 } },
	{ "only who takes connections", FL_LOCALITY_OFF,
		"192.0.2.1:1/down 192.0.2.2:1*0 192.0.2.3:1/draining 192.0.2.4:1 "
		"192.0.2.5:1/maintenance",
		"", "4:1||", { 100, 100 } },
	{ "nobody", FL_LOCALITY_ZONE, "192.0.2.1:1/down", "a/n1", "||", { 100, 100 } },
	{ "zone: the node does not matter", FL_LOCALITY_ZONE,
		"192.0.2.1:1 192.0.2.2:1*2 192.0.2.3:1 192.0.2.4:1", "a/n1 a/n2 b/n1 -/-",
		"|1:1 2:3|3:1 4:2", { 0, 100 } },
	{ "node, zone, the rest", FL_LOCALITY_NODE,
		"192.0.2.1:1 192.0.2.2:1*2 192.0.2.3:1 192.0.2.4:1", "b/n3 a/n2 a/n1 b/n1",
		"3:1 4:2|2:2|1:1", { 100, 100 } },
	{ "half of the near are up", FL_LOCALITY_ZONE, "192.0.2.1:1 192.0.2.2:1/down 192.0.2.3:1",
		"a/- a/- b/-", "|1:1|3:1", { 0, 70 } },
	{ "five of seven are enough", FL_LOCALITY_ZONE,
		"192.0.2.1:1 192.0.2.2:1 192.0.2.3:1 192.0.2.4:1 192.0.2.5:1 192.0.2.6:1/down "
		"192.0.2.7:1/down 192.0.2.8:1",
		"a/- a/- a/- a/- a/- a/- a/- b/-", "|1:1 2:2 3:3 4:4 5:5|8:1", { 0, 100 } },
	{ "one without a weight is not missed", FL_LOCALITY_ZONE,
		"192.0.2.1:1 192.0.2.2:1*0 192.0.2.3:1", "a/- a/- b/-", "|1:1|3:1", { 0, 100 } },
	{ "half of each: what each can take", FL_LOCALITY_NODE,
		"192.0.2.1:1 192.0.2.2:1/down 192.0.2.3:1 192.0.2.4:1/down 192.0.2.5:1",
		"a/n1 a/n1 a/- a/- b/-", "1:1|3:1|5:1", { 70, 100 } },
	{ "a quarter everywhere", FL_LOCALITY_NODE,
		"192.0.2.1:1 192.0.2.2:1/down 192.0.2.3:1/down 192.0.2.4:1/down 192.0.2.5:1 "
		"192.0.2.6:1/down 192.0.2.7:1/down 192.0.2.8:1/down 192.0.2.9:1 "
		"192.0.2.10:1/down 192.0.2.11:1/down 192.0.2.12:1/down",
		"a/n1 a/n1 a/n1 a/n1 a/- a/- a/- a/- b/- b/- b/- b/-", "1:1|5:1|9:1", { 35, 53 } },
	{ "even less in all: by what each can take", FL_LOCALITY_ZONE,
		"192.0.2.1:1 192.0.2.2:1/down 192.0.2.3:1/down 192.0.2.4:1/down 192.0.2.5:1/down "
		"192.0.2.6:1/down 192.0.2.7:1/down 192.0.2.8:1/down 192.0.2.9:1 192.0.2.10:1/down "
		"192.0.2.11:1/down 192.0.2.12:1/down",
		"a/- a/- a/- a/- a/- a/- a/- a/- b/- b/- b/- b/-", "|1:1|9:1", { 0, 33 } },
	{ "few near ones, and nobody farther", FL_LOCALITY_ZONE, "192.0.2.1:1 192.0.2.2:1/down",
		"a/- a/-", "|1:1|", { 0, 100 } },
};

Test(pool, tiers_and_shares)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_service *service = declare(rows[i].endpoints);
		struct fl_pool pool = { 0 };
		char text[512];

		place(service, rows[i].places);
		service->locality = rows[i].locality;
		cr_assert_eq(fl_pool_make(service, FL_IPV4, &here, &pool), 0);
		cr_expect_str_eq(
			members_of(&pool, text), rows[i].members, "%s: %s", rows[i].name, text);
		for (int t = 0; t < 2; t++)
			cr_expect_eq(pool.rows[0].head.share[t], rows[i].share[t],
				"%s: share %d is %u", rows[i].name, t, pool.rows[0].head.share[t]);
		cr_expect_eq(fl_pool_rows(&pool.rows[0].head), pool.count, "%s", rows[i].name);
		fl_pool_done(&pool);
		fl_service_unref(service);
	}
}

/* A node that does not know where it is has nobody near. */
Test(pool, nowhere)
{
	static const struct fl_place_of_node nowhere = { NULL, NULL };
	struct fl_service *service = declare("192.0.2.1:1");

	cr_expect_eq(fl_pool_tier(FL_LOCALITY_NODE, &nowhere, &service->endpoints[0]), 2);
	cr_expect_eq(fl_pool_tier(FL_LOCALITY_OFF, &nowhere, &service->endpoints[0]), 0);
	fl_service_unref(service);
}

Test(pool, settings)
{
	struct fl_service *service = declare("192.0.2.1:1");
	struct fl_pool pool = { 0 };
	const struct fl_pool_head *head;

	service->balance = FL_P2C;
	service->key = FL_KEY_CGROUP;
	service->affinity_s = 1234567;
	service->spill_percent = 10000;
	service->max_fails = 1000;
	service->fail_timeout_s = 3600;
	service->max_ejected_percent = 99;
	service->panic_percent = 30;
	cr_assert_eq(fl_pool_make(service, FL_IPV4, &here, &pool), 0);
	head = &pool.rows[0].head;
	cr_expect_eq(head->balance, FL_P2C);
	cr_expect_eq(head->key, FL_KEY_CGROUP);
	cr_expect_eq(head->affinity_s, 1234567);
	cr_expect_eq(head->spill, 10000);
	cr_expect_eq(head->max_fails, 1000);
	cr_expect_eq(head->fail_timeout_s, 3600);
	cr_expect_eq(head->max_ejected, 99);
	cr_expect_eq(head->panic, 30);
	cr_expect_eq(pool.count, 2, "no schedule where it is not round robin");
	fl_pool_done(&pool);
	fl_service_unref(service);
}

static const struct panic_row {
	const char *endpoints;
	uint8_t percent, expected;
} panics[] = {
	{ "192.0.2.1:1 192.0.2.2:1 192.0.2.3:1 192.0.2.4:1", 50, 50 },
	{ "192.0.2.1:1 192.0.2.2:1 192.0.2.3:1 192.0.2.4:1/down", 50, 67 }, /* two of three */
	{ "192.0.2.1:1 192.0.2.2:1/down 192.0.2.3:1/down", 50, 100 },
	{ "192.0.2.1:1 192.0.2.2:1*0", 30, 30 },
	{ "192.0.2.1:1/down", 50, 0 },
	{ "192.0.2.1:1 192.0.2.2:1", 0, 0 },
};

/* Of all endpoints, as everywhere, though the programs see only who is up. */
Test(pool, how_many_must_be_left)
{
	for (size_t i = 0; i < sizeof(panics) / sizeof(panics[0]); i++) {
		struct fl_service *service = declare(panics[i].endpoints);
		struct fl_pool pool = { 0 };

		service->panic_percent = panics[i].percent;
		cr_assert_eq(fl_pool_make(service, FL_IPV4, &here, &pool), 0);
		cr_expect_eq(pool.rows[0].head.panic, panics[i].expected, "row %zu: %u", i,
			pool.rows[0].head.panic);
		fl_pool_done(&pool);
		fl_service_unref(service);
	}
}

static uint16_t turn_of(const struct fl_pool *pool, uint32_t members, uint32_t turn)
{
	uint32_t first = 1 + (members + FL_MEMBERS_PER_ROW - 1) / FL_MEMBERS_PER_ROW;

	return pool->rows[first + turn / FL_TURNS_PER_ROW].turn[turn % FL_TURNS_PER_ROW];
}

Test(pool, turns_of_each_tier)
{
	static const uint16_t expected[] = { 0, 1, 0, 0, 1, 2 };
	struct fl_service *service =
		declare("192.0.2.1:1*2 192.0.2.2:1 192.0.2.3:1 192.0.2.4:1 192.0.2.5:1");
	struct fl_pool pool = { 0 };
	const struct fl_pool_tier *tiers;

	place(service, "a/- a/- b/- b/- b/-");
	service->balance = FL_ROUND_ROBIN;
	service->locality = FL_LOCALITY_ZONE;
	cr_assert_eq(fl_pool_make(service, FL_IPV4, &here, &pool), 0);
	tiers = pool.rows[0].head.tier;
	cr_expect_eq(tiers[0].turns, 0);
	cr_expect_eq(tiers[1].first_turn, 0);
	cr_expect_eq(tiers[1].turns, 3);
	cr_expect_eq(tiers[2].first_turn, 3);
	cr_expect_eq(tiers[2].turns, 3);
	for (uint32_t i = 0; i < 6; i++)
		cr_expect_eq(turn_of(&pool, 5, i), expected[i], "turn %u", i);
	cr_expect_eq(fl_pool_rows(&pool.rows[0].head), 3);
	fl_pool_done(&pool);
	fl_service_unref(service);
}

/* Each family its own, but where a tunnel carries both. */
Test(pool, families)
{
	struct fl_service *service = test_service(
		"s", "10.0.0.1:80/tcp [2001:db8::1]:80/tcp", "192.0.2.1:80 [2001:db8::2]:80");
	struct fl_pool pool = { 0 };
	char text[512];

	service->endpoints[0].id = 7;
	service->endpoints[1].id = 8;
	cr_assert_eq(fl_pool_make(service, FL_IPV6, &here, &pool), 0);
	cr_expect_eq(pool.rows[0].head.tier[0].count, 1);
	fl_pool_done(&pool);
	service->forward = FL_IPIP;
	service->cross_family = true;
	cr_assert_eq(fl_pool_make(service, FL_IPV6, &here, &pool), 0);
	cr_expect_str_eq(members_of(&pool, text), "7:1 8:2||");
	fl_pool_done(&pool);
	fl_service_unref(service);
}

Test(pool, heads_that_make_no_sense)
{
	struct fl_pool_head head = { .balance = FL_BALANCES };

	cr_expect_eq(fl_pool_rows(&head), 0);
	head = (struct fl_pool_head){ .tier[0].count = UINT32_MAX, .tier[1].count = 2 };
	cr_expect_eq(fl_pool_rows(&head), 0);
	head = (struct fl_pool_head){ .tier[2].turns = UINT32_MAX };
	cr_expect_eq(fl_pool_rows(&head), 0);
	head = (struct fl_pool_head){ 0 };
	cr_expect_eq(fl_pool_rows(&head), 1);
}
