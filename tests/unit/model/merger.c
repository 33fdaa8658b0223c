/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A merger with a memory says what one without it would say, whatever comes, goes,
 * changes place or wants what another has.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/merger.h"

#define SOURCES  3
#define SERVICES 40 /* of each source, at most */

struct source {
	struct fl_service *services[SERVICES];
	size_t count;
};

struct world {
	struct source sources[SOURCES];
	struct fl_merger *merger;
	unsigned random;
};

static unsigned draw(struct world *w, unsigned below)
{
	w->random = w->random * 1103515245 + 12345;
	return (w->random >> 8) % below;
}

/* Names and frontends out of few, if many are to quarrel. */
static struct fl_service *make(struct world *w, unsigned names)
{
	char name[32];
	struct fl_service *service;
	unsigned frontends = 1 + draw(w, 2);

	snprintf(name, sizeof(name), "s%u", draw(w, names));
	service = fl_service_new(name);
	service->file = strdup("x.yaml");
	service->line = draw(w, 1000) + 1;
	for (unsigned i = 0; i < frontends; i++) {
		struct fl_frontend *frontend = fl_service_add_frontend(service);

		/* Never one twice in a service. */
		frontend->addr.word[3] = draw(w, names) * 2 + i;
		frontend->port = 80;
		frontend->proto = 6;
	}
	for (unsigned i = draw(w, 4); i > 0; i--)
		fl_service_add_endpoint(service);
	return service;
}

static void put_in(struct source *source, size_t at, struct fl_service *service)
{
	memmove(&source->services[at + 1], &source->services[at],
		(source->count - at) * sizeof(service));
	source->services[at] = service;
	source->count++;
}

static struct fl_service *take_out(struct source *source, size_t at)
{
	struct fl_service *service = source->services[at];

	source->count--;
	memmove(&source->services[at], &source->services[at + 1],
		(source->count - at) * sizeof(service));
	return service;
}

static void change(struct world *w, unsigned names)
{
	struct source *source = &w->sources[draw(w, SOURCES)];
	size_t at = source->count ? draw(w, source->count) : 0;

	switch (draw(w, 5)) {
	case 0:
	case 1:
		if (source->count < SERVICES)
			put_in(source, at, make(w, names));
		break;
	case 2:
		if (source->count)
			fl_service_unref(take_out(source, at));
		break;
	case 3:
		if (source->count) {
			fl_service_unref(source->services[at]);
			source->services[at] = make(w, names);
		}
		break;
	case 4:
		if (source->count) {
			struct fl_service *moved = take_out(source, at);

			put_in(source, source->count ? draw(w, source->count) : 0, moved);
		}
		break;
	}
}

static void compare(const struct fl_snapshot *a, const struct fl_problems *said,
	const struct fl_snapshot *b, const struct fl_problems *expected, const char *what)
{
	cr_assert_eq(a->service_count, b->service_count, "%s", what);
	cr_assert_eq(a->endpoint_count, b->endpoint_count, "%s", what);
	for (size_t i = 0; i < a->service_count; i++)
		cr_assert_eq(a->services[i], b->services[i], "%s: service %zu", what, i);
	cr_assert_eq(said->count, expected->count, "%s", what);
	for (size_t i = 0; i < said->count; i++)
		cr_assert_str_eq(said->items[i].message, expected->items[i].message, "%s", what);
}

static void merge_both(struct world *w, const struct fl_limits *limits, const char *what)
{
	struct fl_problems said = { 0 }, expected = { 0 };
	struct fl_snapshot *snapshot = NULL, *fresh = NULL;
	struct fl_declaration declarations[SOURCES];

	for (size_t i = 0; i < SOURCES; i++)
		declarations[i] = (struct fl_declaration){ "test", w->sources[i].services,
			w->sources[i].count };
	cr_assert_eq(
		fl_merger_merge(w->merger, declarations, SOURCES, limits, 7, &said, &snapshot), 0);
	cr_assert_eq(fl_snapshot_merge(declarations, SOURCES, limits, 7, &expected, &fresh), 0);
	compare(snapshot, &said, fresh, &expected, what);
	fl_snapshot_unref(snapshot);
	fl_snapshot_unref(fresh);
	fl_problems_done(&said);
	fl_problems_done(&expected);
}

