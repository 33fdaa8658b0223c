/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/duration.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const struct {
	const char *text;
	uint32_t ms;
} units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };
#define UNITS (sizeof(units) / sizeof(units[0]))

/* @return the unit that the letters are, UNITS = none */
static size_t find_unit(const char *text, size_t letters)
{
	size_t unit = 0;

	while (unit < UNITS && (strlen(units[unit].text) != letters ||
				       strncmp(units[unit].text, text, letters) != 0))
		unit++;
	return unit;
}

int fl_duration_parse(const char *text, int64_t *ret_ms)
{
	int64_t total = 0;
	size_t next = 0;

	if (!*text)
		return -EINVAL;
	while (*text) {
		size_t digits = strspn(text, "0123456789");
		int64_t number = 0;
		size_t unit, letters;

		if (!digits)
			return -EINVAL;
		if (digits > 9)
			return -ERANGE;
		for (size_t i = 0; i < digits; i++)
			number = number * 10 + (text[i] - '0');
		text += digits;
		if (!*text && next == 0 && number == 0)
			break; /* of whatever unit */
		if (!*text)
			return next == 0 ? -EDOM : -EINVAL;
		letters = strcspn(text, "0123456789");
		unit = find_unit(text, letters);
		if (unit == UNITS || unit < next)
			return -EINVAL;
		total += number * units[unit].ms;
		next = unit + 1;
		text += letters;
	}
	*ret_ms = total;
	return 0;
}

void fl_duration_print(int64_t ms, const char *smallest, FILE *out)
{
	bool some = false;

	for (size_t i = 0; i < UNITS; i++) {
		int64_t number = ms / units[i].ms;

		if (number)
			fprintf(out, "%lld%s", (long long)number, units[i].text);
		ms -= number * units[i].ms;
		some = some || number;
	}
	if (!some)
		fprintf(out, "0%s", smallest);
}
