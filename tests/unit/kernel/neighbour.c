/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <linux/neighbour.h>
#include <string.h>

#include "kernel/neighbour.h"

/*
 * A story is told in the kernel's words. Each step: the millisecond, what the
 * kernel's entry holds ('-' none, 'I' incomplete, 'R' reachable, 'S' stale, 'D' delay,
 * 'F' failed, 'P' permanent; small letters: with another MAC; '.' only time passes),
 * then what must be done ('c' the belief changed, 'p' probe, 'l' look; any order of
 * these) and the belief after it ('u'nknown, 'k'nown, 'w'aiting for confirmation, 'x' lost).
 */
struct step {
	unsigned ms;
	char entry;
	char actions[4];
	char belief;
};

static const struct story {
	char name[72];
	struct step steps[12];
} stories[] = {
	{ "found at once", { { 1, 'R', "c", 'k' }, { 900000, '.', "", 'k' } } },
	{ "asked for, then there",
		{ { 1, '-', "p", 'u' }, { 2, 'I', "", 'u' }, { 3, 'R', "c", 'k' } } },
	{ "never answers: growing intervals, at most 30 s",
		{ { 1000, '-', "p", 'u' }, { 4000, 'F', "c", 'x' }, { 4999, '.', "", 'x' },
			{ 5000, '.', "p", 'x' }, { 5001, 'I', "", 'x' }, { 8000, 'F', "", 'x' },
			{ 9999, '.', "", 'x' }, { 10000, '.', "p", 'x' }, { 13000, 'F', "", 'x' },
			{ 17000, '.', "p", 'x' } } },
	{ "lost, then back",
		{ { 1000, '-', "p", 'u' }, { 4000, 'F', "c", 'x' }, { 4500, 'R', "c", 'k' } } },
	{ "its failed entry is cleared away, the backoff goes on",
		{ { 1000, '-', "p", 'u' }, { 4000, 'F', "c", 'x' }, { 4100, '-', "", 'x' },
			{ 5000, '.', "p", 'x' }, { 10000, '.', "l", 'x' }, { 10000, '-', "", 'x' },
			{ 12000, '.', "p", 'x' } } },
	{ "an old failure of the stack is not taken for the answer",
		{ { 1000, 'F', "p", 'u' }, { 2000, 'R', "c", 'k' } } },
	{ "flushed: the old address holds, and is asked for a little later",
		{ { 1000, 'R', "c", 'k' }, { 2000, '-', "", 'w' }, { 2049, '.', "", 'w' },
			{ 2050, '.', "p", 'w' }, { 2051, 'I', "", 'w' }, { 2052, 'R', "", 'k' } } },
	{ "flushed with another MAC behind it",
		{ { 1000, 'R', "c", 'k' }, { 2000, '-', "", 'w' }, { 2050, '.', "p", 'w' },
			{ 2051, 'r', "c", 'k' } } },
	{ "flushed while it was stale and not yet due",
		{ { 1000, 'S', "cp", 'k' }, { 2000, 'S', "", 'k' }, { 2100, '-', "", 'w' },
			{ 2150, '.', "p", 'w' } } },
	{ "a flush is two words, and asked for once",
		{ { 1000, 'R', "c", 'k' }, { 2000, 'F', "", 'w' }, { 2001, '-', "", 'w' },
			{ 2050, '.', "p", 'w' }, { 2051, 'R', "", 'k' } } },
	{ "flushed again and again: asked for, but the flush comes to an end",
		{ { 1000, 'R', "c", 'k' }, { 2000, '-', "", 'w' }, { 2050, '.', "p", 'w' },
			{ 2051, '-', "", 'w' }, { 2100, '.', "", 'w' }, { 2101, '.', "p", 'w' } } },
	{ "gone for good",
		{ { 1000, 'R', "c", 'k' }, { 2000, 'F', "", 'w' }, { 2050, '.', "p", 'w' },
			{ 5000, 'F', "c", 'x' }, { 6000, '.', "p", 'x' } } },
	{ "the kernel's last word was lost",
		{ { 1000, 'R', "c", 'k' }, { 2000, '-', "", 'w' }, { 2050, '.', "p", 'w' },
			{ 7050, '.', "l", 'w' }, { 7050, 'F', "c", 'x' } } },
	{ "changed its MAC",
		{ { 1000, 'R', "c", 'k' }, { 1001, 'r', "c", 'k' }, { 1002, 'r', "", 'k' } } },
	{ "stale is probed, but not more often than every 20 s",
		{ { 1000, 'R', "c", 'k' }, { 2000, 'S', "p", 'k' }, { 2001, 'D', "", 'k' },
			{ 3000, 'S', "", 'k' }, { 21999, '.', "", 'k' }, { 22000, '.', "p", 'k' },
			{ 22000, '.', "", 'k' }, { 60000, 'S', "p", 'k' } } },
	{ "permanent is left alone", { { 1000, 'P', "c", 'k' }, { 900000, '.', "", 'k' } } },
};

