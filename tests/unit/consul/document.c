/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config/services.h"
#include "registry/consul/document.h"
#include "registry/consul/owner.h"

static const struct fl_consul_registering how = {
	.owner = "n1/consul",
	.verdict = true,
	.ttl_s = 30,
	.deregister_after_s = 600,
};

/* A registered service: keys of it, and its first endpoint. */
static struct fl_service *service_of(const char *keys, const char *endpoint)
{
	struct fl_problems problems = { 0 };
	fl_service_vec services = { 0 };
	struct fl_service *service;
	char text[4096];

	snprintf(text, sizeof(text),
		"services:\n- name: web\n  register: consul\n  endpoints: [{%s}]\n%s", endpoint,
		keys);
	if (!strstr(keys, "frontends:"))
		strcat(text, strchr(endpoint, '[') ? "  frontends: ['[2001:db8::10]:80/tcp']\n"
						   : "  frontends: ['10.0.0.10:80/tcp']\n");
	fl_services_parse(text, strlen(text), "t.yaml", "file", &problems, &services);
	fl_problems_print(&problems, stderr);
	cr_assert_eq(services.count, 1);
	service = fl_service_ref(services.items[0]);
	fl_services_done(&services);
	fl_problems_done(&problems);
	return service;
}

static void make(const char *keys, const char *endpoint,
	const struct fl_consul_registering *registering, struct fl_problems *problems,
	struct fl_consul_instance *ret)
{
	struct fl_service *service = service_of(keys, endpoint);

	cr_assert_eq(fl_consul_instance_make(
			     service, &service->endpoints[0], registering, problems, ret),
		0);
	fl_service_unref(service);
}

/* The value at a path of keys and numbers, as JSON. @return to be freed */
static char *value_at(const char *document, const char *path)
{
	json_t *root = json_loads(document, 0, NULL);
	char *copy = strdup(path), *rest = NULL;
	json_t *at = root;
	char *value;

	for (char *key = strtok_r(copy, ".", &rest); key; key = strtok_r(NULL, ".", &rest))
		at = json_is_array(at) ? json_array_get(at, (size_t)atoi(key))
				       : json_object_get(at, key);
	value = at ? json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS)
		   : strdup("absent");
	json_decref(root);
	free(copy);
	return value;
}

#define PLAIN "address: 192.0.2.1"

static const struct {
	const char *keys, *endpoint, *path, *value;
} documents[] = {
	{ "", PLAIN, "Name", "\"web\"" },
	{ "", "address: '192.0.2.1:8080'", "Address", "\"192.0.2.1\"" },
	{ "", "address: '192.0.2.1:8080'", "Port", "8080" },
	{ "", PLAIN, "Port", "80" },
	{ "", "address: '[2001:db8::1]:8080'", "Address", "\"2001:db8::1\"" },
	{ "  tags: [v2, x]\n", PLAIN, "Tags", "[\"v2\",\"x\"]" },
	{ "  meta: {team: shop}\n", PLAIN, "Meta.team", "\"shop\"" },
	{ "  frontends: ['10.0.0.10:80/tcp', '10.0.0.10:53/udp']\n", PLAIN,
		"Meta.fairlead-frontends", "\"10.0.0.10:80/tcp 10.0.0.10:53/udp\"" },
	{ "", "address: '[2001:db8::1]:8080'", "Meta.fairlead-frontends",
		"\"[2001:db8::10]:80/tcp\"" },
	{ "  forward: ipip\n", PLAIN, "Meta.fairlead-forward", "\"ipip\"" },
	{ "", PLAIN, "Meta." FL_CONSUL_OWNER_META, "\"n1/consul\"" },
	{ "", PLAIN ", zone: a", "Meta.fairlead-zone", "\"a\"" },
	{ "", PLAIN ", node: x", "Meta.fairlead-node", "\"x\"" },
	{ "", PLAIN ", weight: 7", "Weights", "{\"Passing\":7,\"Warning\":1}" },
	{ "", PLAIN ", weight: 0", "Weights", "{\"Passing\":1,\"Warning\":0}" },
	{ "", PLAIN ", weight: 3, state: draining", "Weights", "{\"Passing\":3,\"Warning\":0}" },
	{ "", PLAIN, "Checks.0.Name", "\"Fairlead's verdict\"" },
	{ "", PLAIN, "Checks.0.TTL", "\"30s\"" },
	{ "", PLAIN, "Checks.0.DeregisterCriticalServiceAfter", "\"600s\"" },
	{ "", PLAIN ", state: down", "Checks.0.Status", "\"critical\"" },
	{ "", PLAIN, "Checks.1", "absent" },
	{ "  check: {http: '/health?x=1'}\n", PLAIN, "Checks.0.HTTP",
		"\"http://192.0.2.1:80/health?x=1\"" },
	{ "  check: {http: /}\n", "address: '[2001:db8::1]:81'", "Checks.0.HTTP",
		"\"http://[2001:db8::1]:81/\"" },
	{ "  check: {tcp: true}\n", PLAIN, "Checks.0.TCP", "\"192.0.2.1:80\"" },
	{ "  check: {udp: true}\n", PLAIN, "Checks.0.UDP", "\"192.0.2.1:80\"" },
	{ "  check: {grpc: shop.Cart}\n", PLAIN, "Checks.0.GRPC", "\"192.0.2.1:80/shop.Cart\"" },
	{ "  check: {grpc: ''}\n", PLAIN, "Checks.0.GRPC", "\"192.0.2.1:80\"" },
	{ "  check: {exec: [/bin/test, -e, /x]}\n", PLAIN, "Checks.0.Args",
		"[\"/bin/test\",\"-e\",\"/x\"]" },
	{ "  check: {tcp: true, interval: 1m30s}\n", PLAIN, "Checks.0.Interval", "\"90s\"" },
	{ "  check: {tcp: true, timeout: 4s}\n", PLAIN, "Checks.0.Timeout", "\"4s\"" },
	{ "  check: {tcp: true, rise: 4}\n", PLAIN, "Checks.0.SuccessBeforePassing", "4" },
	{ "  check: {tcp: true, fall: 5}\n", PLAIN, "Checks.0.FailuresBeforeCritical", "5" },
	{ "  check: {tcp: true}\n", PLAIN, "Checks.1.TTL", "\"30s\"" },
};

