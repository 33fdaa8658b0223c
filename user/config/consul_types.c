/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Types of options that say where a Consul is, and what is read of it.
 */
#include "config/option.h"

#include <stdlib.h>
#include <string.h>

#define URL_MAX  512
#define HTTP     "http://"
#define HTTPS    "https://"
#define UNIX     "unix://"
#define EXPECTED "http://HOST:PORT, https://HOST:PORT or unix:///PATH"

/* -------------------------------------------------------------------- urls */

/* What follows the scheme. @return NULL when it is none of ours */
static const char *behind_scheme(const char *url, bool *ret_is_unix)
{
	static const char *const schemes[] = { HTTP, HTTPS, UNIX };

	for (size_t i = 0; i < 3; i++)
		if (strncmp(url, schemes[i], strlen(schemes[i])) == 0) {
			*ret_is_unix = i == 2;
			return url + strlen(schemes[i]);
		}
	return NULL;
}

/* Which part of an address cannot be used, in words; NULL = it is good. Names and
 * passwords have no place in it: they would end up in logs. */
static const char *why_no_url(const char *url)
{
	bool is_unix = false;
	const char *rest = behind_scheme(url, &is_unix);

	if (!rest)
		return "has another scheme";
	for (const unsigned char *c = (const unsigned char *)url; *c; c++)
		if (*c <= 0x20 || *c >= 0x7f)
			return "has spaces or other than ASCII in it";
	if (is_unix)
		return rest[0] == '/' && rest[1] ? NULL : "names no absolute path";
	if (!*rest || strchr("/:?#", *rest))
		return "names no host";
	return strpbrk(rest, "?#@") ? "has a user, a query or a fragment" : NULL;
}

static bool read_one(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, struct fl_consul_config *consul)
{
	const char *why;
	char shown[FL_NODE_TEXT];
	size_t length;
	char *url;

	if (!fl_read_is_text(reader, option, node))
		return false;
	why = strlen(node->text) > URL_MAX ? "is too long" : why_no_url(node->text);
	if (why)
		return fl_read_error(reader, option, node, "%s %s, expected " EXPECTED,
			fl_node_show(node, shown), why);
	url = strdup(node->text);
	if (!url)
		return fl_read_no_memory(reader);
	for (length = strlen(url); url[length - 1] == '/'; length--)
		url[length - 1] = '\0';
	for (size_t i = 0; i < consul->url_count; i++)
		if (strcmp(consul->urls[i], url) == 0) {
			free(url);
			return fl_read_error(reader, option, node,
				"%s stands there already, expected each only once",
				fl_node_show(node, shown));
		}
	consul->urls[consul->url_count++] = url;
	return true;
}

static bool has_room(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, struct fl_consul_config *consul, size_t count)
{
	if (consul->urls)
		return fl_read_error(reader, option, node,
			"stands beside the other one, expected either url or urls");
	consul->urls = calloc(count + 1, sizeof(*consul->urls));
	return consul->urls ? true : fl_read_no_memory(reader);
}

static struct fl_consul_config *consul_of(void *target)
{
	return &((struct fl_registry_config *)target)->consul;
}

static void describe_url(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs(EXPECTED, out);
}

static bool read_url(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	struct fl_consul_config *consul = consul_of(target);

	return has_room(reader, option, node, consul, 1) && read_one(reader, option, node, consul);
}

static void print_url(const struct fl_option *option, const void *target, FILE *out)
{
	const struct fl_consul_config *consul = consul_of((void *)target);

	(void)option;
	if (consul->url_count == 1)
		fl_print_text(consul->urls[0], out);
}

const struct fl_option_type fl_type_url = { describe_url, read_url, print_url };

static void describe_urls(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a list of 1-%lld addresses as in url", (long long)option->max);
}

static bool read_urls(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	struct fl_consul_config *consul = consul_of(target);
	bool good = true;

	if (!fl_read_is_list(reader, option, node))
		return false;
	if (!node->count || node->count > (size_t)option->max)
		return fl_read_error(reader, option, node, "%zu items, expected 1-%lld",
			node->count, (long long)option->max);
	if (!has_room(reader, option, node, consul, node->count))
		return false;
	for (const struct fl_node *item = node->first; item; item = item->next)
		good = read_one(reader, option, item, consul) && good;
	return good;
}

static void print_urls(const struct fl_option *option, const void *target, FILE *out)
{
	const struct fl_consul_config *consul = consul_of((void *)target);

	(void)option;
	if (consul->url_count < 2)
		return;
	for (size_t i = 0; i < consul->url_count; i++) {
		fputs(i ? ", " : "[", out);
		fl_print_text(consul->urls[i], out);
	}
	fputc(']', out);
}

const struct fl_option_type fl_type_urls = { describe_urls, read_urls, print_urls };

/* ---------------------------------------------------------------------- kv */

static void describe_kv(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a key of at most %lld bytes, or off", (long long)option->max);
}

static bool read_kv(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	char **field = FL_FIELD(char *, option, target);
	size_t length;
	char *copy;

	if (!fl_read_is_text(reader, option, node))
		return false;
	if (fl_node_is_off(node))
		return true;
	length = strlen(node->text);
	while (length && node->text[length - 1] == '/')
		length--;
	if (!length || node->text[0] == '/')
		return fl_read_refuse(reader, option, node, "begins with / or is empty");
	if (length > (size_t)option->max)
		return fl_read_refuse(reader, option, node, "is too long");
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)node->text[i] <= 0x20 || (unsigned char)node->text[i] >= 0x7f)
			return fl_read_refuse(
				reader, option, node, "has spaces or other than ASCII in it");
	copy = strndup(node->text, length);
	if (!copy)
		return fl_read_no_memory(reader);
	free(*field);
	*field = copy;
	return true;
}

static void print_kv(const struct fl_option *option, const void *target, FILE *out)
{
	const char *kv = *FL_FIELD(char *, option, target);

	if (kv)
		fl_print_text(kv, out);
	else
		fputs("off", out);
}

const struct fl_option_type fl_type_kv = { describe_kv, read_kv, print_kv };