static const uint8_t one[6] = { 2, 0, 0, 0, 0, 1 }, other[6] = { 2, 0, 0, 0, 0, 2 };

static uint16_t nud_of(char entry)
{
	switch (entry) {
	case 'I':
		return NUD_INCOMPLETE;
	case 'R':
	case 'r':
		return NUD_REACHABLE;
	case 'S':
		return NUD_STALE;
	case 'D':
		return NUD_DELAY;
	case 'F':
		return NUD_FAILED;
	case 'P':
		return NUD_PERMANENT;
	default:
		return 0;
	}
}

/** As routes.c does: a feed, then what is due by now. */
static unsigned play(struct fl_neighbour *n, const struct step *step)
{
	unsigned actions = 0;

	if (step->entry == 'r')
		actions = fl_neighbour_feed(n, NUD_REACHABLE, other, step->ms);
	else if (step->entry == '-' || step->entry == 'I' || step->entry == 'F')
		actions = fl_neighbour_feed(n, nud_of(step->entry), NULL, step->ms);
	else if (step->entry != '.')
		actions = fl_neighbour_feed(n, nud_of(step->entry), one, step->ms);
	return actions | fl_neighbour_tick(n, step->ms);
}

static unsigned wanted(const char *actions)
{
	return (strchr(actions, 'c') ? FL_NEIGHBOUR_CHANGED : 0) |
	       (strchr(actions, 'p') ? FL_NEIGHBOUR_PROBE : 0) |
	       (strchr(actions, 'l') ? FL_NEIGHBOUR_LOOK : 0);
}

Test(neighbour, stories)
{
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		struct fl_neighbour n = { 0 };

		for (const struct step *step = stories[i].steps; step->ms; step++) {
			unsigned actions = play(&n, step);

			/* A first look that finds a stale or known entry changes too. */
			cr_expect_eq(actions, wanted(step->actions),
				"%s, at %u: did %x, not \"%s\"", stories[i].name, step->ms, actions,
				step->actions);
			cr_expect_eq("ukwx"[n.belief], step -> belief, "%s, at %u: believes '%c'",
				stories[i].name, step->ms, "ukwx"[n.belief]);
			cr_expect_eq(
				fl_neighbour_is_usable(&n), strchr("kw", step->belief) != NULL);
			if (step->entry == 'r')
				cr_expect_arr_eq(n.mac, other, 6, "%s", stories[i].name);
		}
	}
}

Test(neighbour, the_backoff_ends_at_thirty_seconds)
{
	struct fl_neighbour n = { 0 };
	uint64_t now = 1000, last = 0, pause = 0;

	fl_neighbour_feed(&n, 0, NULL, now);
	for (int i = 0; i < 10; i++) {
		now += 3000; /* the kernel tries for that long */
		fl_neighbour_feed(&n, NUD_FAILED, NULL, now);
		pause = n.due_ms - now;
		cr_expect_geq(pause, last);
		last = pause;
		now = n.due_ms;
		cr_expect_eq(fl_neighbour_tick(&n, now), FL_NEIGHBOUR_PROBE);
	}
	cr_expect_eq(pause, 30000);
}
