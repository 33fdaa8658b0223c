/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/declared.h"
#include "registry/guard.h"

/* "web:1-8 api:3": services with endpoints 192.0.2.N:80 each, in this order; "web:" has none. */
static void add(fl_service_vec *list, const char *word)
{
	char name[16], endpoints[2048] = "", frontend[40];
	int first = 1, last = 0, length = 0;

	cr_assert_geq(sscanf(word, "%15[a-z]:%d-%d", name, &first, &last), 1, "%s", word);
	if (!last && strchr(word, ':')[1])
		last = first;
	snprintf(frontend, sizeof(frontend), "10.0.0.%u:80/tcp", (unsigned char)name[0]);
	for (int i = first; i <= last; i++)
		length += snprintf(endpoints + length, sizeof(endpoints) - (size_t)length,
			"192.0.2.%d:80 ", i);
	*(struct fl_service **)fl_vec_push(list) = test_service(name, frontend, endpoints);
}

static fl_service_vec list_of(const char *text)
{
	fl_service_vec list = { 0 };
	char *copy = strdup(text), *rest = copy;

	for (char *word; (word = strsep(&rest, " "));)
		if (*word)
			add(&list, word);
	free(copy);
	return list;
}

/* ----------------------------------------------------------------- counting */

struct count_row {
	char name[40];
	char before[64], after[64];
	struct fl_removal expect;
};

