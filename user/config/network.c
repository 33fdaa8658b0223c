/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Types of options that name interfaces, addresses and ports.
 */
#include "config/option.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "dns/message.h"

#define INTERFACE_NAME_MAX 15 /* IFNAMSIZ without the NUL */

/* A node of a list and the place its value goes to are read by these. */
typedef bool (*item_reader)(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *item);

static bool refuse_item(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, const char *why, const char *expected)
{
	char shown[FL_NODE_TEXT];

	return fl_read_error(reader, option, node, "%s %s, expected %s", fl_node_show(node, shown),
		why, expected);
}

/* Read every item that is good; the others are told. */
static bool read_list(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target, size_t item_size, size_t most, item_reader read)
{
	size_t *count = (size_t *)((char *)target + option->count_offset);
	bool good = true;
	char *items;

	if (!fl_read_is_list(reader, option, node))
		return false;
	if (node->count > most)
		return fl_read_error(
			reader, option, node, "%zu items, expected at most %zu", node->count, most);
	items = calloc(node->count + 1, item_size);
	if (!items)
		return fl_read_no_memory(reader);
	*FL_FIELD(void *, option, target) = items;
	for (const struct fl_node *item = node->first; item; item = item->next) {
		if (read(reader, option, item, items + *count * item_size))
			(*count)++;
		else
			good = false;
	}
	return good;
}

/* The earlier of two nodes of a list with the same text as `node`, or NULL. */
static const struct fl_node *earlier_twin(const struct fl_node *list, const struct fl_node *node)
{
	for (const struct fl_node *item = list->first; item != node; item = item->next)
		if (item->kind == FL_NODE_SCALAR && strcmp(item->text, node->text) == 0)
			return item;
	return NULL;
}

static bool has_no_twins(
	struct fl_reader *reader, const struct fl_option *option, const struct fl_node *list)
{
	bool good = true;

	for (const struct fl_node *item = list->first; item; item = item->next) {
		const struct fl_node *twin =
			item->kind == FL_NODE_SCALAR ? earlier_twin(list, item) : NULL;
		char shown[FL_NODE_TEXT];

		if (twin && !item->broken)
			good = fl_read_error(reader, option, item,
				"%s stands at %u:%u already, expected each only once",
				fl_node_show(item, shown), twin->line, twin->column);
	}
	return good;
}

static void begin_list(FILE *out, size_t index)
{
	fputs(index ? ", " : "[", out);
}

static void end_list(FILE *out, size_t count)
{
	fputs(count ? "]" : "[]", out);
}

/* -------------------------------------------------------------- interfaces */

/* As the kernel has it (dev_valid_name). */
static bool is_interface_name(const char *name)
{
	size_t length = strlen(name);

	if (!length || length > INTERFACE_NAME_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (*name == '/' || *name == ':' || isspace((unsigned char)*name) ||
			iscntrl((unsigned char)*name))
			return false;
	return true;
}

static void describe_interfaces(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a list of at most %lld interface names of 1-15 characters",
		(long long)option->max);
}

static bool read_interface(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *item)
{
	if (node->kind != FL_NODE_SCALAR || !is_interface_name(node->text))
		return refuse_item(reader, option, node, "is no name of an interface",
			"1-15 characters without spaces, / and :");
	*(char **)item = strdup(node->text);
	return *(char **)item ? true : fl_read_no_memory(reader);
}

static bool read_interfaces(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	bool good = read_list(
		reader, option, node, target, sizeof(char *), (size_t)option->max, read_interface);

	return good && has_no_twins(reader, option, node);
}

static void print_interfaces(const struct fl_option *option, const void *target, FILE *out)
{
	char *const *names = *FL_FIELD(char **, option, target);
	size_t count = *(const size_t *)((const char *)target + option->count_offset);

	for (size_t i = 0; i < count; i++) {
		begin_list(out, i);
		fl_print_text(names[i], out);
	}
	end_list(out, count);
}

const struct fl_option_type fl_type_interfaces = { describe_interfaces, read_interfaces,
	print_interfaces };

/* --------------------------------------------------------------- addresses */

/* Whether one node can have it and send from it. */
static bool is_own_address(const struct fl_ip *ip)
{
	return !fl_ip_is_unspecified(ip) && !fl_ip_is_multicast(ip) && !fl_ip_is_loopback(ip);
}

static void describe_addresses(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a list of at most %lld addresses of each family", (long long)option->max);
}

