/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/clock.h"

static enum fl_log_level shown_level = FL_LOG_INFO;
static enum fl_log_format line_format = FL_LOG_TEXT;

static const char *const level_names[] = {
	[FL_LOG_ERROR] = "error",
	[FL_LOG_WARNING] = "warning",
	[FL_LOG_INFO] = "info",
	[FL_LOG_DEBUG] = "debug",
};

void fl_log_setup(enum fl_log_level level, enum fl_log_format format)
{
	shown_level = level;
	line_format = format;
}

bool fl_log_is_on(enum fl_log_level level)
{
	return level <= shown_level;
}

const char *fl_log_errno(int code)
{
	return strerrordesc_np(code < 0 ? -code : code);
}

static void put_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static bool needs_quotes(const char *text)
{
	if (!*text)
		return true;
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == '"' || *text == '=' || *text == 0x7f)
			return true;
	return false;
}

static void put_value(FILE *out, const struct fl_log_field *field)
{
	const char *text = field->string;

	switch (field->kind) {
	case FL_FIELD_STRING:
		text = text ? text : "";
		if (line_format == FL_LOG_JSON || needs_quotes(text))
			put_quoted(out, text);
		else
			fputs(text, out);
		break;
	case FL_FIELD_INT:
		fprintf(out, "%lld", (long long)field->i);
		break;
	case FL_FIELD_UINT:
		fprintf(out, "%llu", (unsigned long long)field->u);
		break;
	case FL_FIELD_DOUBLE:
		fprintf(out, "%.6g", field->d);
		break;
	}
}

static void put_line(FILE *out, const char *time, enum fl_log_level level, const char *area,
	const char *message, const struct fl_log_field *fields)
{
	if (line_format == FL_LOG_TEXT) {
		fprintf(out, "%s %s %s: %s", time, level_names[level], area, message);
		for (; fields->key; fields++) {
			fprintf(out, " %s=", fields->key);
			put_value(out, fields);
		}
	} else {
		fprintf(out, "{\"time\":\"%s\",\"level\":\"%s\",\"area\":\"%s\",\"message\":", time,
			level_names[level], area);
		put_quoted(out, message);
		for (; fields->key; fields++) {
			fprintf(out, ",\"%s\":", fields->key);
			put_value(out, fields);
		}
		fputc('}', out);
	}
	fputc('\n', out);
}

void fl_log_write(enum fl_log_level level, const char *area, const char *message,
	const struct fl_log_field *fields)
{
	_cleanup_free_ char *line = NULL;
	char time[FL_TIME_TEXT];
	size_t length = 0;
	FILE *out;

	if (!fl_log_is_on(level))
		return;
	out = open_memstream(&line, &length);
	if (!out)
		return;
	put_line(out, fl_time_format_ms(fl_clock_real_ms(), time), level, area, message, fields);
	if (fclose(out) == 0)
		fwrite(line, 1, length, stderr); /* stderr is unbuffered: one write, one line */
}
