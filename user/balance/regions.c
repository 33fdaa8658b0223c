/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "balance/regions.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#include "core/vec.h"

struct range {
	uint32_t base;
	uint32_t size;
	bool resting;
	uint32_t given_s; /**< when it began to rest */
};

struct fl_regions {
	uint32_t slots;
	uint32_t in_use;
	size_t dense; /**< so many ranges from the first on have no room between or before them */
	FL_VEC(struct range) ranges; /**< taken or resting; sorted by base, never overlapping */
};

struct fl_regions *fl_regions_new(uint32_t slots)
{
	struct fl_regions *regions = calloc(1, sizeof(*regions));

	if (regions)
		regions->slots = slots;
	return regions;
}

void fl_regions_free(struct fl_regions *regions)
{
	if (!regions)
		return;
	fl_vec_done(&regions->ranges);
	free(regions);
}

/** Index of the first range that begins at `base` or later. */
static size_t first_from(const struct fl_regions *regions, uint32_t base)
{
	size_t low = 0, high = regions->ranges.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (regions->ranges.items[middle].base < base)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int insert(struct fl_regions *regions, size_t at, uint32_t base, uint32_t size)
{
	struct range *items;

	if (!fl_vec_push(&regions->ranges))
		return -ENOMEM;
	items = regions->ranges.items;
	memmove(&items[at + 1], &items[at], (regions->ranges.count - 1 - at) * sizeof(*items));
	items[at] = (struct range){ .base = base, .size = size };
	regions->in_use += size;
	return 0;
}

/** Index of the first range with room before it. @param ret_base  where that begins */
static size_t first_gap(struct fl_regions *regions, uint32_t *ret_base)
{
	const struct range *items = regions->ranges.items;
	size_t at = regions->dense;
	uint32_t base = at ? items[at - 1].base + items[at - 1].size : 0;

	for (; at < regions->ranges.count && items[at].base == base; at++)
		base += items[at].size;
	regions->dense = at;
	*ret_base = base;
	return at;
}

int fl_regions_take(struct fl_regions *regions, uint32_t size, uint32_t *ret_base)
{
	uint32_t base;
	size_t at = first_gap(regions, &base);
	int r;

	assert(size > 0);

	for (; at < regions->ranges.count; at++) {
		const struct range *range = &regions->ranges.items[at];

		if (range->base - base >= size)
			break;
		base = range->base + range->size;
	}
	if (regions->slots - base < size)
		return -ENOSPC;
	r = insert(regions, at, base, size);
	if (r < 0)
		return r;
	*ret_base = base;
	return 0;
}

int fl_regions_adopt(struct fl_regions *regions, uint32_t base, uint32_t size)
{
	const struct range *items = regions->ranges.items;
	size_t at = first_from(regions, base);

	if (size == 0 || base > regions->slots || regions->slots - base < size)
		return -ERANGE;
	if (at > 0 && items[at - 1].base + items[at - 1].size > base)
		return -EEXIST;
	if (at < regions->ranges.count && items[at].base - base < size)
		return -EEXIST;
	return insert(regions, at, base, size);
}

void fl_regions_give(struct fl_regions *regions, uint32_t base, uint32_t now_s)
{
	size_t at = first_from(regions, base);
	struct range *range;

	assert(at < regions->ranges.count);
	range = &regions->ranges.items[at];
	assert(range->base == base && !range->resting);
	range->resting = true;
	range->given_s = now_s;
}

void fl_regions_rest(struct fl_regions *regions, uint32_t now_s)
{
	struct range *items = regions->ranges.items;
	size_t kept = 0;

	for (size_t i = 0; i < regions->ranges.count; i++) {
		if (items[i].resting && now_s - items[i].given_s >= 2) {
			regions->in_use -= items[i].size;
			if (kept < regions->dense)
				regions->dense = kept;
		} else {
			items[kept++] = items[i];
		}
	}
	regions->ranges.count = kept;
}

uint32_t fl_regions_in_use(const struct fl_regions *regions)
{
	return regions->in_use;
}