static bool read_address(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *item)
{
	struct fl_ip *ip = item;

	if (node->kind != FL_NODE_SCALAR || fl_ip_parse(node->text, ip) < 0)
		return refuse_item(
			reader, option, node, "is no address", "an IPv4 or IPv6 address");
	if (!is_own_address(ip))
		return refuse_item(reader, option, node, "is no address of one node",
			"one that can be a source");
	return true;
}

static bool has_no_equal_addresses(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, const struct fl_ip *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (fl_ip_equal(&items[i], &items[j]))
				return fl_read_error(reader, option, node,
					"an address twice, expected each only once");
	return true;
}

static bool read_addresses(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	const size_t *count = (const size_t *)((const char *)target + option->count_offset);
	size_t of_family[FL_FAMILIES] = { 0 };
	const struct fl_ip *items;

	if (!read_list(reader, option, node, target, sizeof(struct fl_ip),
		    (size_t)option->max * FL_FAMILIES, read_address))
		return false;
	items = *FL_FIELD(struct fl_ip *, option, target);
	for (size_t i = 0; i < *count; i++)
		if (++of_family[fl_ip_family(&items[i])] > (size_t)option->max)
			return fl_read_refuse(reader, option, node, "has too many");
	return has_no_equal_addresses(reader, option, node, items, *count);
}

static void print_addresses(const struct fl_option *option, const void *target, FILE *out)
{
	const struct fl_ip *items = *FL_FIELD(struct fl_ip *, option, target);
	size_t count = *(const size_t *)((const char *)target + option->count_offset);
	char text[FL_IP_TEXT];

	for (size_t i = 0; i < count; i++) {
		begin_list(out, i);
		fl_print_text(fl_ip_format(&items[i], text), out);
	}
	end_list(out, count);
}

const struct fl_option_type fl_type_addresses = { describe_addresses, read_addresses,
	print_addresses };

/* ---------------------------------------------------------------- prefixes */

static void print_prefix(const struct fl_prefix *prefix, FILE *out)
{
	char address[FL_IP_TEXT];
	char text[FL_IP_TEXT + 4];

	fl_ip_format(&prefix->addr, address);
	if (prefix->bits == (fl_ip_family(&prefix->addr) == FL_IPV4 ? 32 : 128))
		snprintf(text, sizeof(text), "%s", address);
	else
		snprintf(text, sizeof(text), "%s/%u", address, prefix->bits);
	fl_print_text(text, out);
}

static void describe_prefixes(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a list of at most %lld addresses or prefixes (192.0.2.0/24)",
		(long long)option->max);
}

static bool read_prefix(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *item)
{
	if (node->kind != FL_NODE_SCALAR || fl_prefix_parse(node->text, item) < 0)
		return refuse_item(reader, option, node, "is no address or prefix",
			"one such as 192.0.2.0/24, the bits beyond the prefix 0");
	return true;
}

static bool read_prefixes(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	bool good = read_list(reader, option, node, target, sizeof(struct fl_prefix),
		(size_t)option->max, read_prefix);

	return good && has_no_twins(reader, option, node);
}

static void print_prefixes(const struct fl_option *option, const void *target, FILE *out)
{
	const struct fl_prefix *items = *FL_FIELD(struct fl_prefix *, option, target);
	size_t count = *(const size_t *)((const char *)target + option->count_offset);

	for (size_t i = 0; i < count; i++) {
		begin_list(out, i);
		print_prefix(&items[i], out);
	}
	end_list(out, count);
}

const struct fl_option_type fl_type_prefixes = { describe_prefixes, read_prefixes, print_prefixes };

/* Fills two fields, so the row has none. */

static void describe_tunnel_source(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs("an address, a prefix, or a list of one for each family", out);
}

static bool read_one_source(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, struct fl_config *config)
{
	struct fl_prefix prefix;
	enum fl_family family;

	if (!read_prefix(reader, option, node, &prefix))
		return false;
	if (!is_own_address(&prefix.addr))
		return fl_read_refuse(reader, option, node, "is no address of one node");
	family = fl_ip_family(&prefix.addr);
	if (config->has_tunnel_source[family])
		return fl_read_refuse(reader, option, node, "is the second of its family");
	config->has_tunnel_source[family] = true;
	config->tunnel_source[family] = prefix;
	return true;
}

