/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/candidates.h"

#include <errno.h>
#include <stdlib.h>

#include "balance/pool.h"

const char *fl_candidate_state_name(enum fl_candidate_state state)
{
	static const char *const names[] = {
		[FL_CANDIDATE_GOOD] = "good",
		[FL_CANDIDATE_TRIAL] = "trial",
		[FL_CANDIDATE_EJECTED] = "ejected",
		[FL_CANDIDATE_DOWN] = "down",
		[FL_CANDIDATE_UNUSABLE] = "unusable",
	};

	return names[state];
}

/* ------------------------------------------------------------------------ read */

struct reading {
	const struct fl_maps *maps;
	const struct fl_node_maps *node;
	const union fl_pool_row *rows; /* the pool's first */
	uint32_t service;
	bool ipv4_only, tcp;
	uint64_t now_ns;
};

static const struct fl_member *member_of(const struct reading *reading, uint32_t number)
{
	return &reading->rows[1 + number / FL_MEMBERS_PER_ROW].member[number % FL_MEMBERS_PER_ROW];
}

static enum fl_candidate_state state_of(
	const struct reading *reading, const struct fl_endpoint_row *row, uint64_t ejected)
{
	if (row->state != FL_UP || row->service != reading->service)
		return FL_CANDIDATE_DOWN;
	if (reading->ipv4_only && row->family != FL_IPV4)
		return FL_CANDIDATE_UNUSABLE;
	if (ejected > reading->now_ns)
		return FL_CANDIDATE_EJECTED;
	return ejected && reading->tcp ? FL_CANDIDATE_TRIAL : FL_CANDIDATE_GOOD;
}

/* @return whether there is such an endpoint */
static bool read_one(const struct reading *reading, const struct fl_member *member,
	uint32_t weight_before, uint8_t tier, struct fl_candidate *ret)
{
	const struct fl_live_row *live;
	uint64_t ejected;

	if (member->endpoint == 0 || member->endpoint > reading->maps->limits.endpoints)
		return false;
	live = &reading->node->live[member->endpoint];
	ejected = __atomic_load_n(&live->ejected, __ATOMIC_RELAXED);
	*ret = (struct fl_candidate){
		.endpoint = member->endpoint,
		.weight = (uint16_t)(member->upto - weight_before),
		.tier = tier,
		.state = state_of(reading, &reading->maps->endpoints[member->endpoint], ejected),
		.connections = __atomic_load_n(&live->open, __ATOMIC_RELAXED),
		.ejected_ns = ejected > reading->now_ns ? ejected - reading->now_ns : 0,
	};
	return true;
}

static void read_tier(const struct reading *reading, uint8_t tier, struct fl_candidates *ret)
{
	const struct fl_pool_tier *from = &ret->head.tier[tier];
	uint32_t before = 0;

	for (uint32_t i = 0; i < from->count; i++) {
		const struct fl_member *member = member_of(reading, from->first + i);

		if (read_one(reading, member, before, tier, &ret->items[ret->count]))
			ret->count++;
		before = member->upto;
	}
}

/* ---------------------------------------------------------------------- shares */

static uint64_t good_weight(const struct fl_candidates *candidates, uint8_t tier)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < candidates->count; i++)
		if (candidates->items[i].tier == tier &&
			candidates->items[i].state == FL_CANDIDATE_GOOD)
			sum += candidates->items[i].weight;
	return sum;
}

/* Which part of all choices each tier gets. Where a tier has nobody, it is the next one's
 * turn; what is left after the last goes to the nearest that has somebody. */
static void share_tiers(const struct fl_candidates *candidates, double ret[FL_TIERS])
{
	double left = 1;

	for (uint8_t tier = 0; tier < FL_TIERS; tier++) {
		double stays = tier < 2 ? candidates->head.share[tier] / 100.0 : 1;

		ret[tier] = good_weight(candidates, tier) ? left * stays : 0;
		left -= ret[tier];
	}
	for (uint8_t tier = 0; tier < FL_TIERS; tier++)
		if (good_weight(candidates, tier)) {
			ret[tier] += left;
			return;
		}
}

/* With a key it is the share of keys. */
static bool follows_weights(const struct fl_candidates *candidates)
{
	uint8_t balance = candidates->head.balance;

	return balance != FL_LEAST_CONNECTIONS && balance != FL_P2C && !candidates->head.spill;
}

static void share_out(struct fl_candidates *candidates)
{
	double tiers[FL_TIERS];

	share_tiers(candidates, tiers);
	for (size_t i = 0; i < candidates->count; i++) {
		struct fl_candidate *item = &candidates->items[i];

		if (item->state != FL_CANDIDATE_GOOD)
			item->share = 0;
		else if (!follows_weights(candidates))
			item->share = -1;
		else
			item->share = tiers[item->tier] * item->weight /
				      (double)good_weight(candidates, item->tier);
	}
}

/* --------------------------------------------------------------------- public */

/* A pool that the agent replaces rests before its rows are written again, and the head says
 * how long it is: a reader that is not stopped for that long sees one pool. */
static int find_pool(const struct fl_node_maps *node, uint32_t service, enum fl_family family,
	const union fl_pool_row **ret)
{
	uint32_t rows = node->shape[FL_NODE_MAP_pools].max_entries, length;
	uint64_t at;

	if (service >= node->shape[FL_NODE_MAP_node_services].max_entries)
		return -ENOENT;
	at = __atomic_load_n(&node->services[service].pool[family], __ATOMIC_ACQUIRE);
	if (!at)
		return -ENOENT;
	length = at < rows ? fl_pool_rows(&node->pools[at].head) : 0;
	if (!length || length > rows - at || node->pools[at].head.key >= FL_KEYS)
		return -EPROTO;
	*ret = &node->pools[at];
	return 0;
}

int fl_candidates_read(const struct fl_maps *maps, const struct fl_node_maps *node,
	uint32_t service, enum fl_family family, bool ipv4_only, bool tcp, uint64_t now_ns,
	struct fl_candidates *ret)
{
	struct reading reading = { .maps = maps,
		.node = node,
		.service = service,
		.ipv4_only = ipv4_only,
		.tcp = tcp,
		.now_ns = now_ns };
	struct fl_candidates read = { 0 };
	size_t members = 0;
	int r = find_pool(node, service, family, &reading.rows);

	if (r < 0)
		return r;
	read.head = reading.rows->head;
	for (int tier = 0; tier < FL_TIERS; tier++)
		members += read.head.tier[tier].count;
	read.items = calloc(members + 1, sizeof(*read.items));
	if (!read.items)
		return -ENOMEM;
	for (uint8_t tier = 0; tier < FL_TIERS; tier++)
		read_tier(&reading, tier, &read);
	share_out(&read);
	*ret = read;
	return 0;
}

void fl_candidates_done(struct fl_candidates *candidates)
{
	free(candidates->items);
	*candidates = (struct fl_candidates){ 0 };
}
