/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Types of options that are one value: texts, numbers, words.
 */
#include "config/option.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------- texts */

static bool replace_text(struct fl_reader *reader, char **field, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return fl_read_no_memory(reader);
	free(*field);
	*field = copy;
	return true;
}

/* Those of ASCII and of Unicode, with its line breaks: none belongs into a line
 * of a log, and YAML folds some of them. */
static bool has_control_characters(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			return true;
		if (c[0] == 0xc2 && c[1] < 0xa0) /* U+0080-U+009F */
			return true;
		if (c[0] == 0xe2 && c[1] == 0x80 &&
			(c[2] == 0xa8 || c[2] == 0xa9)) /* U+2028, U+2029 */
			return true;
	}
	return false;
}

static bool is_text_of_length(
	struct fl_reader *reader, const struct fl_option *option, const struct fl_node *node)
{
	size_t length;

	if (!fl_read_is_text(reader, option, node))
		return false;
	length = strlen(node->text);
	if (has_control_characters(node->text))
		return fl_read_refuse(reader, option, node, "has control characters");
	if (length < (size_t)option->min)
		return fl_read_refuse(reader, option, node, "is too short");
	if (length > (size_t)option->max)
		return fl_read_refuse(reader, option, node, "is too long");
	return true;
}

static void describe_text(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a text of at most %lld bytes", (long long)option->max);
}

static bool read_text(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	return is_text_of_length(reader, option, node) &&
	       replace_text(reader, FL_FIELD(char *, option, target), node->text);
}

static void print_text(const struct fl_option *option, const void *target, FILE *out)
{
	const char *text = *FL_FIELD(char *, option, target);

	if (text)
		fl_print_text(text, out);
}

const struct fl_option_type fl_type_text = { describe_text, read_text, print_text };

static void describe_path(const struct fl_option *option, FILE *out)
{
	fprintf(out, "an absolute path of at most %lld bytes", (long long)option->max);
}

static bool read_path(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	if (!is_text_of_length(reader, option, node))
		return false;
	if (node->text[0] != '/')
		return fl_read_refuse(reader, option, node, "is not absolute");
	return replace_text(reader, FL_FIELD(char *, option, target), node->text);
}

const struct fl_option_type fl_type_path = { describe_path, read_path, print_text };

/* A word that can stand in paths, addresses of pages and labels. */

static void describe_label(const struct fl_option *option, FILE *out)
{
	fprintf(out, "1-%lld of letters, digits and ._-, a letter or digit first",
		(long long)option->max);
}

static bool read_label(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	static const char others[] = "._-";

	if (!is_text_of_length(reader, option, node))
		return false;
	for (const char *c = node->text; *c; c++)
		if (!isalnum((unsigned char)*c) && (c == node->text || !strchr(others, *c)))
			return fl_read_refuse(reader, option, node, "is no such word");
	return replace_text(reader, FL_FIELD(char *, option, target), node->text);
}

const struct fl_option_type fl_type_label = { describe_label, read_label, print_text };

/* ----------------------------------------------------------------- numbers */

/* Decimal digits, perhaps with a minus; no sign, space, or leading zero else, so
 * that nobody has to know what 010 or 1_000 mean. @return 0, -EINVAL, -ERANGE */
static int parse_integer(const char *text, int64_t *ret)
{
	const char *digit = text[0] == '-' ? text + 1 : text;
	int64_t value = 0;

	if (!*digit || (digit[0] == '0' && digit[1]))
		return -EINVAL;
	for (const char *c = digit; *c; c++)
		if (*c < '0' || *c > '9')
			return -EINVAL;
	if (strlen(digit) > 15)
		return -ERANGE;
	for (; *digit; digit++)
		value = value * 10 + (*digit - '0');
	*ret = text[0] == '-' ? -value : value;
	return 0;
}

void fl_store_integer(const struct fl_option *option, void *target, int64_t value)
{
	switch (option->size) {
	case 1:
		*FL_FIELD(uint8_t, option, target) = (uint8_t)value;
		break;
	case 2:
		*FL_FIELD(uint16_t, option, target) = (uint16_t)value;
		break;
	default:
		*FL_FIELD(uint32_t, option, target) = (uint32_t)value;
	}
}

int64_t fl_load_integer(const struct fl_option *option, const void *target)
{
	switch (option->size) {
	case 1:
		return *FL_FIELD(uint8_t, option, target);
	case 2:
		return *FL_FIELD(uint16_t, option, target);
	default:
		return *FL_FIELD(uint32_t, option, target);
	}
}

