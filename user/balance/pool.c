/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "balance/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "balance/turns.h"
#include "core/cleanup.h"

#define TIER_NODE 0
#define TIER_ZONE 1
#define TIER_REST 2

/* Envoy's default, in percent. */
#define OVERPROVISIONING 140

struct candidate {
	const struct fl_endpoint *endpoint;
	unsigned tier;
};

/* Endpoints that may be used, and those of them that are up, by tier. */
struct survey {
	struct candidate *members; /* sorted by tier and number */
	size_t count;
	size_t total[FL_TIERS], up[FL_TIERS];
};

static bool is_same_place(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

unsigned fl_pool_tier(enum fl_locality locality, const struct fl_place_of_node *here,
	const struct fl_endpoint *endpoint)
{
	if (locality == FL_LOCALITY_OFF)
		return TIER_NODE; /* all are equally near */
	if (locality == FL_LOCALITY_NODE && is_same_place(here->name, endpoint->node))
		return TIER_NODE;
	return is_same_place(here->zone, endpoint->zone) ? TIER_ZONE : TIER_REST;
}

/* By number within a tier: programs search in it. */
static int by_tier(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->tier != y->tier)
		return x->tier < y->tier ? -1 : 1;
	return (x->endpoint->id > y->endpoint->id) - (x->endpoint->id < y->endpoint->id);
}

static int survey(const struct fl_service *service, enum fl_family family,
	const struct fl_place_of_node *here, struct survey *ret)
{
	*ret = (struct survey){ .members = calloc(
					service->endpoint_count + 1, sizeof(*ret->members)) };
	if (!ret->members)
		return -ENOMEM;
	for (size_t i = 0; i < service->endpoint_count; i++) {
		const struct fl_endpoint *endpoint = &service->endpoints[i];
		unsigned tier = fl_pool_tier(service->locality, here, endpoint);

		if (!fl_service_uses(service, family, endpoint) || endpoint->weight == 0)
			continue;
		ret->total[tier]++;
		if (!fl_endpoint_takes_flows(endpoint))
			continue;
		ret->up[tier]++;
		ret->members[ret->count++] = (struct candidate){ endpoint, tier };
	}
	qsort(ret->members, ret->count, sizeof(*ret->members), by_tier);
	return 0;
}

/* --------------------------------------------------------------------- shares */

static unsigned health(const struct survey *s, unsigned tier)
{
	size_t percent = s->total[tier] ? OVERPROVISIONING * s->up[tier] / s->total[tier] : 0;

	return percent < 100 ? (unsigned)percent : 100;
}

/* Percent of all choices that each tier gets: 100 in all, if any is up. */
static void share_out(const struct survey *s, unsigned load[FL_TIERS])
{
	unsigned sum = health(s, 0) + health(s, 1) + health(s, 2), left = 100;

	for (unsigned tier = 0; tier < FL_TIERS; tier++) {
		unsigned share = health(s, tier);

		if (sum < 100 && sum > 0) /* too few in all: by what each can take */
			share = (share * 100 + sum / 2) / sum;
		load[tier] = share < left ? share : left;
		left -= load[tier];
	}
}

/* Of those that come by a tier, the percentage that stays. */
static void put_shares(const struct survey *s, struct fl_pool_head *head)
{
	unsigned load[FL_TIERS], left = 100;

	share_out(s, load);
	for (unsigned tier = 0; tier + 1 < FL_TIERS; tier++) {
		bool farther = s->up[TIER_REST] > 0 || (tier == TIER_NODE && s->up[TIER_ZONE] > 0);

		head->share[tier] = (__u8)(!farther || left == 0 ? 100 : load[tier] * 100 / left);
		left -= load[tier];
	}
}

/* ----------------------------------------------------------------------- rows */

static uint32_t rows_for(uint64_t count, unsigned per_row)
{
	return (uint32_t)((count + per_row - 1) / per_row);
}

static void sum_up(const struct fl_pool_head *head, uint64_t *ret_members, uint64_t *ret_turns)
{
	*ret_members = *ret_turns = 0;
	for (unsigned tier = 0; tier < FL_TIERS; tier++) {
		*ret_members += head->tier[tier].count;
		*ret_turns += head->tier[tier].turns;
	}
}

uint32_t fl_pool_rows(const struct fl_pool_head *head)
{
	uint64_t members, turns;

	sum_up(head, &members, &turns);
	if (head->balance >= FL_BALANCES || members > FL_ENDPOINTS_PER_SERVICE ||
		turns > FL_TIERS * FL_TURNS_MAX)
		return 0;
	return 1 + rows_for(members, FL_MEMBERS_PER_ROW) + rows_for(turns, FL_TURNS_PER_ROW);
}

