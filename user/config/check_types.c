/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Types of options that say how endpoints are probed.
 */
#include "config/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/service.h"

#define STATUS_MIN 100
#define STATUS_MAX 599

/* ------------------------------------------------------------------ statuses */

static void describe_statuses(const struct fl_option *option, FILE *out)
{
	fprintf(out, "at most %lld status codes or ranges of them, such as \"200-299, 401\"",
		(long long)option->max);
}

/* @return what follows the number, NULL = there is none that a status can have */
static const char *parse_status(const char *text, uint16_t *ret)
{
	char *end;
	unsigned long number = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;

	if (number < STATUS_MIN || number > STATUS_MAX)
		return NULL;
	*ret = (uint16_t)number;
	return end;
}

/* "200" or "200-299". @return what follows, NULL = it is none */
static const char *parse_range(const char *text, struct fl_statuses *ret)
{
	const char *rest = parse_status(text, &ret->low);

	ret->high = ret->low;
	if (rest && *rest == '-')
		rest = parse_status(rest + 1, &ret->high);
	return rest && ret->low <= ret->high ? rest : NULL;
}

static bool read_statuses(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	size_t *count = (size_t *)((char *)target + option->count_offset);
	struct fl_statuses *statuses = calloc((size_t)option->max, sizeof(*statuses));
	const char *text = node->text;

	if (!statuses)
		return fl_read_no_memory(reader);
	*FL_FIELD(struct fl_statuses *, option, target) = statuses;
	if (!fl_read_is_text(reader, option, node))
		return false;
	do {
		text += strspn(text, " ");
		text = *count < (size_t)option->max ? parse_range(text, &statuses[*count]) : NULL;
		if (!text)
			return fl_read_refuse(reader, option, node, "does not fit");
		(*count)++;
		text += strspn(text, " ");
	} while (*text++ == ',');
	return !text[-1] || fl_read_refuse(reader, option, node, "does not fit");
}

static void print_statuses(const struct fl_option *option, const void *target, FILE *out)
{
	const size_t *count = (const size_t *)((const char *)target + option->count_offset);
	const struct fl_statuses *statuses = *FL_FIELD(struct fl_statuses *, option, target);

	for (size_t i = 0; i < *count; i++) {
		fprintf(out, "%s%u", i ? ", " : "\"", statuses[i].low);
		if (statuses[i].high != statuses[i].low)
			fprintf(out, "-%u", statuses[i].high);
	}
	if (*count)
		fputc('"', out);
}

const struct fl_option_type fl_type_statuses = { describe_statuses, read_statuses, print_statuses };

/* ------------------------------------------------------------------- address */

static void describe_source(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs("an address of this node", out);
}

static bool read_source(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	struct fl_ip *ip = FL_FIELD(struct fl_ip, option, target);

	if (!fl_read_is_text(reader, option, node))
		return false;
	if (fl_ip_parse(node->text, ip) < 0 || !fl_ip_is_host(ip))
		return fl_read_refuse(reader, option, node, "is no address of one host");
	return true;
}

static void print_source(const struct fl_option *option, const void *target, FILE *out)
{
	static const struct fl_ip none;
	const struct fl_ip *ip = FL_FIELD(struct fl_ip, option, target);
	char text[FL_IP_TEXT];

	if (!fl_ip_equal(ip, &none))
		fl_print_text(fl_ip_format(ip, text), out);
}

const struct fl_option_type fl_type_source = { describe_source, read_source, print_source };

/* ------------------------------------------------------------------- payload */

/* Other than in names and paths, line ends are welcome: "PING\\r\\n". */
static void describe_payload(const struct fl_option *option, FILE *out)
{
	fprintf(out, "a text of at most %lld bytes", (long long)option->max);
}

static bool read_payload(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	char **field = FL_FIELD(char *, option, target);
	char *copy;

	if (!fl_read_is_text(reader, option, node))
		return false;
	if (!*node->text || strlen(node->text) > (size_t)option->max)
		return fl_read_refuse(reader, option, node, "is empty or too long");
	copy = strdup(node->text);
	if (!copy)
		return fl_read_no_memory(reader);
	free(*field);
	*field = copy;
	return true;
}

