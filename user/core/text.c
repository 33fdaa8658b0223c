/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct fl_text *text, size_t count)
{
	size_t room = text->room ? text->room : 4096;
	char *moved;

	if (text->failed)
		return false;
	if (text->room - text->length >= count)
		return true;
	while (room - text->length < count)
		room *= 2;
	moved = realloc(text->data, room);
	if (!moved) {
		text->failed = true;
		return false;
	}
	text->data = moved;
	text->room = room;
	return true;
}

void fl_text_put(struct fl_text *text, const char *bytes, size_t count)
{
	if (!count || !reserve(text, count))
		return;
	memcpy(text->data + text->length, bytes, count);
	text->length += count;
}

void fl_text_puts(struct fl_text *text, const char *string)
{
	fl_text_put(text, string, strlen(string));
}

void fl_text_putc(struct fl_text *text, char c)
{
	if (reserve(text, 1))
		text->data[text->length++] = c;
}

void fl_text_put_last(struct fl_text *text, const char *words)
{
	for (const char *c = words; c && *c; c++)
		fl_text_putc(text, (unsigned char)*c < ' ' ? ' ' : *c);
	fl_text_putc(text, '\n');
}

void fl_text_uint(struct fl_text *text, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	fl_text_put(text, digits + at, sizeof(digits) - at);
}

void fl_text_printf(struct fl_text *text, const char *format, ...)
{
	va_list arguments;
	char small[512];
	int length;

	va_start(arguments, format);
	length = vsnprintf(small, sizeof(small), format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	if ((size_t)length < sizeof(small)) {
		fl_text_put(text, small, (size_t)length);
		return;
	}
	if (!reserve(text, (size_t)length + 1))
		return;
	va_start(arguments, format);
	vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->length += (size_t)length;
}

void fl_text_done(struct fl_text *text)
{
	free(text->data);
	*text = (struct fl_text){ 0 };
}

bool fl_text_is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

size_t fl_text_utf8(const char *bytes, size_t count)
{
	const unsigned char *b = (const unsigned char *)bytes;
	unsigned code;
	size_t length;

	if (b[0] < 0x80)
		return 1;
	length = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
	if (b[0] < 0xc2 || b[0] > 0xf4 || count < length)
		return 0;
	code = b[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (b[i] & 0x3f);
	}
	if (length == 3 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff)))
		return 0;
	if (length == 4 && (code < 0x10000 || code > 0x10ffff))
		return 0;
	return length;
}
