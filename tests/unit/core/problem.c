/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/problem.h"

static char *print(const struct fl_problems *problems)
{
	static char text[8192];
	FILE *out = fmemopen(text, sizeof(text), "w");

	text[0] = '\0'; /* an empty stream writes nothing, not even that */
	fl_problems_print(problems, out);
	fclose(out);
	return text;
}

Test(core_problem, shown_in_order_of_place)
{
	struct fl_problems problems = { 0 };

	fl_problem_add(&problems, (struct fl_place){ "b", 1, 1 }, "%s", "last");
	fl_problem_add(&problems, (struct fl_place){ "a", 10, 2 }, "third %d", 3);
	fl_problem_warn(&problems, (struct fl_place){ "a", 9, 20 }, "second");
	fl_problem_add(&problems, (struct fl_place){ "a", 9, 3 }, "first");
	fl_problem_add(&problems, (struct fl_place){ "a", 10, 2 }, "and as it came");
	fl_problem_add(&problems, (struct fl_place){ "a", 0, 0 }, "the whole file");
	fl_problem_add(&problems, (struct fl_place){ 0 }, "of no file");
	cr_expect_eq(problems.count, 7);
	cr_expect_eq(problems.errors, 6);
	cr_expect_str_eq(print(&problems), "of no file\n"
					   "a: the whole file\n"
					   "a:9:3: first\n"
					   "a:9:20: warning: second\n"
					   "a:10:2: third 3\n"
					   "a:10:2: and as it came\n"
					   "b:1:1: last\n");
	fl_problems_done(&problems);
	cr_expect_eq(problems.count, 0);
	cr_expect_eq(problems.errors, 0);
	cr_expect_str_eq(print(&problems), "");
}

Test(core_problem, bounded)
{
	struct fl_problems problems = { 0 };
	struct fl_problems all = { 0 };

	for (unsigned i = 0; i < FL_PROBLEMS_MAX + 50; i++)
		fl_problem_add(&problems, (struct fl_place){ "f", i + 1, 1 }, "x");
	cr_expect_eq(problems.count, FL_PROBLEMS_MAX);
	cr_expect_eq(problems.errors, FL_PROBLEMS_MAX + 50);
	cr_expect_eq(problems.dropped, 50);
	cr_expect_not_null(strstr(print(&problems), "f:100:1: x\nand 50 more\n"));

	/* no error gets lost when lists are joined */
	fl_problem_warn(&all, (struct fl_place){ "g", 1, 1 }, "w");
	fl_problems_copy(&all, &problems);
	cr_expect_eq(all.count, FL_PROBLEMS_MAX);
	cr_expect_eq(all.errors, FL_PROBLEMS_MAX + 50);
	cr_expect_eq(all.dropped, 51);
	fl_problems_move(&all, &problems);
	cr_expect_eq(problems.count, 0);
	cr_expect_eq(problems.errors, 0);
	cr_expect_eq(all.errors, 2 * (FL_PROBLEMS_MAX + 50));
	fl_problems_done(&all);
}

Test(core_problem, long_lines_are_cut)
{
	struct fl_problems problems = { 0 };
	char line[20];

	fl_problem_add(&problems, (struct fl_place){ "file", 1, 2 }, "a message that does not fit");
	cr_expect_str_eq(
		fl_problem_format(&problems.items[0], line, sizeof(line)), "file:1:2: a message");
	fl_problems_done(&problems);
}