static void describe_integer(const struct fl_option *option, FILE *out)
{
	if (option->min == option->max)
		fprintf(out, "%lld", (long long)option->min);
	else
		fprintf(out, "an integer %lld-%lld", (long long)option->min,
			(long long)option->max);
}

static bool read_integer(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	int64_t value = 0;
	int r;

	if (!fl_read_is_text(reader, option, node))
		return false;
	if (!node->plain)
		return fl_read_refuse(reader, option, node, "is in quotes, so it is a text");
	r = parse_integer(node->text, &value);
	if (r == -EINVAL)
		return fl_read_refuse(reader, option, node, "is no integer");
	if (r == 0 && value > option->max && value <= option->known_max)
		return fl_read_refuse(
			reader, option, node, "is known, not supported by this version");
	if (r < 0 || value < option->min || value > option->max)
		return fl_read_refuse(reader, option, node, "is out of range");
	fl_store_integer(option, target, value);
	return true;
}

/* 0 below the range is how a field says that it is not set. */
static void print_integer(const struct fl_option *option, const void *target, FILE *out)
{
	int64_t value = fl_load_integer(option, target);

	if (value >= option->min)
		fprintf(out, "%lld", (long long)value);
}

const struct fl_option_type fl_type_integer = { describe_integer, read_integer, print_integer };

static void describe_mode(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs("permissions in octal, \"0000\"-\"0777\"", out);
}

static bool read_mode(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	char *end;
	unsigned long mode;

	if (!fl_read_is_text(reader, option, node))
		return false;
	mode = strtoul(node->text, &end, 8);
	if (node->text[0] < '0' || node->text[0] > '7' || *end || strlen(node->text) > 4)
		return fl_read_refuse(reader, option, node, "is no octal number");
	if (mode > 0777)
		return fl_read_refuse(reader, option, node, "is out of range");
	*FL_FIELD(mode_t, option, target) = (mode_t)mode;
	return true;
}

static void print_mode(const struct fl_option *option, const void *target, FILE *out)
{
	fprintf(out, "\"%04o\"", (unsigned)*FL_FIELD(mode_t, option, target));
}

const struct fl_option_type fl_type_mode = { describe_mode, read_mode, print_mode };

/* ------------------------------------------------------------------- words */

static void describe_word(const struct fl_option *option, FILE *out)
{
	size_t last = 0;
	size_t shown = 0;

	for (size_t i = 0; option->words[i].text; i++)
		if (!option->words[i].later)
			last = i;
	for (size_t i = 0; i <= last; i++) {
		if (option->words[i].later)
			continue;
		fprintf(out, "%s%s",
			!shown      ? ""
			: i == last ? " or "
				    : ", ",
			option->words[i].text);
		shown++;
	}
}

static bool read_word(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	if (!fl_read_is_text(reader, option, node))
		return false;
	for (const struct fl_word *word = option->words; word->text; word++) {
		if (strcmp(word->text, node->text) != 0)
			continue;
		if (word->later)
			return fl_read_refuse(
				reader, option, node, "is known, not supported by this version");
		fl_store_integer(option, target, word->value);
		return true;
	}
	return fl_read_refuse(reader, option, node, "is none of what it can be");
}

static void print_word(const struct fl_option *option, const void *target, FILE *out)
{
	int64_t value = fl_load_integer(option, target);

	for (const struct fl_word *word = option->words; word->text; word++)
		if (word->value == value && !word->later) {
			fputs(word->text, out);
			return;
		}
}

const struct fl_option_type fl_type_word = { describe_word, read_word, print_word };

static void describe_flag(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs("true or false", out);
}

static bool read_flag(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	bool is_true;

	if (!fl_read_is_text(reader, option, node))
		return false;
	is_true = strcmp(node->text, "true") == 0;
	if (!node->plain || (!is_true && strcmp(node->text, "false") != 0))
		return fl_read_refuse(reader, option, node, "is neither");
	*FL_FIELD(bool, option, target) = is_true;
	return true;
}

static void print_flag(const struct fl_option *option, const void *target, FILE *out)
{
	fputs(*FL_FIELD(bool, option, target) ? "true" : "false", out);
}

const struct fl_option_type fl_type_flag = { describe_flag, read_flag, print_flag };

/* What is known and not supported: the walker looks no further than "off". */

static void describe_opaque(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs("nothing, or false", out);
}

static bool read_opaque(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	(void)reader, (void)option, (void)node, (void)target;
	return true;
}

static void print_opaque(const struct fl_option *option, const void *target, FILE *out)
{
	(void)option, (void)target, (void)out;
}

const struct fl_option_type fl_type_opaque = { describe_opaque, read_opaque, print_opaque };
