/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/family.h"

#include <string.h>

static const char *const suffixes[] = {
	[FL_COUNTER] = "_total", [FL_GAUGE] = "", [FL_INFO] = "_info", [FL_HISTOGRAM] = ""
};
/* Plain text has no type for what only carries labels. */
static const char *const plain_types[] = { [FL_COUNTER] = "counter",
	[FL_GAUGE] = "gauge",
	[FL_INFO] = "gauge",
	[FL_HISTOGRAM] = "histogram" };
static const char *const open_types[] = { [FL_COUNTER] = "counter",
	[FL_GAUGE] = "gauge",
	[FL_INFO] = "info",
	[FL_HISTOGRAM] = "histogram" };

void fl_family_begin(
	struct fl_text *out, enum fl_metrics_format format, const struct fl_metric_family *family)
{
	bool open = format == FL_METRICS_OPENMETRICS;
	const char *suffix = open ? "" : suffixes[family->kind];
	const char *type = open ? open_types[family->kind] : plain_types[family->kind];

	fl_text_printf(out, "# HELP %s%s %s\n", family->name, suffix, family->help);
	fl_text_printf(out, "# TYPE %s%s %s\n", family->name, suffix, type);
	if (open && family->unit)
		fl_text_printf(out, "# UNIT %s %s\n", family->name, family->unit);
}

void fl_family_name(struct fl_text *out, const struct fl_metric_family *family)
{
	fl_text_puts(out, family->name);
	fl_text_puts(out, suffixes[family->kind]);
}

/* One character that cannot stand as it is. @return the bytes it took */
static size_t put_special(struct fl_text *out, const char *value)
{
	size_t length = fl_text_utf8(value, strlen(value));

	if (*value == '\n') {
		fl_text_puts(out, "\\n");
	} else if (*value == '"' || *value == '\\') {
		fl_text_putc(out, '\\');
		fl_text_putc(out, *value);
	} else if (length) {
		fl_text_put(out, value, length);
	} else {
		fl_text_puts(out, "\xef\xbf\xbd");
	}
	return length ? length : 1;
}

static bool is_plain(unsigned char c)
{
	return c && c < 0x80 && c != '"' && c != '\\' && c != '\n';
}

void fl_family_label(struct fl_text *out, bool first, const char *key, const char *value)
{
	fl_text_putc(out, first ? '{' : ',');
	fl_text_puts(out, key);
	fl_text_puts(out, "=\"");
	while (*value) {
		size_t run = 0;

		while (is_plain((unsigned char)value[run]))
			run++;
		fl_text_put(out, value, run);
		value += run;
		if (*value)
			value += put_special(out, value);
	}
	fl_text_putc(out, '"');
}

void fl_family_value(struct fl_text *out, bool has_labels, uint64_t value)
{
	fl_text_puts(out, has_labels ? "} " : " ");
	fl_text_uint(out, value);
	fl_text_putc(out, '\n');
}

void fl_family_double(struct fl_text *out, bool has_labels, double value)
{
	fl_text_puts(out, has_labels ? "} " : " ");
	fl_text_printf(out, "%.15g\n", value);
}