ParameterizedTestParameters(guard, count)
{
	static struct count_row rows[] = {
		{ "nothing at all", "", "", { 0, 0, 0, 0 } },
		{ "the first answer", "", "web:1-8", { 0, 0, 0, 8 } },
		{ "the same", "web:1-8", "web:1-8", { 0, 0, 8, 8 } },
		{ "all of it", "web:1-8 api:1-4", "", { 2, 12, 12, 0 } },
		{ "a service", "web:1-8 api:1-4", "web:1-8", { 1, 4, 12, 8 } },
		{ "the first service", "api:1-4 web:1-8", "web:1-8", { 1, 4, 12, 8 } },
		{ "some endpoints", "web:1-8", "web:3-6", { 0, 4, 8, 4 } },
		{ "some exchanged", "web:1-8", "web:5-12", { 0, 4, 8, 8 } },
		{ "all exchanged", "web:1-8", "web:11-18", { 0, 8, 8, 8 } },
		{ "another order", "web:1-8 api:1-4 db:1", "db:1 web:1-8 api:1-4",
			{ 0, 0, 13, 13 } },
		{ "another name", "web:1-8", "www:1-8", { 1, 8, 8, 8 } },
		{ "more of all", "web:1-8 api:1-4", "web:1-9 api:1-5 db:1", { 0, 0, 12, 15 } },
		{ "emptied, not removed", "web:1-8", "web:", { 0, 8, 8, 0 } },
	};

	return cr_make_param_array(struct count_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct count_row *row, guard, count)
{
	fl_service_vec before = list_of(row->before), after = list_of(row->after);
	struct fl_removal removal = { 0 };
	struct fl_guard guard;

	fl_guard_begin(&guard, &before);
	cr_assert_eq(fl_removal_count(&guard, &before, &after, &removal), 0);
	cr_expect_eq(removal.services, row->expect.services, "%s: %zu services", row->name,
		removal.services);
	cr_expect_eq(removal.endpoints, row->expect.endpoints, "%s: %zu endpoints", row->name,
		removal.endpoints);
	cr_expect_eq(removal.before, row->expect.before, "%s", row->name);
	cr_expect_eq(removal.after, row->expect.after, "%s", row->name);
	fl_services_done(&before);
	fl_services_done(&after);
}

Test(guard, services_that_are_the_same_objects)
{
	fl_service_vec before = list_of("api:1-4 db:1-3 mail:1-2 web:1-8"), after = { 0 };
	struct fl_removal removal;
	struct fl_guard guard;

	fl_guard_begin(&guard, &before);
	for (size_t i = 0; i < before.count; i++)
		*(struct fl_service **)fl_vec_push(&after) =
			i == 2 ? test_service("mail", "10.0.0.1:25/tcp", "192.0.2.1:80")
			       : fl_service_ref(before.items[i]);
	cr_assert_eq(fl_removal_count(&guard, &before, &after, &removal), 0);
	cr_expect_eq(removal.services, 0);
	cr_expect_eq(removal.endpoints, 1);
	cr_expect_eq(removal.before, 17);
	cr_expect_eq(removal.after, 16);
	fl_services_done(&before);
	fl_services_done(&after);
}

Test(guard, a_port_is_part_of_an_endpoint_and_its_state_is_not)
{
	fl_service_vec before = { 0 }, after = { 0 };
	struct fl_removal removal;
	struct fl_guard guard = { .in_force = 3 };

	*(struct fl_service **)fl_vec_push(&before) = test_service(
		"web", "10.0.0.1:80/tcp", "192.0.2.1:80 192.0.2.1:81 [2001:db8::1]:80");
	*(struct fl_service **)fl_vec_push(&after) = test_service("web", "10.0.0.1:80/tcp",
		"192.0.2.1:80*0/down 192.0.2.1:82 [2001:db8::1]:80/maintenance");
	cr_assert_eq(fl_removal_count(&guard, &before, &after, &removal), 0);
	cr_expect_eq(removal.endpoints, 1);
	fl_services_done(&before);
	fl_services_done(&after);
}

/* ---------------------------------------------------------------- restoring */

struct restore_row {
	char name[40];
	char then[48], now[48], expect[64];
};

ParameterizedTestParameters(guard, restore)
{
	static struct restore_row rows[] = {
		{ "nothing vanished", "api:1-4 web:1-8", "api:1-4 web:1-8", "api:1-4 web:1-8" },
		{ "all of it", "api:1-4 web:1-8", "", "api:1-4 web:1-8" },
		{ "a service", "api:1-4 web:1-8", "web:1-8", "web:1-8 api:1-4" },
		{ "endpoints", "api:1-4 web:1-8", "api:1-4 web:3-6", "api:1-4 web:1-8" },
		{ "what is new stays", "web:1-8", "db:1-3 web:1-9", "db:1-3 web:1-9" },
		{ "both", "api:1-4 web:1-8", "db:1-3 web:2-9", "db:1-3 web:1-8 api:1-4" },
		{ "there was nothing", "", "web:1-8", "web:1-8" },
	};

	return cr_make_param_array(struct restore_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct restore_row *row, guard, restore)
{
	fl_service_vec then = list_of(row->then), now = list_of(row->now), found;
	fl_service_vec expected = list_of(row->expect);

	cr_assert_eq(fl_guard_restore(&then, &now, &found), 0);
	cr_assert_eq(found.count, expected.count, "%s", row->name);
	for (size_t i = 0; i < found.count; i++)
		cr_expect(fl_service_equal(found.items[i], expected.items[i]), "%s: %s", row->name,
			found.items[i]->name);
	fl_services_done(&then);
	fl_services_done(&now);
	fl_services_done(&found);
	fl_services_done(&expected);
}

/* ------------------------------------------------------------------ judging */

/* Answers in turn: how many endpoints there are then, after how many seconds, and
 * whether it is held back (!), in which case the one before stays. */
struct judge_row {
	char name[64];
	unsigned max_percent;
	char answers[96];
};

ParameterizedTestParameters(guard, judge)
{
	static struct judge_row rows[] = {
		{ "half may go", 50, "100@0 50@100" },
		{ "more than half may not", 50, "100@0 49@100!" },
		{ "all may not", 50, "100@0 0@100!" },
		{ "fewer than ten are not guarded", 50, "9@0 0@100" },
		{ "ten are", 50, "10@0 4@100!" },
		{ "the first answer is no removal", 50, "0@0 100@1" },
		{ "growth is no removal", 50, "10@0 1000@1 10000@2" },
		{ "an empty registry fills and empties slowly", 50,
			"100@0 60@100 40@200 25@300 15@400 9@500 0@600" },
		{ "small steps within a minute add up", 50, "100@0 70@100 55@110 48@120!" },
		{ "the window begins with the first step", 50, "100@0 70@100 50@159 40@161" },
		{ "what came back does not count", 50,
			"100@0 60@100 100@110 60@120 100@130 50@140" },
		{ "held, and then it is less", 50, "100@0 10@100! 90@101 50@102 45@103!" },
		{ "held again and again", 50, "100@0 10@100! 0@101! 49@500! 50@501" },
		{ "no limit", 100, "100@0 0@1" },
		{ "hardly any", 1, "100@0 99@100 98@101! 100@102" },
		{ "none of a hundred thousand", 50, "100000@0 49999@100! 50000@101" },
	};

	return cr_make_param_array(struct judge_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct judge_row *row, guard, judge)
{
	struct fl_guard guard = { 0 };
	size_t in_force = 0;
	char *rest = row->answers;

	for (char *word; (word = strsep(&rest, " "));) {
		bool expect = strchr(word, '!');
		struct fl_removal removal = { .before = in_force };
		size_t gone = 0, of = 0;
		unsigned seconds;
		bool held;

		cr_assert_eq(sscanf(word, "%zu@%u", &removal.after, &seconds), 2);
		removal.endpoints = in_force > removal.after ? in_force - removal.after : 0;
		held = fl_guard_refuses(&guard, &removal, row->max_percent,
			1000000 + seconds * 1000ull, &gone, &of);
		cr_expect_eq(held, expect, "%s: %s", row->name, word);
		if (held)
			cr_expect(gone <= of && gone * 100 > of * row->max_percent,
				"%s: %zu of %zu", row->name, gone, of);
		if (held)
			continue;
		fl_guard_passed(&guard, &removal, 1000000 + seconds * 1000ull);
		in_force = removal.after;
	}
}

Test(guard, endpoints_that_are_exchanged_are_removed)
{
	struct fl_removal removal = { .endpoints = 60, .before = 100, .after = 100 };
	struct fl_guard guard = { 0 };
	size_t gone, of;

	cr_expect(fl_guard_refuses(&guard, &removal, 50, 1000000, &gone, &of));
	cr_expect_eq(gone, 60);
	cr_expect_eq(of, 100);
}

Test(guard, what_was_accepted_is_forgotten)
{
	struct fl_removal first = { .after = 100 };
	struct fl_removal many = { .endpoints = 80, .before = 100, .after = 20 };
	struct fl_removal few = { .endpoints = 5, .before = 20, .after = 15 };
	struct fl_guard guard = { 0 };
	size_t gone, of;

	fl_guard_passed(&guard, &first, 1000000);
	cr_expect(fl_guard_refuses(&guard, &many, 50, 1001000, &gone, &of));
	fl_guard_accepted(&guard, &many, 1002000);
	cr_expect_not(fl_guard_refuses(&guard, &few, 50, 1003000, &gone, &of));
}
