/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/silences.h"

#include <stdlib.h>
#include <string.h>

/* @return whether it is to be spared */
static bool happen(const char *second, struct fl_silence_counts *counts)
{
	bool spare = false;

	for (char *end; *second; second = end + (*end != '\0')) {
		uint32_t number = (uint32_t)strtol(second, &end, 10);

		counts->openings += *end == 'o' ? number : 0;
		counts->answered += *end == 'a' ? number : 0;
		counts->refused += *end == 'r' ? number : 0;
		spare = spare || *end == 's';
	}
	return spare;
}

void test_silences_tell(const struct fl_silence_rules *rules, const char *seconds, char *ret)
{
	static const char letters[] = {
		[FL_SILENCE_SAME] = '.', [FL_SILENCE_FAILS] = 'F', [FL_SILENCE_TRY] = 'T'
	};
	struct fl_silence_counts counts = { UINT32_MAX - 1, UINT32_MAX, UINT32_MAX };
	struct fl_silence silence = { 0 };
	char *copy = strdup(seconds), *rest = copy;
	uint32_t now_s = 1000;

	for (const char *second; (second = strsep(&rest, " ")); now_s++) {
		bool spare = happen(second, &counts);

		*ret++ = letters[fl_silence_feed(&silence, rules, &counts, spare, now_s)];
	}
	*ret = '\0';
	free(copy);
}
