/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/shown.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "core/text.h"

struct range {
	uint32_t first, last;
};

#define IN(code, ranges) in_ranges(code, ranges, sizeof(ranges) / sizeof(ranges[0]))

static bool in_ranges(uint32_t code, const struct range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

/* Two columns: East Asian Wide blocks and emoji (Unicode TR 11). The locale is
 * not asked: it is often "C" where this runs. */
static const struct range wide[] = { { 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf },
	{ 0xac00, 0xd7a3 }, { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 },
	{ 0xffe0, 0xffe6 }, { 0x1f300, 0x1faff }, { 0x20000, 0x3fffd } };

/* No column of their own: marks that go onto the character before, joiners. */
static const struct range zero[] = { { 0x300, 0x36f }, { 0x200b, 0x200d }, { 0x20d0, 0x20ff },
	{ 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f } };

/* C0 and C1 controls, and marks that turn the direction of writing. */
static const struct range unprintable[] = { { 0, 0x1f }, { 0x7f, 0x9f }, { 0x200e, 0x200f },
	{ 0x2028, 0x202e }, { 0x2066, 0x2069 } };

/* One character. @param ret_width  columns @return its bytes; 0 = show the byte as \xHH */
static size_t next(const char *text, size_t left, int *ret_width)
{
	size_t length = fl_text_utf8(text, left);
	uint32_t code = (unsigned char)text[0];

	if (length > 1)
		code &= 0x7fu >> length;
	for (size_t i = 1; i < length; i++)
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	if (!length || IN(code, unprintable))
		return 0;
	*ret_width = IN(code, zero) ? 0 : IN(code, wide) ? 2 : 1;
	return length;
}

void fl_text_show(const char *text, FILE *out)
{
	size_t left = strlen(text);

	while (left) {
		int width;
		size_t length = next(text, left, &width);

		if (length)
			fwrite(text, 1, length, out);
		else
			fprintf(out, "\\x%02x", (unsigned char)*text);
		text += length ? length : 1;
		left -= length ? length : 1;
	}
}

int fl_text_width(const char *text)
{
	size_t left = strlen(text);
	int sum = 0;

	while (left) {
		int width = 4; /* \xHH */
		size_t length = next(text, left, &width);

		sum += width;
		text += length ? length : 1;
		left -= length ? length : 1;
	}
	return sum;
}

char *fl_duration_format(uint64_t seconds, char buffer[24])
{
	uint64_t minutes = seconds / 60;
	uint64_t hours = minutes / 60;

	if (seconds < 60)
		snprintf(buffer, 24, "%" PRIu64 "s", seconds);
	else if (hours == 0)
		snprintf(buffer, 24, "%" PRIu64 "m%02us", minutes, (unsigned)(seconds % 60));
	else if (hours < 48)
		snprintf(buffer, 24, "%" PRIu64 "h%02um", hours, (unsigned)(minutes % 60));
	else
		snprintf(buffer, 24, "%" PRIu64 "d%02uh", hours / 24, (unsigned)(hours % 24));
	return buffer;
}
