/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Types of options that make up a service: its name, frontends and endpoints,
 * and the list of services itself.
 */
#include "config/option.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

/* -------------------------------------------------------------------- name */

static bool is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_service_name(const char *name)
{
	if (!is_name_character(*name))
		return false;
	for (; *name; name++)
		if (!is_name_character(*name) && !strchr("._/-", *name))
			return false;
	return true;
}

static void describe_name(const struct fl_option *option, FILE *out)
{
	fprintf(out, "1-%lld of letters, digits and ._/-, a letter or digit first",
		(long long)option->max);
}

static bool read_name(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	char **field = FL_FIELD(char *, option, target);
	char *name;

	if (!fl_read_is_text(reader, option, node))
		return false;
	if (!is_service_name(node->text))
		return fl_read_refuse(reader, option, node, "is no name of a service");
	if (strlen(node->text) > (size_t)option->max)
		return fl_read_refuse(reader, option, node, "is too long");
	name = strdup(node->text);
	if (!name)
		return fl_read_no_memory(reader);
	free(*field);
	*field = name;
	return true;
}

static void print_name(const struct fl_option *option, const void *target, FILE *out)
{
	fl_print_text(*FL_FIELD(char *, option, target), out);
}

const struct fl_option_type fl_type_service_name = { describe_name, read_name, print_name };

/* --------------------------------------------------------------- frontends */

static void describe_frontends(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a list of 1-%lld ADDRESS:PORT/PROTOCOL, such as \"10.0.0.10:80/tcp\"",
		(long long)option->max);
}

static bool refuse_frontend(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, const char *why)
{
	char shown[FL_NODE_TEXT];

	return fl_read_error(reader, option, node,
		"%s %s, expected ADDRESS:PORT/tcp or ADDRESS:PORT/udp, an IPv6 address in "
		"brackets, port 0 = every port",
		fl_node_show(node, shown), why);
}

static bool read_frontend(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, struct fl_frontend *ret)
{
	char text[FL_SOCKET_TEXT];
	const char *slash;

	if (node->kind != FL_NODE_SCALAR || fl_node_is_null(node))
		return refuse_frontend(reader, option, node, "does not fit");
	slash = strrchr(node->text, '/');
	if (!slash)
		return refuse_frontend(reader, option, node, "has no protocol");
	if (strcmp(slash, "/tcp") == 0)
		ret->proto = IPPROTO_TCP;
	else if (strcmp(slash, "/udp") == 0)
		ret->proto = IPPROTO_UDP;
	else
		return refuse_frontend(reader, option, node, "has another protocol");
	if ((size_t)(slash - node->text) >= sizeof(text))
		return refuse_frontend(reader, option, node, "is no address with a port");
	memcpy(text, node->text, (size_t)(slash - node->text));
	text[slash - node->text] = '\0';
	if (fl_socket_parse(text, true, &ret->addr, &ret->port) < 0)
		return refuse_frontend(reader, option, node, "is no address with a port");
	if (!fl_ip_is_host(&ret->addr))
		return refuse_frontend(reader, option, node, "is no address of one host");
	return true;
}

static bool read_frontends(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	bool good = true;

	if (!fl_read_is_list(reader, option, node))
		return false;
	for (const struct fl_node *item = node->first; item; item = item->next) {
		struct fl_frontend frontend = { .line = item->line, .column = item->column };
		struct fl_frontend *added;

		if (!read_frontend(reader, option, item, &frontend)) {
			good = false;
			continue;
		}
		added = fl_service_add_frontend(target);
		if (!added)
			return fl_read_no_memory(reader);
		*added = frontend;
	}
	return good;
}

static void print_frontends(const struct fl_option *option, const void *target, FILE *out)
{
	const struct fl_service *service = target;
	char text[FL_SOCKET_TEXT];

	(void)option;
	for (size_t i = 0; i < service->frontend_count; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "[",
			fl_frontend_format(&service->frontends[i], text));
	fputs(service->frontend_count ? "]" : "[]", out);
}

const struct fl_option_type fl_type_frontends = { describe_frontends, read_frontends,
	print_frontends };

/* --------------------------------------------------------------- endpoints */

static void describe_address(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs("ADDRESS:PORT, \"[ADDRESS]:PORT\" for IPv6, or ADDRESS for the frontend's port", out);
}

