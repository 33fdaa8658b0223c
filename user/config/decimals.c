/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Type of options that are numbers with up to two decimals, kept as hundredths.
 */
#include "config/option.h"

#include <errno.h>
#include <string.h>

static void put(int64_t hundredths, FILE *out)
{
	if (hundredths % 10)
		fprintf(out, "%lld.%02lld", (long long)hundredths / 100,
			(long long)hundredths % 100);
	else
		fprintf(out, "%lld.%lld", (long long)hundredths / 100,
			(long long)hundredths % 100 / 10);
}

/* @return 0, -EINVAL */
static int parse(const char *text, int64_t *ret)
{
	size_t whole = strspn(text, "0123456789"), parts = 0;
	int64_t value = 0;

	if (!whole || whole > 9)
		return -EINVAL;
	if (text[whole] == '.')
		parts = strspn(text + whole + 1, "0123456789");
	if (text[whole] == '.' ? (parts < 1 || parts > 2 || text[whole + 1 + parts])
			       : text[whole] != '\0')
		return -EINVAL;
	for (size_t i = 0; i < whole; i++)
		value = value * 10 + (text[i] - '0');
	value *= 100;
	if (parts > 0)
		value += (text[whole + 1] - '0') * 10;
	if (parts > 1)
		value += text[whole + 2] - '0';
	*ret = value;
	return 0;
}

static void describe_hundredths(const struct fl_option *option, FILE *out)
{
	fputs("a number ", out);
	put(option->min, out);
	fputc('-', out);
	put(option->max, out);
	fputs(" with at most two decimals", out);
}

static bool read_hundredths(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	int64_t value;

	if (!fl_read_is_text(reader, option, node))
		return false;
	if (!node->plain)
		return fl_read_refuse(reader, option, node, "is in quotes, so it is a text");
	if (parse(node->text, &value) < 0)
		return fl_read_refuse(reader, option, node, "is no such number");
	if (value < option->min || value > option->max)
		return fl_read_refuse(reader, option, node, "is out of range");
	fl_store_integer(option, target, value);
	return true;
}

static void print_hundredths(const struct fl_option *option, const void *target, FILE *out)
{
	put(fl_load_integer(option, target), out);
}

const struct fl_option_type fl_type_hundredths = { describe_hundredths, read_hundredths,
	print_hundredths };
