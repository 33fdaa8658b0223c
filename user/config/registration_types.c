/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Types of options that are texts and pairs of them: tags and metadata of a service
 * that is written into a registry, commands and headers of a check.
 */
#include "config/option.h"

#include <stdlib.h>
#include <string.h>

#include "model/registration.h"

#define KEY_MAX   128
#define VALUE_MAX 512

/* ------------------------------------------------------------ lists of texts */

static void describe_texts(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a list of at most %lld texts", (long long)option->max);
}

/* Texts without control characters; what they may hold else is the registry's. */
static bool is_sound(const char *text, size_t max)
{
	size_t length = strlen(text);

	if (!length || length > max)
		return false;
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			return false;
	return true;
}

static bool read_texts(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	size_t *count = (size_t *)((char *)target + option->count_offset);
	char **texts;

	if (!fl_read_is_list(reader, option, node))
		return false;
	if (node->count > (size_t)option->max)
		return fl_read_error(reader, option, node, "%zu items, expected at most %lld",
			node->count, (long long)option->max);
	texts = calloc(node->count + 1, sizeof(*texts));
	if (!texts)
		return fl_read_no_memory(reader);
	*FL_FIELD(char **, option, target) = texts;
	for (const struct fl_node *item = node->first; item; item = item->next) {
		if (!fl_read_is_text(reader, option, item))
			return false;
		if (!is_sound(item->text, VALUE_MAX))
			return fl_read_error(reader, option, item,
				"an item is empty, too long or has control characters, expected "
				"texts of 1-%d bytes",
				VALUE_MAX);
		texts[*count] = strdup(item->text);
		if (!texts[(*count)++])
			return fl_read_no_memory(reader);
	}
	return true;
}

static void print_texts(const struct fl_option *option, const void *target, FILE *out)
{
	const size_t *count = (const size_t *)((const char *)target + option->count_offset);
	char *const *texts = *FL_FIELD(char **, option, target);

	for (size_t i = 0; i < *count; i++) {
		fputs(i ? ", " : "[", out);
		fl_print_text(texts[i], out);
	}
	if (*count)
		fputc(']', out);
}

const struct fl_option_type fl_type_texts = { describe_texts, read_texts, print_texts };

/* --------------------------------------------------------------------- pairs */

static void describe_pairs(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a mapping of at most %lld keys to texts", (long long)option->max);
}

static bool is_key(const char *key)
{
	size_t length = strlen(key);

	return length > 0 && length <= KEY_MAX &&
	       strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
		       length;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct fl_pair *)a)->key, ((const struct fl_pair *)b)->key);
}

static bool read_pair(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, struct fl_pair *ret)
{
	char shown[FL_NODE_TEXT];
	struct fl_node key = { .kind = FL_NODE_SCALAR, .text = node->key };

	if (!is_key(node->key) || strncmp(node->key, "fairlead-", 9) == 0)
		return fl_read_error(reader, option, node,
			"%s is no key it can have, expected 1-%d of letters, digits, _ and -, not "
			"beginning with fairlead-",
			fl_node_show(&key, shown), KEY_MAX);
	if (!fl_read_is_text(reader, option, node))
		return false;
	if (!is_sound(node->text, VALUE_MAX))
		return fl_read_error(reader, option, node,
			"the value of %s is empty, too long or has control characters, expected "
			"1-%d bytes",
			fl_node_show(&key, shown), VALUE_MAX);
	ret->key = strdup(node->key);
	ret->value = strdup(node->text);
	return (ret->key && ret->value) || fl_read_no_memory(reader);
}

static bool read_pairs(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	size_t *count = (size_t *)((char *)target + option->count_offset);
	struct fl_pair *pairs;

	if (node->kind != FL_NODE_MAP)
		return fl_read_refuse(reader, option, node, "does not fit");
	if (node->count > (size_t)option->max)
		return fl_read_error(reader, option, node, "%zu keys, expected at most %lld",
			node->count, (long long)option->max);
	pairs = calloc(node->count + 1, sizeof(*pairs));
	if (!pairs)
		return fl_read_no_memory(reader);
	*FL_FIELD(struct fl_pair *, option, target) = pairs;
	for (const struct fl_node *item = node->first; item; item = item->next)
		if (!read_pair(reader, option, item, &pairs[(*count)++]))
			return false;
	qsort(pairs, *count, sizeof(*pairs), by_key);
	return true;
}

static void print_pairs(const struct fl_option *option, const void *target, FILE *out)
{
	const size_t *count = (const size_t *)((const char *)target + option->count_offset);
	const struct fl_pair *pairs = *FL_FIELD(struct fl_pair *, option, target);

	for (size_t i = 0; i < *count; i++) {
		fputs(i ? ", " : "{ ", out);
		fl_print_text(pairs[i].key, out);
		fputs(": ", out);
		fl_print_text(pairs[i].value, out);
	}
	if (*count)
		fputs(" }", out);
}

const struct fl_option_type fl_type_pairs = { describe_pairs, read_pairs, print_pairs };
