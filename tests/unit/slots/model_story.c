/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "unit/slots/model_search.h"

/*
 * States are kept, events are not: how a violation came about is told by taking
 * the same steps again, and naming the events that lead from one to the next. The
 * states of the walk have their endpoints renumbered; the story keeps the names
 * that it began with.
 */

static void print_event(FILE *out, struct model_event event)
{
	const char *number = strstr(event.text, "%d");

	fputs("\n    ", out);
	if (number)
		fprintf(out, "%.*s%d%s", (int)(number - event.text), event.text, event.number,
			number + 2);
	else
		fputs(event.text, out);
}

void model_story_tell(struct model_search *search, const struct model_state *next,
	struct model_event event, const char *violation)
{
	struct model_state c = model_alike(search->world, next);

	if (search->is_told ||
		(search->wanted ? memcmp(&c, search->wanted, sizeof(c)) != 0 : !violation))
		return;
	search->is_told = true;
	search->here = *next;
	print_event(search->story, event);
}

void model_story(struct model_search *search, struct model_result *ret)
{
	FL_VEC(uint32_t) path = { 0 };
	size_t size;

	search->story = open_memstream(&ret->story, &size);
	if (!search->story)
		return;
	for (uint32_t i = search->current; i != 0; i = search->found.items[i].parent) {
		uint32_t *step = fl_vec_push(&path);

		if (step)
			*step = i;
	}
	search->here = search->found.items[0].state;
	for (size_t i = path.count + 1; i > 0; i--) {
		struct model_state s = search->here;

		search->wanted = i > 1 ? &search->found.items[path.items[i - 2]].state : NULL;
		search->is_told = false;
		model_step(search, search->world, &s);
		model_packets(search, search->world, &s);
	}
	ret->steps = (unsigned)path.count + 1;
	fl_vec_done(&path);
	fclose(search->story);
	search->story = NULL;
}
