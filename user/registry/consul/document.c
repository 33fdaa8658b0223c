/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/document.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/cleanup.h"
#include "registry/consul/owner.h"

/* Consul's limit for a value of the metadata. */
#define META_VALUE_MAX 512

const char *fl_consul_status_name(enum fl_consul_status status)
{
	switch (status) {
	case FL_CONSUL_PASSING:
		return "passing";
	case FL_CONSUL_WARNING:
		return "warning";
	case FL_CONSUL_CRITICAL:
		break;
	}
	return "critical";
}

char *fl_consul_verdict_id(const char *id, char buffer[FL_CONSUL_ID + 16])
{
	snprintf(buffer, FL_CONSUL_ID + 16, "%s-verdict", id);
	return buffer;
}

/* ------------------------------------------------------------------- pieces */

/* An endpoint without a port of its own listens on the frontend's. */
static uint16_t port_of(const struct fl_service *service, const struct fl_endpoint *endpoint)
{
	for (size_t i = 0; i < service->frontend_count && !endpoint->port; i++)
		if (service->frontends[i].port)
			return service->frontends[i].port;
	return endpoint->port;
}

/* "fairlead-web-192.0.2.11-8080-5f3a…": readable, and told apart by the hash of
 * all that makes it this one, since other characters become dashes. */
static void write_id(const struct fl_service *service, const char *address, uint16_t port,
	const char *owner, char id[FL_CONSUL_ID])
{
	_cleanup_free_ char *key = NULL;
	int length = asprintf(&key, "%s\n%s\n%s\n%u", owner, service->name, address, port);
	uint64_t hash = length < 0 ? 0 : XXH3_64bits(key, (size_t)length);

	if (length < 0)
		key = NULL;
	snprintf(id, FL_CONSUL_ID, "fairlead-%.100s-%s-%u-%08x", service->name, address, port,
		(unsigned)(hash >> 32));
	for (char *c = id; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
			    *c))
			*c = '-';
}

static void judge(const struct fl_endpoint *endpoint, struct fl_consul_instance *ret)
{
	const char *output = "up";

	ret->status = FL_CONSUL_PASSING;
	if (endpoint->state == FL_DRAINING) {
		ret->status = FL_CONSUL_WARNING;
		output = "draining: old connections only";
	} else if (endpoint->cause == FL_CAUSE_PANIC) {
		ret->status = FL_CONSUL_CRITICAL; /* it is used here for want of others */
		output = "down, and used nevertheless";
	} else if (endpoint->state == FL_DOWN) {
		ret->status = FL_CONSUL_CRITICAL;
		output = "down";
	} else if (endpoint->state == FL_MAINTENANCE) {
		ret->status = FL_CONSUL_CRITICAL;
		ret->maintenance = true;
		output = "maintenance";
	} else if (!endpoint->weight) {
		ret->status = FL_CONSUL_WARNING;
		output = "weight 0: no new connections";
	}
	snprintf(ret->output, sizeof(ret->output), "%s", output);
}

/* Consul knows no weight 0 of a passing instance, but of a warning one: that is
 * how "no new connections" is said. */
static json_t *weights_of(const struct fl_endpoint *endpoint)
{
	bool takes_none = !endpoint->weight || endpoint->state == FL_DRAINING;

	return json_pack("{s:i, s:i}", "Passing", endpoint->weight ? endpoint->weight : 1,
		"Warning", takes_none ? 0 : 1);
}

static json_t *tags_of(const struct fl_service *service)
{
	json_t *tags = json_array();

	for (size_t i = 0; i < service->registration.tag_count; i++)
		if (json_array_append_new(tags, json_string(service->registration.tags[i])) < 0) {
			json_decref(tags);
			return NULL;
		}
	return tags;
}

