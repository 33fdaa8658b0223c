/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * --print-config: what is in force, as a configuration that means the same. And
 * services alone, as a registry keeps them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/option.h"
#include "core/cleanup.h"

#define COMMENT_COLUMN 48

/* ------------------------------------------------------------------ values */

/* Words that YAML readers take for something else than a text. */
static bool is_plain_text(const char *text)
{
	static const char *const other[] = { "true", "false", "yes", "no", "on", "off", "null", "y",
		"n", "~", NULL };

	if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") !=
			strlen(text) ||
		strchr("-.0123456789", *text))
		return false;
	for (size_t i = 0; other[i]; i++)
		if (strcasecmp(other[i], text) == 0)
			return false;
	return true;
}

void fl_print_text(const char *text, FILE *out)
{
	if (is_plain_text(text)) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f) {
			fprintf(out, "\\x%02x", (unsigned char)*text);
			continue;
		}
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

char *fl_option_text(const struct fl_option *option, const void *target)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	option->type->print(option, target, out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* ------------------------------------------------------------------- lines */

/* One print: where it goes, and what was printed before. */
struct printer {
	const struct fl_config *config; /* NULL = in brief: no defaults, no comments */
	FILE *out;
	char section[96]; /* dotted key of the mapping that the last line was in */
	bool failed;      /* out of memory: something is missing */
};

/* Whether a value goes without saying. */
static bool is_left_out(struct printer *p, const struct fl_option *option, const char *value)
{
	if (!value)
		p->failed = true;
	if (!value || !*value)
		return true;
	return !p->config && option->fallback && strcmp(option->fallback, value) == 0;
}

/* `place` NULL: the default. `file`: the configuration's, or a service's. */
static void end_line(struct printer *p, int width, unsigned line)
{
	int gap = width < COMMENT_COLUMN ? COMMENT_COLUMN - width : 1;

	if (!p->config)
		fputc('\n', p->out);
	else if (line)
		fprintf(p->out, "%*s# %s:%u\n", gap, "", p->config->file, line);
	else
		fprintf(p->out, "%*s# default\n", gap, "");
}

static unsigned line_of(const struct printer *p, const struct fl_option *option, const void *target)
{
	const struct fl_option_origin *origin =
		p->config ? fl_origins_find(p->config->origins, option, target) : NULL;

	return origin ? origin->line : 0;
}

/* Print the mappings that lead to a key, as far as they differ from the last
 * ones. @return how deep the key is below `base` */
static int open_sections(struct printer *p, const char *base, const char *key, int indent)
{
	size_t start = *base ? strlen(base) + 1 : 0;
	int depth = 0;

	for (const char *dot; (dot = strchr(key + start, '.')); start = (size_t)(dot - key) + 1) {
		size_t length = (size_t)(dot - key);

		if (strncmp(p->section, key, length) != 0 ||
			(p->section[length] && p->section[length] != '.'))
			fprintf(p->out, "%*s%.*s:\n", indent + 2 * depth, "", (int)(length - start),
				key + start);
		depth++;
	}
	snprintf(p->section, sizeof(p->section), "%.*s", (int)(start ? start - 1 : 0), key);
	return depth;
}

/* "key: value  # where it came from"; an option that is not set is a comment. */
static void print_option(struct printer *p, const char *base, const struct fl_option *option,
	const void *target, int indent)
{
	_cleanup_free_ char *value = fl_option_text(option, target);
	const char *dot = strrchr(option->key, '.');
	const char *name = dot ? dot + 1 : option->key;
	bool left_out = is_left_out(p, option, value);
	int depth, width;

	if (left_out && !p->config)
		return;
	depth = open_sections(p, base, option->key, indent);
	if (!left_out)
		width = fprintf(p->out, "%*s%s: %s", indent + 2 * depth, "", name, value);
	else
		width = fprintf(p->out, "%*s# %s: %s", indent + 2 * depth, "", name,
			option->fallback_words ? option->fallback_words : "");
	end_line(p, width, line_of(p, option, target));
}

/* ------------------------------------------------------------------- lists */

/* A struct on one line: "{ path: /a, tls: { ca: /b } }". Unset options are left out.
 * @param prefix  key of the list's items */
static int print_flow(
	struct printer *p, enum fl_option_of of, const char *prefix, const void *target)
{
	size_t start = strlen(prefix) + 1;
	int width = fprintf(p->out, "{ ");
	const char *section = ""; /* mapping inside that is open */
	size_t section_length = 0;
	bool some = false;

	for (const struct fl_option *option = fl_options; option->key; option++) {
		_cleanup_free_ char *value = NULL;
		const char *name = option->key + start;
		const char *dot;

		if (option->of != of || option->unsupported ||
			strncmp(option->key, prefix, start - 1) != 0 || name[-1] != '.')
			continue;
		value = fl_option_text(option, target);
		if (is_left_out(p, option, value))
			continue;
		dot = strchr(name, '.');
		if (section_length && (!dot || strncmp(name, section, section_length + 1) != 0)) {
			width += fprintf(p->out, " }");
			section_length = 0;
		}
		width += fprintf(p->out, "%s", some ? ", " : "");
		if (dot && !section_length) {
			section = name;
			section_length = (size_t)(dot - name);
			width += fprintf(p->out, "%.*s: { ", (int)section_length, section);
		}
		width += fprintf(p->out, "%s: %s", dot ? dot + 1 : name, value);
		some = true;
	}
	return width + fprintf(p->out, section_length ? " } }" : " }");
}

static void print_registries(struct printer *p)
{
	const struct fl_config *config = p->config;

	fprintf(p->out, config->registry_count ? "registries:\n" : "registries: []\n");
	for (size_t i = 0; i < config->registry_count; i++) {
		const struct fl_registry_config *registry = config->registries[i];
		int width = fprintf(p->out, "  - %s: ", registry->type);
		char prefix[64];

		snprintf(prefix, sizeof(prefix), "registries.%s", registry->type);
		width += print_flow(p, FL_OF_REGISTRY, prefix, registry);
		end_line(p, width, registry->line);
	}
}

static void print_endpoints(struct printer *p, const struct fl_service *service)
{
	fprintf(p->out, service->endpoint_count ? "    endpoints:\n" : "    endpoints: []\n");
	for (size_t i = 0; i < service->endpoint_count; i++) {
		int width = fprintf(p->out, "      - ");

		width +=
			print_flow(p, FL_OF_ENDPOINT, "services.endpoints", &service->endpoints[i]);
		end_line(p, width, service->endpoints[i].line);
	}
}

static void print_service(struct printer *p, const struct fl_service *service)
{
	const struct fl_option *name = fl_option_find("services.name");
	int width = fprintf(p->out, "  - name: ");

	fl_print_text(service->name, p->out);
	width += (int)strlen(service->name);
	end_line(p, width, line_of(p, name, service));
	strcpy(p->section, "services");
	for (const struct fl_option *option = fl_options; option->key; option++) {
		if (option->of != FL_OF_SERVICE || option->unsupported || option == name)
			continue;
		if (option->type == &fl_type_endpoints)
			print_endpoints(p, service);
		else
			print_option(p, "services", option, service, 4);
	}
}

static void print_services(struct printer *p)
{
	fprintf(p->out, p->config->service_count ? "services:\n" : "services: []\n");
	for (size_t i = 0; i < p->config->service_count; i++)
		print_service(p, p->config->services[i]);
}

int fl_service_print(const struct fl_service *service, FILE *out)
{
	struct printer p = { .out = out };

	print_service(&p, service);
	return p.failed ? -ENOMEM : ferror(out) ? -EIO : 0;
}

void fl_config_print(const struct fl_config *config, FILE *out)
{
	struct printer p = { .config = config, .out = out };

	for (const struct fl_option *option = fl_options; option->key; option++) {
		if (option->of != FL_OF_CONFIG || option->unsupported)
			continue;
		if (option->type == &fl_type_registries)
			print_registries(&p);
		else if (option->type == &fl_type_services)
			print_services(&p);
		else
			print_option(&p, "", option, config, 0);
	}
}