static bool read_tunnel_source(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	bool good = true;

	if (node->kind != FL_NODE_LIST)
		return read_one_source(reader, option, node, target);
	for (const struct fl_node *item = node->first; item; item = item->next)
		good = read_one_source(reader, option, item, target) && good;
	return good;
}

static void print_tunnel_source(const struct fl_option *option, const void *target, FILE *out)
{
	const struct fl_config *config = target;
	size_t count = 0;

	(void)option;
	for (enum fl_family family = 0; family < FL_FAMILIES; family++) {
		if (!config->has_tunnel_source[family])
			continue;
		begin_list(out, count++);
		print_prefix(&config->tunnel_source[family], out);
	}
	end_list(out, count);
}

const struct fl_option_type fl_type_tunnel_source = { describe_tunnel_source, read_tunnel_source,
	print_tunnel_source };

/* ------------------------------------------------------------------- ports */

static void describe_listen(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs("ADDRESS:PORT with a port 1-65535, or off", out);
}

static bool read_listen(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	struct fl_listen *listen = FL_FIELD(struct fl_listen, option, target);
	struct fl_ip addr;
	uint16_t port;

	if (!fl_read_is_text(reader, option, node))
		return false;
	if (strcmp(node->text, "off") == 0 || fl_node_is_off(node)) { /* quoted or not */
		listen->port = 0;
		return true;
	}
	if (fl_socket_parse(node->text, true, &addr, &port) < 0 || !port)
		return fl_read_refuse(reader, option, node, "is no address with a port");
	if (fl_ip_is_multicast(&addr))
		return fl_read_refuse(reader, option, node, "is a multicast address");
	*listen = (struct fl_listen){ addr, port };
	return true;
}

static void print_listen(const struct fl_option *option, const void *target, FILE *out)
{
	const struct fl_listen *listen = FL_FIELD(const struct fl_listen, option, target);
	char text[FL_SOCKET_TEXT];

	if (listen->port)
		fl_print_text(fl_socket_format(&listen->addr, listen->port, text), out);
	else
		fputs("off", out);
}

const struct fl_option_type fl_type_listen = { describe_listen, read_listen, print_listen };

static void describe_domain(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a domain name of at most %lld bytes, without a dot at its end",
		(long long)option->max);
}

static bool read_domain(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	char **field = FL_FIELD(char *, option, target);
	struct fl_dns_name name;
	char *copy;

	if (!fl_read_is_text(reader, option, node))
		return false;
	if (strlen(node->text) > (size_t)option->max)
		return fl_read_refuse(reader, option, node, "is too long");
	if (fl_dns_name_from_text(node->text, &name) < 0)
		return fl_read_refuse(reader, option, node, "is no domain name");
	copy = strdup(node->text);
	if (!copy)
		return fl_read_no_memory(reader);
	free(*field);
	*field = copy;
	return true;
}

static void print_domain(const struct fl_option *option, const void *target, FILE *out)
{
	fl_print_text(*FL_FIELD(char *, option, target), out);
}

const struct fl_option_type fl_type_domain = { describe_domain, read_domain, print_domain };

static void describe_ports(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs("a range FIRST-LAST of ports 1-65535", out);
}

/* @return the number at the start of `text`, and where it ends; 0 = none in 1-65535 */
static unsigned port_at(const char *text, const char **ret_end)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long value = digits && digits <= 5 ? strtoul(text, NULL, 10) : 0;

	*ret_end = text + digits;
	return value > 65535 || *text == '0' ? 0 : (unsigned)value;
}

static bool read_ports(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	struct fl_config *config = target;
	const char *rest;
	const char *end;
	unsigned first;
	unsigned last;

	if (!fl_read_is_text(reader, option, node))
		return false;
	first = port_at(node->text, &rest);
	if (*rest != '-')
		return fl_read_refuse(reader, option, node, "is no range");
	last = port_at(rest + 1, &end);
	if (*end || !first || !last)
		return fl_read_refuse(reader, option, node, "is no range of ports");
	if (first > last)
		return fl_read_refuse(reader, option, node, "ends before it begins");
	config->nat_port_min = (uint16_t)first;
	config->nat_port_max = (uint16_t)last;
	return true;
}

static void print_ports(const struct fl_option *option, const void *target, FILE *out)
{
	const struct fl_config *config = target;

	(void)option;
	fprintf(out, "%u-%u", config->nat_port_min, config->nat_port_max);
}

const struct fl_option_type fl_type_ports = { describe_ports, read_ports, print_ports };
