/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/json_text.h"

#include <assert.h>
#include <string.h>

#include "core/clock.h"

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* One character that cannot stand as it is. @return the bytes it took */
static size_t put_special(struct fl_text *text, const char *value, size_t left)
{
	unsigned char c = (unsigned char)*value;
	size_t length = fl_text_utf8(value, left);

	if (c == '"' || c == '\\') {
		fl_text_putc(text, '\\');
		fl_text_putc(text, (char)c);
	} else if (c == '\n') {
		fl_text_puts(text, "\\n");
	} else if (c < 0x20 || c == 0x7f) {
		fl_text_printf(text, "\\u%04x", c);
	} else if (length) {
		fl_text_put(text, value, length);
	} else {
		fl_text_puts(text, "\xef\xbf\xbd");
	}
	return length ? length : 1;
}

static void put_quoted(struct fl_text *text, const char *value)
{
	size_t left = strlen(value);

	fl_text_putc(text, '"');
	while (left) {
		size_t run = 0;

		while (run < left && is_plain((unsigned char)value[run]))
			run++;
		fl_text_put(text, value, run);
		if (run < left)
			run += put_special(text, value + run, left - run);
		value += run;
		left -= run;
	}
	fl_text_putc(text, '"');
}

/* What comes before any value: the comma and the key. */
static void begin(struct fl_json_text *json, const char *key)
{
	if (json->follows)
		fl_text_putc(json->text, ',');
	json->follows = true;
	if (key) {
		put_quoted(json->text, key);
		fl_text_putc(json->text, ':');
	}
}

static void open_with(struct fl_json_text *json, const char *key, char opener, char closer)
{
	assert(json->depth < FL_JSON_DEPTH);
	begin(json, key);
	fl_text_putc(json->text, opener);
	json->closers[json->depth++] = closer;
	json->follows = false;
}

void fl_json_object(struct fl_json_text *json, const char *key)
{
	open_with(json, key, '{', '}');
}

void fl_json_list(struct fl_json_text *json, const char *key)
{
	open_with(json, key, '[', ']');
}

void fl_json_end(struct fl_json_text *json)
{
	assert(json->depth);
	fl_text_putc(json->text, json->closers[--json->depth]);
	json->follows = true;
}

void fl_json_string(struct fl_json_text *json, const char *key, const char *value)
{
	begin(json, key);
	if (value)
		put_quoted(json->text, value);
	else
		fl_text_puts(json->text, "null");
}

void fl_json_uint(struct fl_json_text *json, const char *key, uint64_t value)
{
	begin(json, key);
	fl_text_uint(json->text, value);
}

void fl_json_bool(struct fl_json_text *json, const char *key, bool value)
{
	begin(json, key);
	fl_text_puts(json->text, value ? "true" : "false");
}

void fl_json_null(struct fl_json_text *json, const char *key)
{
	fl_json_string(json, key, NULL);
}

void fl_json_time(struct fl_json_text *json, const char *key, uint64_t real_s)
{
	char time[FL_TIME_TEXT];

	fl_json_string(json, key, real_s ? fl_time_format_s(real_s, time) : NULL);
}