/* "10.0.0.10:80/tcp [2001:db8::10]:80/tcp"; empty when it would be too long. */
static void write_frontends(const struct fl_service *service, char text[META_VALUE_MAX + 1])
{
	size_t length = 0;

	text[0] = '\0';
	for (size_t i = 0; i < service->frontend_count; i++) {
		char one[FL_SOCKET_TEXT];
		size_t more = strlen(fl_frontend_format(&service->frontends[i], one)) + (i > 0);

		if (length + more > META_VALUE_MAX) {
			text[0] = '\0';
			return;
		}
		snprintf(text + length, META_VALUE_MAX + 1 - length, "%s%s", i ? " " : "", one);
		length += more;
	}
}

/* @return -ENOMEM when `meta` is NULL or cannot take it */
static int put(json_t *meta, const char *key, const char *value)
{
	return json_object_set_new(meta, key, json_string(value)) < 0 ? -ENOMEM : 0;
}

static json_t *meta_of(const struct fl_service *service, const struct fl_endpoint *endpoint,
	const char *owner, struct fl_problems *problems)
{
	const struct fl_registration *registration = &service->registration;
	char frontends[META_VALUE_MAX + 1];
	json_t *meta = json_object();
	int r = 0;

	for (size_t i = 0; i < registration->meta_count && r == 0; i++)
		r = put(meta, registration->meta[i].key, registration->meta[i].value);
	if (r == 0)
		r = put(meta, FL_CONSUL_OWNER_META, owner);
	write_frontends(service, frontends);
	if (r == 0 && *frontends) {
		r = put(meta, "fairlead-frontends", frontends);
		if (r == 0)
			r = put(meta, "fairlead-forward", fl_forward_name(service->forward));
	} else if (r == 0) {
		fl_problem_warn(problems,
			(struct fl_place){ service->file, service->line, service->column },
			"services.frontends: the frontends of %s are longer than the %d bytes "
			"that Consul's metadata can hold: other nodes will not see them",
			service->name, META_VALUE_MAX);
	}
	if (r == 0 && endpoint->zone)
		r = put(meta, "fairlead-zone", endpoint->zone);
	if (r == 0 && endpoint->node)
		r = put(meta, "fairlead-node", endpoint->node);
	if (r == 0)
		return meta;
	json_decref(meta);
	return NULL;
}

/* ------------------------------------------------------------------- checks */

static json_t *seconds(uint32_t s)
{
	return json_sprintf("%us", s);
}

/* As Go reads it: whole seconds look like the configuration's. */
static json_t *millis(uint32_t ms)
{
	return ms % 1000 ? json_sprintf("%ums", ms) : seconds(ms / 1000);
}

static json_t *command_of(const struct fl_check *check)
{
	json_t *list = json_array();

	for (size_t i = 0; i < check->exec_count; i++)
		json_array_append_new(list, json_string(check->exec[i]));
	return list;
}

/* The part that says what is done. @return NULL when out of memory */
static json_t *probe_of(const struct fl_check *check, const char *socket)
{
	switch (fl_check_probe(check)) {
	case FL_PROBE_HTTP:
		return json_pack("{s:o}", "HTTP", json_sprintf("http://%s%s", socket, check->http));
	case FL_PROBE_GRPC:
		return json_pack("{s:o}", "GRPC",
			json_sprintf("%s%s%s", socket, *check->grpc ? "/" : "", check->grpc));
	case FL_PROBE_EXEC:
		return json_pack("{s:o}", "Args", command_of(check));
	case FL_PROBE_UDP:
		return json_pack("{s:s}", "UDP", socket);
	default:
		break;
	}
	return json_pack("{s:s}", "TCP", socket);
}

/* The check that Consul carries out itself. It begins critical, as Consul's do,
 * unless the endpoint is up: a restart shall not take it away. */
static json_t *handed_check(const struct fl_check *check, const char *id, const char *socket,
	enum fl_consul_status status)
{
	json_t *probe = probe_of(check, socket);
	json_t *rest = json_pack("{s:o, s:s, s:s, s:o, s:o, s:i, s:i}", "CheckID",
		json_sprintf("%s-probe", id), "Name", "probe", "Status",
		fl_consul_status_name(status), "Interval", millis(check->interval_ms), "Timeout",
		millis(check->timeout_ms), "SuccessBeforePassing", check->rise,
		"FailuresBeforeCritical", check->fall);