static void print_payload(const struct fl_option *option, const void *target, FILE *out)
{
	const char *text = *FL_FIELD(char *, option, target);

	if (text)
		fl_print_text(text, out);
}

const struct fl_option_type fl_type_payload = { describe_payload, read_payload, print_payload };

/* ------------------------------------------------------------- what fits what */

#define OF(kind) (1u << FL_PROBE_##kind)
#define OF_WEB   (OF(HTTP) | OF(HTTPS))
#define OF_TLS   OF(HTTPS)
#define OF_ALL   (~0u)

/* Options that not every kind of check knows, or that no registry is told. */
static const struct {
	const char *key;
	unsigned kinds;
	const char *words; /* of `kinds` */
} keys[] = {
	{ "port", OF_ALL & ~OF(EXEC), "all kinds but exec" },
	{ "source", OF_ALL & ~OF(EXEC), "all kinds but exec" },
	{ "through", OF_WEB | OF(TCP) | OF(UDP) | OF(GRPC), "http, https, tcp, udp and grpc" },
	{ "method", OF_WEB, "http and https" },
	{ "host", OF_WEB | OF(GRPC), "http, https and grpc" },
	{ "headers", OF_WEB, "http and https" },
	{ "expect", OF_WEB, "http and https" },
	{ "send", OF(TCP) | OF(UDP) | OF(AGENT), "tcp, udp and agent" },
	{ "contains", OF_WEB | OF(TCP) | OF(UDP), "http, https, tcp and udp" },
	{ "tls", OF_TLS, "https" },
	{ "fast_interval", OF_ALL, "" },
	{ "down_interval", OF_ALL, "" },
	{ "start", OF_ALL, "" },
	{ "damping", OF_ALL & ~OF(AGENT), "all kinds but agent" },
	{ "agent", OF(AGENT), "agent" },
	{ "https", OF(HTTPS), "https" },
};

static bool has_one_kind(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, const struct fl_check *check)
{
	int kinds = check->tcp + check->udp + check->agent + !!check->http + !!check->https +
		    !!check->grpc + !!check->exec_count;

	if (kinds == 1)
		return true;
	return fl_read_error(reader, option, node,
		"%s, expected one of http, https, tcp, udp, grpc, exec or agent",
		kinds ? "more than one kind" : "no kind");
}

/* @return false when an error was added */
static bool fits(struct fl_reader *reader, const struct fl_node *node, struct fl_check *check)
{
	unsigned kind = 1u << fl_check_probe(check);
	size_t errors = reader->problems->errors;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct fl_node *given = fl_node_get(node, keys[i].key);

		if (!given)
			continue;
		check->beyond = keys[i].key;
		if (!(keys[i].kinds & kind))
			fl_problem_add(reader->problems,
				(struct fl_place){
					reader->file, given->key_line, given->key_column },
				"services.check.%s: goes with %s, not with %s", keys[i].key,
				keys[i].words, fl_probe_name(fl_check_probe(check)));
	}
	return reader->problems->errors == errors;
}

/* --------------------------------------------------------------------- check */

static void describe_check(const struct fl_option *option, FILE *out)
{
	(void)option;
	fputs("off, or a mapping with http: PATH, https: PATH, tcp: true, udp: true, grpc: NAME, "
	      "exec: [...] or agent: true",
		out);
}

static bool read_check(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, void *target)
{
	struct fl_check *check = FL_FIELD(struct fl_check, option, target);
	size_t errors = reader->problems->errors;

	if (fl_node_is_off(node) || fl_node_is_null(node))
		return true;
	if (node->kind != FL_NODE_MAP)
		return fl_read_refuse(reader, option, node, "does not fit");
	check->line = node->key_line;
	check->column = node->key_column;
	fl_read_options(reader, FL_OF_CHECK, option->key, node, check);
	return reader->problems->errors == errors && has_one_kind(reader, option, node, check) &&
	       fits(reader, node, check);
}

