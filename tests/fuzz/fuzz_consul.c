/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Answers of Consul. The first byte says which: h health, c catalogue, k key-value store. What
 * is taken must be JSON, as jansson sees it, and whatever comes out must be sound. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"
#include "registry/consul/build.h"
#include "registry/consul/catalog.h"
#include "registry/consul/kv.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* In place is where it is read: each parser gets its own copy of exactly that size. */
static char *copy_of(const uint8_t *bytes, size_t size)
{
	char *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, bytes, size);
	return copy;
}

static void check_outcome(const uint8_t *bytes, size_t size, int r, const char *why)
{
	json_error_t error;
	json_t *tree;

	if (r != 0 && r != -EBADMSG)
		native_fail("consul: answer %d", r);
	if (r == -EBADMSG) {
		if (!strstr(why, ", at byte "))
			native_fail("consul: refused without a reason: %s", why);
		return;
	}
	tree = json_loadb((const char *)bytes, size, 0, &error);
	/* A number beyond a double is JSON, but nothing that jansson can keep. */
	if (!tree && json_error_code(&error) != json_error_numeric_overflow)
		native_fail("consul: taken, though it is no JSON: %s", error.text);
	json_decref(tree);
}

static void check_problems(struct fl_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		char line[1024];

		fl_problem_format(&problems->items[i], line, sizeof(line));
		for (const char *c = line; *c; c++)
			if ((unsigned char)*c < 0x20)
				native_fail("consul: a control character in '%s'", line);
	}
	fl_problems_done(problems);
}

/* What the instances say of the service, or one that takes everything. */
static struct fl_service *begin(const struct fl_consul_health *health, struct fl_problems *problems)
{
	char fallback[] = "10.0.0.1:0/tcp [2001:db8::1]:0/udp";
	struct fl_consul_settings settings = { { fallback } };
	struct fl_service *service = NULL;

	if (health->settings.values[FL_CONSUL_FRONTENDS] &&
		fl_consul_settings_begin(
			&health->settings, "web", "fuzz", "consul", problems, &service) == 0)
		return service;
	fl_consul_settings_begin(&settings, "web", "fuzz", "consul", problems, &service);
	return service;
}

static void check_service(const struct fl_service *service)
{
	for (size_t i = 0; i < service->endpoint_count; i++) {
		const struct fl_endpoint *endpoint = &service->endpoints[i];

		if (!fl_ip_is_host(&endpoint->addr) ||
			(endpoint->state != FL_UP && endpoint->state != FL_DOWN &&
				endpoint->state != FL_DRAINING))
			native_fail("consul: endpoint %zu", i);
		if (i && fl_ip_compare(&endpoint[-1].addr, &endpoint->addr) > 0)
			native_fail("consul: endpoint %zu out of order", i);
	}
}

static void try_health(const uint8_t *bytes, size_t size)
{
	struct fl_consul_health health;
	struct fl_problems problems = { 0 };
	struct fl_service *service;
	char *body = copy_of(bytes, size);
	char why[256] = "";
	int r = fl_consul_health_parse(
		body, size, "fuzz", "edge-1/consul", &health, why, sizeof(why));

	free(body);
	check_outcome(bytes, size, r, why);
	if (r < 0)
		return;
	service = begin(&health, &problems);
	if (service && fl_consul_build(service, &health, "fuzz", &problems) == 0)
		check_service(service);
	fl_service_unref(service);
	check_problems(&health.problems);
	check_problems(&problems);
	fl_consul_health_done(&health);
}

static void try_catalog(const uint8_t *bytes, size_t size)
{
	char lb[] = "lb", pattern[] = "[a-w]*";
	char *tags[] = { lb };
	struct fl_consul_config config = {
		.tags = tags, .tag_count = size & 1, .pattern = pattern
	};
	fl_consul_names names;
	char *body = copy_of(bytes, size);
	char why[256] = "";
	int r = fl_consul_catalog_parse(body, size, &config, &names, why, sizeof(why));

	free(body);
	check_outcome(bytes, size, r, why);
	if (r < 0)
		return;
	for (size_t i = 0; i < names.count; i++)
		if (!fl_consul_names_has(&names, names.items[i]))
			native_fail("consul: name %zu is not found", i);
	fl_consul_names_done(&names);
}

static void try_kv(const uint8_t *bytes, size_t size)
{
	static const fl_consul_definitions none;
	fl_consul_definitions first, second;
	char *body = copy_of(bytes, size);
	char why[256] = "";
	int r = fl_consul_kv_parse(body, size, "p", "consul", &none, &first, why, sizeof(why));

	free(body);
	check_outcome(bytes, size, r, why);
	if (r < 0)
		return;
	body = copy_of(bytes, size);
	if (fl_consul_kv_parse(body, size, "p", "consul", &first, &second, why, sizeof(why)) < 0 ||
		second.count != first.count)
		native_fail("consul: another outcome beside what is known");
	free(body);
	for (size_t i = 0; i < first.count; i++) {
		const struct fl_consul_definition *a = &first.items[i], *b = &second.items[i];

		if (a->usable != b->usable || a->problems.count != b->problems.count ||
			(!a->usable && !a->problems.errors) || (a->usable && !a->text))
			native_fail("consul: definition %s", a->name);
		check_problems(&first.items[i].problems);
	}
	fl_consul_definitions_done(&first);
	fl_consul_definitions_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (!size)
		return 0;
	if (bytes[0] == 'h')
		try_health(bytes + 1, size - 1);
	else if (bytes[0] == 'c')
		try_catalog(bytes + 1, size - 1);
	else if (bytes[0] == 'k')
		try_kv(bytes + 1, size - 1);
	return 0;
}