	if (probe && rest && json_object_update(probe, rest) == 0) {
		json_decref(rest);
		return probe;
	}
	json_decref(rest);
	json_decref(probe);
	return NULL;
}

static json_t *verdict_check(
	const char *id, const struct fl_consul_registering *how, enum fl_consul_status status)
{
	char check_id[FL_CONSUL_ID + 16];
	json_t *check = json_pack("{s:s, s:s, s:s, s:o}", "CheckID",
		fl_consul_verdict_id(id, check_id), "Name", "Fairlead's verdict", "Status",
		fl_consul_status_name(status), "TTL", seconds(how->ttl_s));

	if (how->deregister_after_s)
		json_object_set_new(
			check, "DeregisterCriticalServiceAfter", seconds(how->deregister_after_s));
	return check;
}

static json_t *checks_of(const struct fl_service *service, const char *id, const char *socket,
	const struct fl_consul_registering *how, enum fl_consul_status status)
{
	const struct fl_check *check = &service->check;
	json_t *checks = json_array();
	int r = 0;

	if (fl_check_probe(check) != FL_PROBE_NONE)
		r = json_array_append_new(checks, handed_check(check, id, socket, status));
	if (r == 0 && how->verdict)
		r = json_array_append_new(checks, verdict_check(id, how, status));
	if (r == 0)
		return checks;
	json_decref(checks);
	return NULL;
}

/* --------------------------------------------------------------------- whole */

/* Maintenance counts: registering again is what ends it in Consul. */
static void write_hash(const json_t *document, bool maintenance, char hash[17])
{
	_cleanup_free_ char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
	uint64_t value = text ? XXH3_64bits_withSeed(text, strlen(text), maintenance) : 0;

	snprintf(hash, 17, "%016llx", (unsigned long long)value);
}

/* The state at the moment of registering is no reason to register again. */
static int set_status(json_t *document, enum fl_consul_status status)
{
	json_t *check;
	size_t i;

	json_array_foreach(json_object_get(document, "Checks"), i, check)
		if (json_object_set_new(
			    check, "Status", json_string(fl_consul_status_name(status))) < 0)
			return -ENOMEM;
	return 0;
}

int fl_consul_instance_make(const struct fl_service *service, const struct fl_endpoint *endpoint,
	const struct fl_consul_registering *how, struct fl_problems *problems,
	struct fl_consul_instance *ret)
{
	uint16_t port = port_of(service, endpoint);
	char address[FL_SOCKET_TEXT];
	char socket[FL_SOCKET_TEXT];
	json_t *document, *meta;
	int r = -ENOMEM;

	*ret = (struct fl_consul_instance){ 0 };
	fl_ip_format(&endpoint->addr, address);
	fl_socket_format(&endpoint->addr, port, socket);
	write_id(service, address, port, how->owner, ret->id);
	judge(endpoint, ret);
	meta = meta_of(service, endpoint, how->owner, problems);
	document = json_pack("{s:s, s:s, s:s, s:i, s:o, s:O, s:o, s:o}", "ID", ret->id, "Name",
		service->name, "Address", address, "Port", port, "Tags", tags_of(service), "Meta",
		meta, "Weights", weights_of(endpoint), "Checks",
		checks_of(service, ret->id, socket, how, FL_CONSUL_PASSING));
	if (document) {
		write_hash(document, ret->maintenance, ret->hash);
		if (put(meta, FL_CONSUL_META_HASH, ret->hash) == 0 &&
			set_status(document, ret->status) == 0)
			ret->document = json_dumps(document, JSON_COMPACT);
	}
	if (ret->document)
		r = 0;
	json_decref(document);
	json_decref(meta);
	return r;
}

void fl_consul_instance_done(struct fl_consul_instance *instance)
{
	free(instance->document);
	*instance = (struct fl_consul_instance){ 0 };
}