static bool read_address(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	struct fl_endpoint *endpoint = target;

	if (!fl_read_is_text(reader, option, node))
		return false;
	if (fl_socket_parse(node->text, false, &endpoint->addr, &endpoint->port) < 0)
		return fl_read_refuse(reader, option, node, "is no address");
	if (!fl_ip_is_host(&endpoint->addr))
		return fl_read_refuse(reader, option, node, "is no address of one host");
	return true;
}

static void print_address(const struct fl_option *option, const void *target, FILE *out)
{
	const struct fl_endpoint *endpoint = target;
	char text[FL_SOCKET_TEXT];

	(void)option;
	if (endpoint->port)
		fl_socket_format(&endpoint->addr, endpoint->port, text);
	else
		fl_ip_format(&endpoint->addr, text);
	fl_print_text(text, out);
}

const struct fl_option_type fl_type_endpoint_address = { describe_address, read_address,
	print_address };

static void describe_endpoints(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a list of at most %lld mappings with an address ([] = none)",
		(long long)option->max);
}

static bool read_endpoints(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	struct fl_service *service = target;
	size_t errors = reader->problems->errors;

	if (!fl_read_is_list(reader, option, node))
		return false;
	if (node->count > (size_t)option->max)
		return fl_read_error(reader, option, node, "%zu items, expected at most %lld",
			node->count, (long long)option->max);
	for (const struct fl_node *item = node->first; item; item = item->next) {
		size_t errors_before = reader->problems->errors;
		struct fl_endpoint *endpoint = fl_service_add_endpoint(service);

		if (!endpoint)
			return fl_read_no_memory(reader);
		endpoint->line = item->line;
		endpoint->column = item->column;
		fl_read_options(reader, FL_OF_ENDPOINT, option->key, item, endpoint);
		if (item->broken || reader->problems->errors != errors_before)
			fl_service_drop_endpoint(service);
	}
	return reader->problems->errors == errors;
}

/* One on a line, in print.c. */
static void print_nothing(const struct fl_option *option, const void *target, FILE *out)
{
	(void)option, (void)target, (void)out;
}

const struct fl_option_type fl_type_endpoints = { describe_endpoints, read_endpoints,
	print_nothing };

/* ---------------------------------------------------------------- services */

static void describe_services(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs("a list of mappings with name, frontends and endpoints", out);
}

struct fl_service *fl_read_service(struct fl_reader *reader, const struct fl_node *node)
{
	size_t errors = reader->problems->errors;
	struct fl_service *service = fl_service_new("(unnamed)");

	if (service) {
		service->file = strdup(reader->file);
		service->registry = strdup(reader->registry);
	}
	if (!service || !service->file || !service->registry) {
		fl_service_unref(service);
		fl_read_no_memory(reader);
		return NULL;
	}
	service->line = node->line;
	service->column = node->column;
	service->varies = reader->varies;
	fl_read_options(reader, FL_OF_SERVICE, "services", node, service);
	fl_read_check_of(reader, service);
	service->incomplete =
		node->broken || reader->no_memory || reader->problems->errors != errors;
	return service;
}

/* @return NULL when it had errors, which were added */
static struct fl_service *read_finished(struct fl_reader *reader, const struct fl_node *node)
{
	size_t errors = reader->problems->errors;
	struct fl_service *service = fl_read_service(reader, node);

	if (!service)
		return NULL;
	if (node->kind == FL_NODE_MAP)
		fl_service_finish(service, reader->problems);
	if (!service->incomplete && reader->problems->errors == errors)
		return service;
	fl_service_unref(service);
	return NULL;
}

static bool read_services(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	struct fl_service **services;
	size_t *count = (size_t *)((char *)target + option->count_offset);
	size_t errors = reader->problems->errors;

	if (!fl_read_is_list(reader, option, node))
		return false;
	services = calloc(node->count + 1, sizeof(struct fl_service *));
	if (!services)
		return fl_read_no_memory(reader);
	*FL_FIELD(struct fl_service **, option, target) = services;
	for (const struct fl_node *item = node->first; item; item = item->next) {
		struct fl_service *service = read_finished(reader, item);

		if (service)
			services[(*count)++] = service;
	}
	return reader->problems->errors == errors;
}

const struct fl_option_type fl_type_services = { describe_services, read_services, print_nothing };
