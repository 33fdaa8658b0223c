/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/hops.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/hash.h"

struct hop {
	struct fl_nexthop_row row; /**< key of the hash: what the map's row holds */
	uint32_t references;
	bool known;        /**< was in use once: found by the queue, not by `fresh` */
	uint32_t next;     /**< in the queue of resting rows */
	uint64_t freed_ms; /**< when it went into that queue */
	UT_hash_handle hh;
};

struct fl_hops {
	struct fl_nexthop_row *rows;
	uint32_t count;
	uint32_t fresh; /**< no index below it was never in use */
	uint32_t in_use;
	uint32_t resting_head, resting_tail; /**< oldest and youngest; 0 = empty */
	struct hop *hops;                    /**< by index */
	struct hop *by_row;                  /**< those with references */
};

struct fl_hops *fl_hops_new(struct fl_nexthop_row *rows, uint32_t count)
{
	struct fl_hops *hops = calloc(1, sizeof(*hops));

	if (!hops)
		return NULL;
	hops->rows = rows;
	hops->count = count;
	hops->fresh = 1;
	hops->hops = calloc(count, sizeof(*hops->hops));
	if (!hops->hops) {
		free(hops);
		return NULL;
	}
	return hops;
}

void fl_hops_free(struct fl_hops *hops)
{
	if (!hops)
		return;
	HASH_CLEAR(hh, hops->by_row);
	free(hops->hops);
	free(hops);
}

static struct hop *find(const struct fl_hops *hops, const struct fl_nexthop_row *row)
{
	struct hop *hop;

	HASH_FIND(hh, hops->by_row, row, sizeof(*row), hop);
	return hop;
}

/** The first reference to a row. Without memory for the hash it is only not shared. */
static void begin(struct fl_hops *hops, struct hop *hop)
{
	hop->references = 1;
	hop->known = true;
	hops->in_use++;
	hop->hh.tbl = NULL;
	if (!find(hops, &hop->row))
		HASH_ADD(hh, hops->by_row, row, sizeof(hop->row), hop);
}

int fl_hops_adopt(struct fl_hops *hops, uint32_t index)
{
	struct hop *hop;

	if (index == 0 || index >= hops->count)
		return -ERANGE;
	hop = &hops->hops[index];
	if (hop->references) {
		hop->references++;
		return 0;
	}
	hop->row = hops->rows[index];
	begin(hops, hop);
	return 0;
}

static uint32_t take_rested(struct fl_hops *hops, uint64_t now_ms)
{
	uint32_t index = hops->resting_head;

	if (!index || now_ms - hops->hops[index].freed_ms < FL_HOPS_REST_MS)
		return 0;
	hops->resting_head = hops->hops[index].next;
	if (!hops->resting_head)
		hops->resting_tail = 0;
	return index;
}

static uint32_t take_fresh(struct fl_hops *hops)
{
	while (hops->fresh < hops->count && hops->hops[hops->fresh].known)
		hops->fresh++;
	return hops->fresh < hops->count ? hops->fresh++ : 0;
}

uint32_t fl_hops_bound(const struct fl_hops *hops)
{
	uint32_t fresh = hops->fresh;

	while (fresh < hops->count && hops->hops[fresh].known)
		fresh++;
	return fresh < hops->count ? fresh + 1 : hops->count;
}

int fl_hops_take(struct fl_hops *hops, const struct fl_nexthop_row *row, uint64_t now_ms,
	uint32_t *ret_index)
{
	struct hop *hop = find(hops, row);
	uint32_t index;

	if (hop) {
		hop->references++;
		*ret_index = hop - hops->hops;
		return 0;
	}
	index = take_rested(hops, now_ms);
	if (!index)
		index = take_fresh(hops);
	if (!index)
		return -ENOSPC;

	hop = &hops->hops[index];
	hop->row = *row;
	hops->rows[index] = *row;
	begin(hops, hop);
	*ret_index = index;
	return 0;
}

void fl_hops_release(struct fl_hops *hops, uint32_t index, uint64_t now_ms)
{
	struct hop *hop = &hops->hops[index];

	if (!index)
		return;
	assert(index < hops->count && hop->references);
	if (--hop->references)
		return;
	hops->in_use--;
	if (hop->hh.tbl)
		HASH_DELETE(hh, hops->by_row, hop);

	hop->next = 0;
	hop->freed_ms = now_ms;
	if (hops->resting_tail)
		hops->hops[hops->resting_tail].next = index;
	else
		hops->resting_head = index;
	hops->resting_tail = index;
}

uint32_t fl_hops_in_use(const struct fl_hops *hops)
{
	return hops->in_use;
}