/* "{ http: /healthz, interval: 2s, … }"; tls.ca and its like in their own mapping. */
static void print_check(const struct fl_option *option, const void *target, FILE *out)
{
	const struct fl_check *check = FL_FIELD(struct fl_check, option, target);
	size_t skip = strlen("services.check.");
	bool some = false, inside = false;

	if (fl_check_probe(check) == FL_PROBE_NONE)
		return;
	for (const struct fl_option *row = fl_options; row->key; row++) {
		char *value = row->of == FL_OF_CHECK ? fl_option_text(row, check) : NULL;
		const char *key = row->of == FL_OF_CHECK ? row->key + skip : "";
		bool in_tls = strncmp(key, "tls.", 4) == 0;
		bool unsaid = !value || !*value || strcmp(value, "false") == 0 ||
			      (strcmp(key, "start") == 0 && !check->starts_down) ||
			      (strcmp(key, "through") == 0 && !check->through_tunnel);

		if (!unsaid) {
			if (inside && !in_tls)
				fputs(" }", out);
			fputs(some ? (in_tls && !inside ? ", tls: { " : ", ") : "{ ", out);
			fprintf(out, "%s: %s", in_tls ? key + 4 : key, value);
			inside = in_tls;
			some = true;
		}
		free(value);
	}
	fputs(inside ? " } }" : " }", out);
}

const struct fl_option_type fl_type_check = { describe_check, read_check, print_check };

/* ------------------------------------------------------------------- service */

/* Who can write into a registry must not be able to run programs on the nodes. */
static void check_command(
	struct fl_reader *reader, const struct fl_service *service, struct fl_place place)
{
	if (reader->remote)
		fl_problem_add(reader->problems, place,
			"services.check.exec: stands in a registry, from which no command is run, "
			"expected another kind, or the service to be declared in a file of this "
			"node");
	else if (service->check.exec[0][0] != '/')
		fl_problem_add(reader->problems, place,
			"services.check.exec: %s is not absolute, expected the path of a program "
			"and its arguments",
			service->check.exec[0]);
}

static void check_road(
	struct fl_reader *reader, const struct fl_service *service, struct fl_place place)
{
	if (service->forward != FL_IPIP)
		fl_problem_add(reader->problems, place,
			"services.check.through: tunnel is the road of services in mode ipip, "
			"expected "
			"direct, or forward: ipip");
	else if (service->check.port)
		fl_problem_add(reader->problems, place,
			"services.check.port: in the tunnel it is the frontend's, expected it to "
			"be "
			"absent, or through: direct");
}

static void check_ports(
	struct fl_reader *reader, const struct fl_service *service, struct fl_place place)
{
	for (size_t i = 0; i < service->endpoint_count; i++) {
		char text[FL_IP_TEXT];

		if (fl_service_probe_port(service, &service->endpoints[i]))
			continue;
		fl_problem_add(reader->problems, place,
			"services.check: %s has no port and no frontend has one, expected "
			"services.check.port to say what is probed",
			fl_ip_format(&service->endpoints[i].addr, text));
		return;
	}
}

void fl_read_check_of(struct fl_reader *reader, const struct fl_service *service)
{
	const struct fl_check *check = &service->check;
	struct fl_place place = { reader->file, check->line, check->column };
	enum fl_probe probe = fl_check_probe(check);

	if (!check->line || probe == FL_PROBE_NONE)
		return;
	if (service->registration.registry) {
		if (check->beyond)
			fl_problem_add(reader->problems, place,
				"services.check.%s: no registry can be told that, expected it to "
				"be absent, or the service not to be registered",
				check->beyond);
	} else if (probe == FL_PROBE_EXEC) {
		check_command(reader, service, place);
	} else if (check->through_tunnel) {
		check_road(reader, service, place);
	} else {
		check_ports(reader, service, place);
	}
}