Test(consul_document, each_part_where_consul_wants_it)
{
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		struct fl_consul_instance instance;
		struct fl_problems problems = { 0 };
		char *value;

		make(documents[i].keys, documents[i].endpoint, &how, &problems, &instance);
		value = value_at(instance.document, documents[i].path);
		cr_expect_str_eq(value, documents[i].value, "%s of {%s} %s: %s", documents[i].path,
			documents[i].endpoint, documents[i].keys, value);
		cr_expect_eq(problems.count, 0);
		free(value);
		fl_consul_instance_done(&instance);
	}
}

static const struct {
	const char *endpoint;
	enum fl_consul_status status;
	bool maintenance;
	const char *output;
} verdicts[] = {
	{ PLAIN, FL_CONSUL_PASSING, false, "up" },
	{ PLAIN ", weight: 0", FL_CONSUL_WARNING, false, "weight 0: no new connections" },
	{ PLAIN ", state: draining", FL_CONSUL_WARNING, false, "draining: old connections only" },
	{ PLAIN ", state: down", FL_CONSUL_CRITICAL, false, "down" },
	{ PLAIN ", state: maintenance", FL_CONSUL_CRITICAL, true, "maintenance" },
};

Test(consul_document, states_as_consul_knows_them)
{
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		struct fl_consul_instance instance;
		struct fl_problems problems = { 0 };

		make("", verdicts[i].endpoint, &how, &problems, &instance);
		cr_expect_eq(instance.status, verdicts[i].status, "%s", verdicts[i].endpoint);
		cr_expect_eq(
			instance.maintenance, verdicts[i].maintenance, "%s", verdicts[i].endpoint);
		cr_expect_str_eq(instance.output, verdicts[i].output);
		fl_consul_instance_done(&instance);
	}
}

/* Which changes make it necessary to register again. */
static const struct {
	const char *before, *after;
	bool again;
} changes[] = {
	{ PLAIN, PLAIN, false },
	{ PLAIN, PLAIN ", state: down", false },
	{ PLAIN, PLAIN ", weight: 2", true },
	{ PLAIN, PLAIN ", state: draining", true },
	{ PLAIN, PLAIN ", zone: b", true },
	{ PLAIN ", state: maintenance", PLAIN, true },
	{ PLAIN ", state: maintenance", PLAIN ", state: down", true },
};

Test(consul_document, registered_again_when_it_must_be)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct fl_consul_instance before, after;
		struct fl_problems problems = { 0 };

		make("", changes[i].before, &how, &problems, &before);
		make("", changes[i].after, &how, &problems, &after);
		cr_expect_str_eq(before.id, after.id);
		cr_expect_eq(strcmp(before.hash, after.hash) != 0, changes[i].again, "%s, then %s",
			changes[i].before, changes[i].after);
		fl_consul_instance_done(&before);
		fl_consul_instance_done(&after);
	}
}

/* Ids go into URLs, and what becomes the same text must not become the same id. */
Test(consul_document, ids_are_safe_and_told_apart)
{
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	struct fl_consul_registering other = how;
	struct fl_problems problems = { 0 };
	struct fl_consul_instance a, b, c;

	other.owner = "n2/consul";
	make("", "address: '[2001:db8::1]:80'", &how, &problems, &a);
	make("", "address: '[2001:db8:1::]:80'", &how, &problems, &b);
	make("", "address: '[2001:db8::1]:80'", &other, &problems, &c);
	cr_expect_eq(strspn(a.id, safe), strlen(a.id), "%s", a.id);
	cr_expect_str_neq(a.id, b.id);
	cr_expect_str_neq(a.id, c.id, "of another node");
	fl_consul_instance_done(&a);
	fl_consul_instance_done(&b);
	fl_consul_instance_done(&c);
}

/* Consul takes 512 bytes: what is longer is left out, and that is said. */
Test(consul_document, frontends_that_do_not_fit_are_told_of)
{
	char keys[2048] = "  frontends: [";
	struct fl_consul_instance instance;
	struct fl_problems problems = { 0 };
	char *value;

	for (int i = 0; i < 40; i++)
		snprintf(keys + strlen(keys), 64, "'10.0.0.%d:8080/tcp', ", i);
	strcat(keys, "]\n");
	make(keys, PLAIN, &how, &problems, &instance);
	cr_assert_eq(problems.count, 1);
	cr_expect(problems.items[0].warning);
	cr_expect(strstr(problems.items[0].message, "512 bytes"), "%s", problems.items[0].message);
	value = value_at(instance.document, "Meta.fairlead-frontends");
	cr_expect_str_eq(value, "absent");
	free(value);
	fl_consul_instance_done(&instance);
	fl_problems_done(&problems);
}