static void put_settings(const struct fl_service *service, struct fl_pool_head *head)
{
	head->balance = (__u8)service->balance;
	head->key = (__u8)service->key;
	head->spill = service->spill_percent;
	head->max_ejected = service->max_ejected_percent;
	head->max_fails = service->max_fails;
	head->fail_timeout_s = service->fail_timeout_s;
	head->affinity_s = service->affinity_s;
}

/* `panic:` is a percentage of all endpoints, also of those that are down; the programs
 * know the members. */
static uint8_t panic_of_members(const struct fl_service *service, const struct survey *s)
{
	size_t total = s->total[0] + s->total[1] + s->total[2], percent;

	if (s->count == 0)
		return 0;
	percent = (service->panic_percent * total + s->count - 1) / s->count;
	return (uint8_t)(percent < 100 ? percent : 100);
}

static void put_members(const struct survey *s, struct fl_pool_head *head, union fl_pool_row *rows)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct candidate *c = &s->members[i];
		struct fl_pool_tier *tier = &head->tier[c->tier];

		if (tier->count == 0) {
			tier->first = (uint32_t)i;
			sum = 0;
		}
		tier->count++;
		sum += fl_endpoint_share(c->endpoint);
		rows[i / FL_MEMBERS_PER_ROW].member[i % FL_MEMBERS_PER_ROW] =
			(struct fl_member){ c->endpoint->id, sum };
	}
}

/* The schedules of all tiers, one behind the other. @return how many turns, -ENOMEM */
static int make_turns(const struct survey *s, struct fl_pool_head *head, uint16_t *turns)
{
	_cleanup_free_ uint16_t *weights = calloc(s->count + 1, sizeof(*weights));
	int sum = 0;

	if (!weights)
		return -ENOMEM;
	for (size_t i = 0; i < s->count; i++)
		weights[i] = fl_endpoint_share(s->members[i].endpoint);
	for (unsigned t = 0; t < FL_TIERS; t++) {
		struct fl_pool_tier *tier = &head->tier[t];
		int r = fl_turns_make(
			weights + tier->first, tier->count, FL_TURNS_MAX, turns + sum);

		if (r < 0)
			return r;
		tier->first_turn = (uint32_t)sum;
		tier->turns = (uint32_t)r;
		sum += r;
	}
	return sum;
}

static int put_turns(const struct survey *s, struct fl_pool *pool)
{
	_cleanup_free_ uint16_t *turns = calloc(FL_TIERS * FL_TURNS_MAX, sizeof(*turns));
	uint32_t first = pool->count, rows;
	union fl_pool_row *moved;
	int sum = turns ? make_turns(s, &pool->rows[0].head, turns) : -ENOMEM;

	if (sum < 0)
		return sum;
	rows = rows_for((uint64_t)sum, FL_TURNS_PER_ROW);
	moved = reallocarray(pool->rows, pool->count + rows, sizeof(*moved));
	if (!moved)
		return -ENOMEM;
	memset(&moved[first], 0, rows * sizeof(*moved));
	memcpy(&moved[first], turns, (size_t)sum * sizeof(*turns));
	pool->rows = moved;
	pool->count += rows;
	return 0;
}

static int arrange(const struct fl_service *service, const struct survey *s, struct fl_pool *pool)
{
	pool->count = 1 + rows_for(s->count, FL_MEMBERS_PER_ROW);
	pool->rows = calloc(pool->count, sizeof(*pool->rows));
	if (!pool->rows)
		return -ENOMEM;
	put_settings(service, &pool->rows[0].head);
	put_shares(s, &pool->rows[0].head);
	pool->rows[0].head.panic = panic_of_members(service, s);
	put_members(s, &pool->rows[0].head, &pool->rows[1]);
	return service->balance == FL_ROUND_ROBIN ? put_turns(s, pool) : 0;
}

int fl_pool_make(const struct fl_service *service, enum fl_family family,
	const struct fl_place_of_node *here, struct fl_pool *ret)
{
	struct fl_pool pool = { 0 };
	struct survey s;
	int r = survey(service, family, here, &s);

	if (r == 0)
		r = arrange(service, &s, &pool);
	free(s.members);
	if (r < 0) {
		fl_pool_done(&pool);
		return r;
	}
	*ret = pool;
	return 0;
}

void fl_pool_done(struct fl_pool *pool)
{
	free(pool->rows);
	*pool = (struct fl_pool){ 0 };
}
