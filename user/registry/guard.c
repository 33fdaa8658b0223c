/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

/* A part of a list. */
struct part {
	struct fl_service **items;
	size_t count;
};

static size_t count_endpoints(const struct part *part)
{
	size_t count = 0;

	for (size_t i = 0; i < part->count; i++)
		count += part->items[i]->endpoint_count;
	return count;
}

/* Services that are the same objects, at both ends of the lists: nothing vanishes
 * there, and after one change that is nearly all. */
static void trim(struct part *a, struct part *b)
{
	while (a->count && b->count && a->items[0] == b->items[0]) {
		a->items++, a->count--;
		b->items++, b->count--;
	}
	while (a->count && b->count && a->items[a->count - 1] == b->items[b->count - 1])
		a->count--, b->count--;
}

static int by_name(const void *a, const void *b)
{
	const struct fl_service *const *x = a;
	const struct fl_service *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* A copy in the order of names. @return to be freed, NULL when out of memory */
static struct fl_service **sorted(const struct part *part)
{
	struct fl_service **copy = calloc(part->count + 1, sizeof(struct fl_service *));

	if (!copy || !part->count)
		return copy;
	memcpy(copy, part->items, part->count * sizeof(*copy));
	qsort(copy, part->count, sizeof(*copy), by_name);
	return copy;
}

static int compare_endpoints(const struct fl_endpoint *a, const struct fl_endpoint *b)
{
	int order = fl_ip_compare(&a->addr, &b->addr);

	return order ? order : a->port - b->port;
}

/* Both are sorted, by fl_service_finish. */
static size_t vanished_endpoints(const struct fl_service *before, const struct fl_service *after)
{
	size_t vanished = 0, j = 0;

	if (before == after)
		return 0;
	for (size_t i = 0; i < before->endpoint_count; i++) {
		const struct fl_endpoint *endpoint = &before->endpoints[i];

		while (j < after->endpoint_count &&
			compare_endpoints(&after->endpoints[j], endpoint) < 0)
			j++;
		if (j == after->endpoint_count ||
			compare_endpoints(&after->endpoints[j], endpoint) != 0)
			vanished++;
	}
	return vanished;
}

/* Walk two sorted lists side by side. */
static void walk(struct fl_service **before, size_t before_count, struct fl_service **after,
	size_t after_count, struct fl_removal *removal)
{
	size_t j = 0;

	for (size_t i = 0; i < before_count; i++) {
		int order = 1;

		while (j < after_count && (order = strcmp(after[j]->name, before[i]->name)) < 0)
			j++;
		if (j < after_count && order == 0) {
			removal->endpoints += vanished_endpoints(before[i], after[j]);
			continue;
		}
		removal->services++;
		removal->endpoints += before[i]->endpoint_count;
	}
}

int fl_removal_count(const struct fl_guard *guard, const fl_service_vec *before,
	const fl_service_vec *after, struct fl_removal *ret)
{
	struct part a = { before->items, before->count }, b = { after->items, after->count };
	struct fl_removal removal = { .before = guard->in_force };
	_cleanup_free_ struct fl_service **sorted_a = NULL, **sorted_b = NULL;

	trim(&a, &b);
	removal.after = guard->in_force - count_endpoints(&a) + count_endpoints(&b);
	sorted_a = sorted(&a);
	sorted_b = sorted(&b);
	if (!sorted_a || !sorted_b)
		return -ENOMEM;
	walk(sorted_a, a.count, sorted_b, b.count, &removal);
	*ret = removal;
	return 0;
}

/* @return false when out of memory */
static bool add(fl_service_vec *list, struct fl_service *service)
{
	struct fl_service **added = fl_vec_push(list);

	if (added)
		*added = fl_service_ref(service);
	return added;
}

/* @param sorted_then  by name. @return the service of that name, NULL = none */
static struct fl_service *find(
	struct fl_service **sorted_then, size_t count, struct fl_service *service)
{
	struct fl_service **found =
		bsearch(&service, sorted_then, count, sizeof(*sorted_then), by_name);

	return found ? *found : NULL;
}

int fl_guard_restore(const fl_service_vec *then, const fl_service_vec *now, fl_service_vec *ret)
{
	const struct part a = { then->items, then->count }, b = { now->items, now->count };
	_cleanup_free_ struct fl_service **sorted_a = sorted(&a), **sorted_b = sorted(&b);
	fl_service_vec list = { 0 };
	bool room = sorted_a && sorted_b;

	for (size_t i = 0; room && i < now->count; i++) {
		struct fl_service *as_then = find(sorted_a, a.count, now->items[i]);

		room = add(&list, as_then && vanished_endpoints(as_then, now->items[i])
					  ? as_then
					  : now->items[i]);
	}
	for (size_t i = 0; room && i < then->count; i++)
		if (!find(sorted_b, b.count, then->items[i]))
			room = add(&list, then->items[i]);
	if (!room) {
		fl_services_done(&list);
		return -ENOMEM;
	}
	*ret = list;
	return 0;
}

static bool is_too_much(size_t gone, size_t of, unsigned max_percent)
{
	return of >= FL_GUARD_ENDPOINTS_MIN && gone * 100 > of * (size_t)max_percent;
}

static bool is_open(const struct fl_guard *guard, uint64_t now_ms)
{
	return now_ms - guard->most_ms < FL_GUARD_WINDOW_MS;
}

bool fl_guard_refuses(const struct fl_guard *guard, const struct fl_removal *removal,
	unsigned max_percent, uint64_t now_ms, size_t *ret_gone, size_t *ret_of)
{
	if (max_percent >= 100 || !removal->endpoints)
		return false;
	*ret_gone = removal->endpoints;
	*ret_of = removal->before;
	if (is_too_much(*ret_gone, *ret_of, max_percent))
		return true;
	if (!is_open(guard, now_ms) || guard->most <= removal->after)
		return false;
	*ret_gone = guard->most - removal->after;
	*ret_of = guard->most;
	return is_too_much(*ret_gone, *ret_of, max_percent);
}

/* The window begins anew with the first change after it ended. */
void fl_guard_passed(struct fl_guard *guard, const struct fl_removal *removal, uint64_t now_ms)
{
	if (!is_open(guard, now_ms))
		*guard = (struct fl_guard){ .most = removal->before, .most_ms = now_ms };
	if (removal->after >= guard->most)
		*guard = (struct fl_guard){ .most = removal->after, .most_ms = now_ms };
	guard->in_force = removal->after;
}

void fl_guard_accepted(struct fl_guard *guard, const struct fl_removal *removal, uint64_t now_ms)
{
	*guard = (struct fl_guard){ removal->after, removal->after, now_ms };
}

void fl_guard_begin(struct fl_guard *guard, const fl_service_vec *services)
{
	const struct part all = { services->items, services->count };

	*guard = (struct fl_guard){ .in_force = count_endpoints(&all) };
}
