/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "unit/slots/model_search.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A breadth-first walk: the states found are their own queue, and each
 * remembers from which it was reached. An open-addressed table of states finds
 * those that are known.
 */

static uint64_t hash(const struct model_state *s)
{
	uint64_t words[2], h;

	memcpy(words, s, sizeof(words));
	h = words[0] * 0x9e3779b97f4a7c15ull;
	h = (h ^ h >> 32 ^ words[1]) * 0xff51afd7ed558ccdull;
	return h ^ h >> 32;
}

static bool is_same(const struct model_state *a, const struct model_state *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/** The place of a state in the table: its own, or the empty one where it belongs. */
static struct model_state *place(
	struct model_search *search, const struct model_state *s, uint64_t hash)
{
	size_t i = hash & (search->room - 1);

	while (search->table[i].exists && !is_same(&search->table[i], s))
		i = (i + 1) & (search->room - 1);
	return &search->table[i];
}

static int grow(struct model_search *search)
{
	size_t room = search->room ? search->room * 2 : 1 << 14;
	struct model_state *table = calloc(room, sizeof(*table));

	if (!table)
		return -ENOMEM;
	free(search->table);
	search->table = table;
	search->room = room;
	for (size_t i = 0; i < search->found.count; i++) {
		const struct model_state *s = &search->found.items[i].state;

		*place(search, s, hash(s)) = *s;
	}
	return 0;
}

static int add(struct model_search *search, const struct reached *reached)
{
	struct model_state *where = place(search, &reached->state, reached->hash);
	struct found *found;

	if (where->exists)
		return 0;
	found = fl_vec_push(&search->found);
	if (!found)
		return -ENOMEM;
	found->state = reached->state;
	found->parent = search->current;
	*where = reached->state;
	return search->found.count * 2 > search->room ? grow(search) : 0;
}

/* Looking a state up costs a miss of the cache. So all that was reached from one
 * state waits here, and its memory is called for before it is looked at. */

static void reach(struct model_search *search, const struct model_state *next)
{
	struct reached *reached = &search->reached[search->reached_count++];

	assert(search->reached_count <= REACHED_MAX);
	reached->state = model_alike(search->world, next);
	reached->hash = hash(&reached->state);
	__builtin_prefetch(&search->table[reached->hash & (search->room - 1)]);
}

static int add_reached(struct model_search *search)
{
	int r = 0;

	for (size_t i = 0; i < search->reached_count && r == 0; i++)
		r = add(search, &search->reached[i]);
	search->reached_count = 0;
	return r;
}

void model_emit(struct model_search *search, const struct model_state *next,
	struct model_event event, const char *violation)
{
	if (!violation && !next->moving && (next->pins.endpoint || next->opening.endpoint))
		violation = PIN_AT_REST;
	if (search->story)
		model_story_tell(search, next, event, violation);
	else if (violation && !search->violation)
		search->violation = violation;
	else if (!search->violation)
		reach(search, next);
}

/** The only state that nothing led to. */
static int begin(struct model_search *search)
{
	struct model_state first;

	memset(&first, 0, sizeof(first));
	first.exists = 1;
	first.state1 = first.state2 = first.state3 = FL_UP;
	first.now = first.before = 1;
	first.rest = FL_GRACE_S;
	if (grow(search) < 0)
		return -ENOMEM;
	reach(search, &first);
	return add_reached(search);
}

int model_search(enum model_world world, size_t limit, struct model_result *ret)
{
	struct model_search search = { .world = world };
	int r = begin(&search);

	while (r == 0 && search.current < search.found.count && search.found.count < limit) {
		struct model_state s = search.found.items[search.current].state;

		model_step(&search, world, &s);
		model_packets(&search, world, &s);
		if (search.violation)
			break;
		r = add_reached(&search);
		search.current++;
	}
	*ret = (struct model_result){ .states = search.found.count,
		.closed = search.current == search.found.count,
		.violation = search.violation };
	if (search.violation)
		model_story(&search, ret);
	fl_vec_done(&search.found);
	free(search.table);
	return r;
}