static void done(struct world *w)
{
	for (size_t i = 0; i < SOURCES; i++)
		while (w->sources[i].count)
			fl_service_unref(take_out(&w->sources[i], 0));
	fl_merger_free(w->merger);
}

Test(model_merger, remembers_nothing_wrong)
{
	static const struct {
		const char *name;
		unsigned names; /* the fewer, the more quarrels */
		struct fl_limits limits;
		unsigned changes; /* between two merges, at most */
	} rows[] = {
		{ "hardly a quarrel", 10000, { 4096, 65536, 1, 1 }, 2 },
		{ "some quarrels", 300, { 4096, 65536, 1, 1 }, 2 },
		{ "nothing but quarrels", 12, { 4096, 65536, 1, 1 }, 3 },
		{ "few services allowed", 1000, { 25, 65536, 1, 1 }, 2 },
		{ "few endpoints allowed", 1000, { 4096, 40, 1, 1 }, 2 },
		{ "many changes at once", 1000, { 4096, 65536, 1, 1 }, 60 },
	};

	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct world w = { .merger = fl_merger_new(), .random = (unsigned)row };

		for (int i = 0; i < 1500; i++) {
			for (unsigned n = 1 + draw(&w, rows[row].changes); n > 0; n--)
				change(&w, rows[row].names);
			merge_both(&w, &rows[row].limits, rows[row].name);
		}
		done(&w);
	}
}

Test(model_merger, the_same_again_is_the_same_snapshot)
{
	struct world w = { .merger = fl_merger_new() };
	struct fl_limits limits = { 10, 100, 1, 1 };
	struct fl_problems problems = { 0 };
	struct fl_snapshot *first = NULL, *second = NULL, *third = NULL;
	struct fl_declaration declaration = { "test", w.sources[0].services, 1 };

	w.sources[0].services[0] = make(&w, 10);
	w.sources[0].count = 1;
	cr_assert_eq(fl_merger_merge(w.merger, &declaration, 1, &limits, 1, &problems, &first), 0);
	cr_assert_eq(fl_merger_merge(w.merger, &declaration, 1, &limits, 2, &problems, &second), 0);
	cr_expect_eq(first, second);
	limits.services = 0;
	cr_assert_eq(fl_merger_merge(w.merger, &declaration, 1, &limits, 3, &problems, &third), 0);
	cr_expect_eq(third->service_count, 0, "other limits are another question");
	cr_expect_eq(third->generation, 3);
	fl_snapshot_unref(first);
	fl_snapshot_unref(second);
	fl_snapshot_unref(third);
	fl_problems_done(&problems);
	done(&w);
}

/* A service is looked into only when it is another object. */
Test(model_merger, walks_over_what_changed)
{
	struct fl_service *old_services[] = { fl_service_new("a"), fl_service_new("b"),
		fl_service_new("c"), fl_service_new("e") };
	struct fl_service *new_services[] = { old_services[0], fl_service_new("b"),
		fl_service_new("d"), old_services[3] };
	struct fl_snapshot old = { .services = old_services, .service_count = 4 };
	struct fl_snapshot new = { .services = new_services, .service_count = 4 };
	struct fl_snapshot_change at = { 0 };

	cr_assert(fl_snapshot_next_change(&old, &new, &at));
	cr_expect(at.old == old_services[1] && at.new == new_services[1]);
	cr_assert(fl_snapshot_next_change(&old, &new, &at));
	cr_expect(at.old == old_services[2] && !at.new);
	cr_assert(fl_snapshot_next_change(&old, &new, &at));
	cr_expect(!at.old && at.new == new_services[2]);
	cr_expect_not(fl_snapshot_next_change(&old, &new, &at));

	at = (struct fl_snapshot_change){ 0 };
	for (int i = 0; i < 4; i++) {
		cr_assert(fl_snapshot_next_change(NULL, &new, &at));
		cr_expect(!at.old && at.new == new_services[i]);
	}
	cr_expect_not(fl_snapshot_next_change(NULL, &new, &at));
	for (int i = 0; i < 4; i++)
		fl_service_unref(old_services[i]);
	fl_service_unref(new_services[1]);
	fl_service_unref(new_services[2]);
}
