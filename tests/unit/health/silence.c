/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/silence.h"

#include <criterion/criterion.h>

#include "lib/silences.h"

/* See lib/silences.h. */
static const struct row {
	const char *name;
	const char *seconds;
	const char *changes;
} rows[] = {
	{ "silence alone is no failure", "- - - - -", "....." },
	{ "answered", "- 9o9a 9o9a 9o9a 9o9a 9o9a", "......" },
	{ "refused three times", "- 1o1r 1o1r 1o1r", "...F" },
	{ "refused at once", "- 5o5r", ".F" },
	{ "one answer among many refusals", "- 9o8r1a 1o1r 1o1r - -", "......" },
	{ "met by silence", "- 3o - - -", "...F." },
	{ "too young to be silence", "- - - 3o - -", "....F." },
	{ "too few", "- 2o - - - - - - - - - - 2o -", ".............." },
	{ "too few in a window", "- 2o - - - - - - - - - - - 1o - -", "................" },
	{ "answered late", "- 3o - 3a - - -", "......." },
	{ "left out, then tried, answered for as long, and as new",
		"- 3r - - - - - - - - - - 1o1a - - - - - - - - - 3r - - - - - - - - - -",
		".F.........T..........F.........T" },
	{ "not as new after one answer",
		"- 3r - - - - - - - - - - 1o1a 3r - - - - - - - - - - - - - - - - - - - -",
		".F.........T.F...................T" },
	{ "twice as long when it fails again",
		"- 3r - - - - - - - - - - 3r - - - - - - - - - - - - - - - - - - - -",
		".F.........TF...................T" },
	{ "spared", "- 3rs s s - -", "....F." },
};

Test(health_silence, windows)
{
	static const struct fl_silence_rules rules = { .max_fails = 3, .fail_timeout_s = 10 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char seen[100];

		test_silences_tell(&rules, rows[i].seconds, seen);
		cr_expect_str_eq(seen, rows[i].changes, "%s: %s, not %s", rows[i].name, seen,
			rows[i].changes);
	}
}

Test(health_silence, never_where_it_is_off)
{
	static const struct fl_silence_rules rules = { .max_fails = 0, .fail_timeout_s = 10 };
	struct fl_silence silence = { 0 };

	for (uint32_t s = 1; s < 30; s++) {
		const struct fl_silence_counts counts = { 9 * s, 0, 9 * s };

		cr_expect_eq(fl_silence_feed(&silence, &rules, &counts, false, s), FL_SILENCE_SAME);
	}
}

/* What `answers` shows of UDP, second by second; '.' nothing, F leave it out, T try it again. */
static const struct row_row {
	const char *name;
	uint32_t seen[16];
	const char *changes;
} row_rows[] = {
	{ "what was refused before is not counted", { 9, 9, 9, 9 }, "...." },
	{ "refused three times", { 0, 1, 2, 3 }, "...F" },
	{ "refused at once", { 7, 10 }, ".F" },
	{ "answered in between", { 0, 2, 0, 2, 2 }, "....." },
	{ "answered in between, and refused since", { 0, 2, 1, 2, 3 }, "....." },
	{ "answered, then refused three times", { 0, 2, 0, 1, 2, 3 }, ".....F" },
	{ "tried again", { 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 3 }, ".F.........T.F" },
};

Test(health_silence, refusals_in_a_row)
{
	static const struct fl_silence_rules rules = { .max_fails = 3, .fail_timeout_s = 10 };

	for (size_t i = 0; i < sizeof(row_rows) / sizeof(row_rows[0]); i++) {
		const struct row_row *row = &row_rows[i];
		struct fl_silence_row refusals = { 0 };
		struct fl_silence silence = { 0 };
		char seen[20] = "";

		for (uint32_t s = 0; s < strlen(row->changes); s++) {
			fl_silence_count_row(&refusals, row->seen[s]);
			strncat(seen,
				&".\0F\0T"[2 * fl_silence_feed(&silence, &rules, &refusals.counts,
						       false, 1000 + s)],
				1);
		}
		cr_expect_str_eq(
			seen, row->changes, "%s: %s, not %s", row->name, seen, row->changes);
	}
}
