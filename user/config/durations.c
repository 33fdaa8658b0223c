/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Types of options that are durations: in seconds, or in milliseconds where
 * parts of a second matter.
 */
#include "config/option.h"

#include <errno.h>
#include <string.h>

#include "core/duration.h"

/* @return false when an error was added */
static bool read_span(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, int64_t unit_ms, void *target)
{
	int64_t ms = 0;
	int r;

	if (!fl_read_is_text(reader, option, node))
		return false;
	r = fl_duration_parse(node->text, &ms);
	if (r == -EDOM)
		return fl_read_refuse(reader, option, node, "has no unit");
	if (r == -EINVAL || (r == 0 && ms % unit_ms))
		return fl_read_refuse(reader, option, node, "is no duration");
	if (r < 0 || ms / unit_ms < option->min || ms / unit_ms > option->max)
		return fl_read_refuse(reader, option, node, "is out of range");
	fl_store_integer(option, target, ms / unit_ms);
	return true;
}

/* ----------------------------------------------------------------- in seconds */

static void describe_duration(const struct fl_option *option, FILE *out)
{
	fputs("a duration ", out);
	fl_duration_print(option->min * 1000, "s", out);
	fputc('-', out);
	fl_duration_print(option->max * 1000, "s", out);
	fputs(" with its unit (90s, 15m, 1h)", out);
}

static bool read_duration(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	return read_span(reader, option, node, 1000, target);
}

/* 0 below the range is how a field says that it is not set. */
static void print_duration(const struct fl_option *option, const void *target, FILE *out)
{
	int64_t seconds = fl_load_integer(option, target);

	if (seconds >= option->min)
		fl_duration_print(seconds * 1000, "s", out);
}

const struct fl_option_type fl_type_duration = { describe_duration, read_duration, print_duration };

/* ------------------------------------------------------------ in milliseconds */

static void describe_millis(const struct fl_option *option, FILE *out)
{
	fputs("a duration ", out);
	fl_duration_print(option->min, "ms", out);
	fputc('-', out);
	fl_duration_print(option->max, "ms", out);
	fputs(" with its unit (200ms, 90s, 15m)", out);
}

static bool read_millis(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	return read_span(reader, option, node, 1, target);
}

static void print_millis(const struct fl_option *option, const void *target, FILE *out)
{
	int64_t ms = fl_load_integer(option, target);

	if (ms >= option->min)
		fl_duration_print(ms, "ms", out);
}

const struct fl_option_type fl_type_millis = { describe_millis, read_millis, print_millis };

/* --------------------------------------------------- keep, close, drain SECONDS */

static const char drain[] = "drain ";

static void describe_stale(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs("keep, close, or drain with a duration (drain 30s)", out);
}

static bool read_stale(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	uint32_t *seconds = FL_FIELD(uint32_t, option, target);
	int64_t ms;

	if (!fl_read_is_text(reader, option, node))
		return false;
	if (strcmp(node->text, "keep") == 0) {
		*seconds = FL_STALE_KEEP;
		return true;
	}
	if (strcmp(node->text, "close") == 0) {
		*seconds = 0;
		return true;
	}
	if (strncmp(node->text, drain, sizeof(drain) - 1) != 0)
		return fl_read_refuse(reader, option, node, "is none of these");
	if (fl_duration_parse(node->text + sizeof(drain) - 1, &ms) < 0 || ms % 1000)
		return fl_read_refuse(reader, option, node, "has no duration in seconds");
	if (ms / 1000 < 1 || ms / 1000 > option->max)
		return fl_read_refuse(reader, option, node, "is out of range");
	*seconds = (uint32_t)(ms / 1000);
	return true;
}

static void print_stale(const struct fl_option *option, const void *target, FILE *out)
{
	uint32_t seconds = *FL_FIELD(const uint32_t, option, target);

	if (seconds == FL_STALE_KEEP) {
		fputs("keep", out);
	} else if (seconds == 0) {
		fputs("close", out);
	} else {
		fputs(drain, out);
		fl_duration_print((int64_t)seconds * 1000, "s", out);
	}
}

const struct fl_option_type fl_type_stale = { describe_stale, read_stale, print_stale };
